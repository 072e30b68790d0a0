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

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     files.write_text(f"{directory}/model.json", "{}")
        ...     write(directory)
        ...     [*parse((Path(directory) / FILE_NAME).read_bytes(), FILE_NAME)]
        ['model.json']
    """
    found = {
        name: digest.removeprefix(f"{_ALGORITHM}:")
        for name, digest in lineage.digest_files(directory).items()
    }
    text = json.dumps({_ALGORITHM: found}, indent=2, ensure_ascii=False)
    files.write_text(Path(directory) / FILE_NAME, text)


def parse(content: bytes, source: object) -> Mapping[str, str]:
    """Return the digest of each file, as `lineage.digest_files` gives it.

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
    return {name: f"{_ALGORITHM}:{digest}" for name, digest in found.items()}
