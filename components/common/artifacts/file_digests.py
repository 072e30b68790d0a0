"""`_digests.json`: the SHA-256 of each file of a model, by which a server verifies it."""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kfp_tabular.components.common import files
from kfp_tabular.components.common.artifacts import lineage
from kfp_tabular.components.common.errors import UserError

FILE_NAME = "_digests.json"
LARGEST_BYTES = 16 * 2**20

_ALGORITHM = "sha256"
_HEX = re.compile(r"[0-9a-f]{64}")


def write(directory: str | os.PathLike[str]) -> None:
    """Write the digests of the files in a directory, which is complete except for bookkeeping.

    Entries directly inside it whose names start with `_` or `.` are left out.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     files.write_text(f"{directory}/model.json", "{}")
        ...     write(directory)
        ...     [*parse((Path(directory) / FILE_NAME).read_bytes(), FILE_NAME)]
        ['model.json']
    """
    root = Path(directory)
    found = {}
    for file in sorted(root.rglob("*")):
        relative = file.relative_to(root)
        if file.is_file() and relative.parts[0][0] not in "_.":
            found[relative.as_posix()] = lineage.digest_file(file).rpartition(":")[2]
    text = json.dumps({_ALGORITHM: found}, indent=2, ensure_ascii=False)
    files.write_text(root / FILE_NAME, text)


def parse(content: bytes, source: object) -> Mapping[str, str]:
    """Return the hexadecimal SHA-256 by relative name.

    Args:
        content: What `write` wrote.
        source: Where it is from, for the error message.

    Raises:
        UserError: If it is something else.
    """
    try:
        document: Any = json.loads(content)
        found: Any = document[_ALGORITHM]
        if not all(_HEX.fullmatch(digest) for digest in found.values()):
            raise ValueError("not a SHA-256")
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise UserError(f"{source}: not a list of digests: {error!r}.") from error
    return dict(found)
