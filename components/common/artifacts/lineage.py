"""The lineage of artifacts: their digests, inputs, and the versions of the software that made them.

Each directory artifact holds its lineage in `_lineage.json` (readers of partitioned data skip
names that start with an underscore), examples hold it in their manifest. It contains the lineages
of the inputs, so that of a model goes back to the source data. The artifact's metadata in KFP is an
extract, because the Workflow holds it six times for each task that reads the artifact.
"""

import functools
import hashlib
import importlib.metadata
import json
import os
import platform
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from kfp_tabular.components.common import files
from kfp_tabular.components.common.artifacts import manifest

FILE_NAME = "_lineage.json"
ANCESTORS = "ancestors"

_PACKAGE = "kfp-tabular"
_SPLITS_IN_METADATA = 5


def digest_file(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file's content as `sha256:<hex>`.

    Example:
        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile() as empty:
        ...     digest_file(empty.name)
        'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
    """
    with Path(path).open("rb") as stream:
        return f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"


def digest(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of the content of a file or directory as `sha256:<hex>`.

    The digest of a directory covers the relative names and the contents of its files. Entries
    directly inside it whose names start with `_` or `.` are bookkeeping and are ignored.

    Args:
        path: An existing file or directory.

    Raises:
        FileNotFoundError: The path does not exist.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     before = digest(directory)
        ...     files.write_text(f"{directory}/_lineage.json", "{}")
        ...     files.write_text(f"{directory}/.cache/index", "")
        ...     digest(directory) == before
        True
    """
    root = Path(path)
    if not root.is_dir():
        return digest_file(root)
    return combine(digest_files(root))


def digest_files(directory: str | os.PathLike[str]) -> dict[str, str]:
    """Return the digests of the files in a directory that are not bookkeeping, by relative name.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     files.write_text(f"{directory}/_lineage.json", "{}")
        ...     files.write_text(f"{directory}/assets/names", "")
        ...     digest_files(directory)
        {'assets/names': 'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'}
    """
    root = Path(directory)
    names = {file.relative_to(root).as_posix(): file for file in sorted(root.rglob("*"))}
    return {
        name: digest_file(file)
        for name, file in names.items()
        if not is_bookkeeping(name) and file.is_file()
    }


def is_bookkeeping(name: str) -> bool:
    """Return whether a name, relative to its artifact, is not part of the artifact's content."""
    return name[0] in "_."


def combine(digests: Mapping[str, str]) -> str:
    """Return the digest of a directory from those of its files by relative name."""
    whole = hashlib.sha256()
    for name in sorted(digests, key=lambda name: name.split("/")):
        whole.update(f"{name}\0{digests[name]}\n".encode())
    return f"sha256:{whole.hexdigest()}"


def content_version(content: str) -> str:
    """Return a version for a model that has none: a number derived from its content.

    TensorFlow Serving requires numbers; this one has 32 bits. The labels and responses of an
    endpoint, and the directory that its model is published in, use the same version.

    Args:
        content: The digest of the model, from `digest`.

    Example:
        >>> content_version("sha256:0000002a9f")
        '42'
    """
    return str(int(content.rpartition(":")[2][:8] or "0", 16))


def versions(libraries: Iterable[str]) -> dict[str, str]:
    """Return the versions of this package, of Python and of other distributions.

    Args:
        libraries: Distribution names, such as `tensorflow`. All must be installed.

    Example:
        >>> sorted(versions(["numpy"]))
        ['kfp-tabular', 'numpy', 'python']
    """
    named = {name: _version(name) for name in (_PACKAGE, *libraries)}
    return {"python": platform.python_version(), **named}


@functools.cache
def _version(distribution: str) -> str:
    # A task records several artifacts; the metadata of a distribution take a millisecond to parse.
    return importlib.metadata.version(distribution)


def record(
    path: str | os.PathLike[str],
    *,
    inputs: Mapping[str, str | os.PathLike[str]],
    rows: Mapping[str, int] | None = None,
    seed: int | None = None,
    libraries: Iterable[str] = (),
    extra: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Write the lineage of a directory artifact into its directory, and return it.

    Call it last inside the `atomic_directory` block.

    Args:
        path: The directory of the artifact, complete except for its lineage.
        inputs: The path of each input artifact by name. Their lineages are included.
        rows: Row counts by split.
        seed: The seed that the artifact depends on.
        libraries: Distributions whose versions affect the content.
        extra: Further facts, JSON-serializable.

    Returns:
        A JSON-serializable mapping with `digest`, `versions`, `inputs` (digests by name),
        `ancestors` (facts of all direct and indirect inputs, by digest) and, if given, `rows`,
        `seed` and the extra facts. Each ancestor is included once, even if it was used several
        times.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     lineage = record(directory, inputs={}, rows={"train": 10}, seed=7)
        ...     read(directory) == lineage, lineage["rows"]
        (True, {'train': 10})
    """
    lineage: dict[str, Any] = {
        "digest": digest(path),
        **facts(inputs=inputs, seed=seed, libraries=libraries, extra=extra),
    }
    if rows is not None:
        lineage["rows"] = dict(rows)
    files.write_text(
        Path(path) / FILE_NAME, json.dumps(lineage, indent=2, sort_keys=True, ensure_ascii=False)
    )
    return lineage


def facts(
    *,
    inputs: Mapping[str, str | os.PathLike[str]],
    seed: int | None = None,
    libraries: Iterable[str] = (),
    extra: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the lineage of an artifact without its digest and rows.

    Args:
        inputs: The path of each input artifact by name. Their lineages are included.
        seed: The seed that the artifact depends on.
        libraries: Distributions whose versions affect the content.
        extra: Further facts, JSON-serializable.
    """
    ancestors: dict[str, Any] = {}
    parents = {name: read(location) for name, location in inputs.items()}
    for parent in parents.values():
        ancestors |= parent.get(ANCESTORS, {})
        ancestors[parent["digest"]] = {
            fact: value for fact, value in parent.items() if fact not in (ANCESTORS, "digest")
        }
    found: dict[str, Any] = {
        "versions": versions(libraries),
        "inputs": {name: parent["digest"] for name, parent in parents.items()},
        ANCESTORS: ancestors,
    }
    if seed is not None:
        found["seed"] = seed
    return {**found, **(extra or {})}


def read(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the lineage of an artifact. Where it has none, it is the digest alone.

    Args:
        path: An existing file or directory.

    Raises:
        UserError: The manifest of examples is damaged.

    Example:
        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile() as empty:
        ...     read(empty.name)
        {'digest': 'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'}
    """
    found = manifest.read(path)
    if found is not None:
        return found.whole_lineage
    recorded = Path(path) / FILE_NAME
    if not recorded.is_file():
        return {"digest": digest(path)}
    lineage: dict[str, Any] = json.loads(recorded.read_text(encoding="utf-8"))
    return lineage


def file_of(path: str | os.PathLike[str]) -> Path | None:
    """Return the file in which an artifact holds its lineage; None without one."""
    candidates = (Path(path) / name for name in (manifest.FILE_NAME, FILE_NAME))
    return next((file for file in candidates if file.is_file()), None)


def recorded(read_text: Callable[[str], str | None], source: object) -> dict[str, Any] | None:
    """Return the lineage that an artifact holds; None without one.

    Args:
        read_text: Returns the text of a file of the artifact, or None.
        source: The artifact's path or URI, for error messages.

    Raises:
        UserError: The manifest of examples is damaged.

    Example:
        >>> recorded({FILE_NAME: '{"digest": "sha256:00"}'}.get, "gs://bucket/model")
        {'digest': 'sha256:00'}
    """
    text = read_text(manifest.FILE_NAME)
    if text is not None:
        return manifest.parse(text, f"{source}/{manifest.FILE_NAME}").whole_lineage
    text = read_text(FILE_NAME)
    if text is None:
        return None
    lineage: dict[str, Any] = json.loads(text)
    return lineage


def metadata(lineage: Mapping[str, Any], also: Collection[str] = ()) -> dict[str, Any]:
    """Return the extract of a lineage that becomes the metadata of a KFP artifact.

    It holds the artifact's digest, the digests of its inputs, and what else is short: `rows`,
    `seed`, and the version of this package.

    Args:
        lineage: What `record` or `read` returned.
        also: Further facts to keep: short ones that the artifact itself does not hold.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     lineage = record(directory, inputs={}, rows={"train": 10}, extra={"sources": []})
        >>> sorted(metadata(lineage))
        ['digest', 'inputs', 'kfp-tabular', 'rows']
    """
    extract = {
        name: lineage[name]
        for name in ("digest", "inputs", "rows", "seed", *also)
        if name in lineage
    }
    if len(lineage.get("rows", ())) > _SPLITS_IN_METADATA:
        extract["rows"] = {"all splits": sum(lineage["rows"].values())}
    version = lineage.get("versions", {}).get(_PACKAGE)
    return {**extract, _PACKAGE: version} if version else extract
