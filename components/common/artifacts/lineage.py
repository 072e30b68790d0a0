"""What an artifact was made from, and by what.

Each directory artifact holds its lineage in `_lineage.json` (readers of partitioned data skip
names that start with an underscore), and every artifact carries it as metadata. An artifact's
lineage contains that of its inputs, so a model's goes all the way back to the source data.
"""

import hashlib
import importlib.metadata
import json
import os
import platform
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from kfp_tabular.components.common import files

FILE_NAME = "_lineage.json"
ANCESTORS = "ancestors"

_PACKAGE = "kfp-tabular"


def digest_file(path: str | os.PathLike[str]) -> str:
    """Gives `sha256:<hex>` of a file's content."""
    with Path(path).open("rb") as stream:
        return f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"


def digest(path: str | os.PathLike[str]) -> str:
    """Gives `sha256:<hex>` of a file's or a directory's content.

    A directory's digest covers the relative names and contents of its files. What starts with `_`
    or `.` directly inside it is bookkeeping and does not count.

    Args:
        path: An existing file or directory.

    Raises:
        FileNotFoundError: Where there is neither.
    """
    root = Path(path)
    if not root.is_dir():
        return digest_file(root)
    whole = hashlib.sha256()
    for file in sorted(root.rglob("*")):
        relative = file.relative_to(root)
        if file.is_file() and relative.parts[0][0] not in "_.":
            whole.update(f"{relative.as_posix()}\0{digest_file(file)}\n".encode())
    return f"sha256:{whole.hexdigest()}"


def content_version(content: str) -> str:
    """Gives a model that has no version of its own one: a number that follows from its content.

    TensorFlow Serving wants numbers; this one has 32 bits. An endpoint's labels and answers, and
    the directory that its model is published in, name the same one.

    Args:
        content: What `digest` gave for the model.
    """
    return str(int(content.rpartition(":")[2][:8] or "0", 16))


def versions(libraries: Iterable[str]) -> dict[str, str]:
    """Gives the versions of this package, of Python and of the named distributions.

    Args:
        libraries: Names on the package index, such as `tensorflow`. All must be installed.
    """
    named = {name: importlib.metadata.version(name) for name in (_PACKAGE, *libraries)}
    return {"python": platform.python_version(), **named}


def record(
    path: str | os.PathLike[str],
    *,
    inputs: Mapping[str, str | os.PathLike[str]],
    rows: Mapping[str, int] | None = None,
    seed: int | None = None,
    libraries: Iterable[str] = (),
    extra: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Describes a directory artifact, writes that beside its content, and returns it.

    Call it last, inside the `atomic_directory` block.

    Args:
        path: The artifact's directory, complete but for its lineage.
        inputs: Each input artifact's name and path; their own lineages are taken in.
        rows: Row counts, by split.
        seed: The seed that the artifact depends on.
        libraries: Distributions whose versions matter for the content.
        extra: More facts, JSON-able.

    Returns:
        A JSON-able mapping with `digest`, `versions`, `inputs` (digests by name), `ancestors` (the
        facts of everything it was made from, directly or not, by digest) and, where given,
        `rows`, `seed` and the extra facts. Fit for a KFP artifact's metadata: however often an
        artifact was used on the way, its facts stand there once.
    """
    ancestors: dict[str, Any] = {}
    parents = {name: read(location) for name, location in inputs.items()}
    for parent in parents.values():
        ancestors |= parent.get(ANCESTORS, {})
        ancestors[parent["digest"]] = {
            fact: value for fact, value in parent.items() if fact not in (ANCESTORS, "digest")
        }
    lineage: dict[str, Any] = {
        "digest": digest(path),
        "versions": versions(libraries),
        "inputs": {name: parent["digest"] for name, parent in parents.items()},
        ANCESTORS: ancestors,
    }
    if rows is not None:
        lineage["rows"] = dict(rows)
    if seed is not None:
        lineage["seed"] = seed
    lineage.update(extra or {})
    files.write_text(
        Path(path) / FILE_NAME, json.dumps(lineage, indent=2, sort_keys=True, ensure_ascii=False)
    )
    return lineage


def read(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Gives an artifact's lineage; that of a foreign artifact is its digest alone.

    Args:
        path: An existing file or directory.
    """
    recorded = Path(path) / FILE_NAME
    if not recorded.is_file():
        return {"digest": digest(path)}
    lineage: dict[str, Any] = json.loads(recorded.read_text(encoding="utf-8"))
    return lineage
