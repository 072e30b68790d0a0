"""`typical_row.json` of a transform graph: a typical value of each raw feature of the train split.

The model takes it over into `model.json`: explanations are measured from it.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kfp_tabular.components.common import files
from kfp_tabular.components.common.errors import UserError

FILE_NAME = "typical_row.json"


def write(row: Mapping[str, Any], directory: str | os.PathLike[str]) -> None:
    """Write the row; features that it leaves out are typically missing.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write({"fare": 12.5}, folder)
        ...     read(folder)
        {'fare': 12.5}
    """
    text = json.dumps(row, indent=2, ensure_ascii=False) + "\n"
    files.write_text(Path(directory, FILE_NAME), text)


def read(directory: str | os.PathLike[str]) -> dict[str, Any] | None:
    """Return the row; None for graphs of earlier versions, which have none.

    Raises:
        UserError: The file is not such a row.
    """
    file = Path(directory, FILE_NAME)
    if not file.exists():
        return None
    try:
        return checked(json.loads(file.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise UserError(f"{file}: not a row of raw values: {error}") from error


def checked(document: object) -> dict[str, Any]:
    """Return a JSON value that is a row.

    Raises:
        TypeError: It is something else.

    Example:
        >>> checked({"fare": [1]})
        Traceback (most recent call last):
        ...
        TypeError: typical_row: expected a number or text by feature
    """
    plain = isinstance(document, dict) and all(
        isinstance(value, int | float | str) and not isinstance(value, bool)
        for value in document.values()
    )
    if not isinstance(document, dict) or not plain:
        raise TypeError("typical_row: expected a number or text by feature")
    return document
