"""A table as CSV."""

import os
import uuid
from pathlib import Path

import pyarrow as pa
from pyarrow import csv

from kfp_tabular.components.common import files
from kfp_tabular.components.common.errors import UserError


def write_csv(table: pa.Table, path: str | os.PathLike[str]) -> None:
    """Write a table as CSV, whole or not at all.

    UTF-8, a header, text in quotes, a quote doubled, a missing value empty. The parents of the
    file are made; a file already there is replaced.

    Args:
        table: What to write.
        path: The file.

    Raises:
        UserError: Where the file cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "shops.csv"
        ...     write_csv(pa.table({"id": [1, None], "shop": ['Ada "Golden" Inn', "Café"]}), path)
        ...     print(path.read_text(encoding="utf-8"), end="")
        "id","shop"
        1,"Ada ""Golden"" Inn"
        ,"Café"
    """
    final = Path(path)
    partial = final.with_name(f".{final.name}.partial-{uuid.uuid4().hex[:8]}")
    try:
        if files.is_special(final):
            csv.write_csv(table, final)
            return
        final.parent.mkdir(parents=True, exist_ok=True)
        try:
            csv.write_csv(table, partial)
            partial.replace(final)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(f"{final}: cannot write: {reason}. Give another file.") from error
