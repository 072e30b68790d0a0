"""`_manifest.json`: the splits and shards of an examples artifact, its schema, digest and lineage.

The manifest decides what belongs to the artifact, and is written last. Shards that it does not
name, such as those of an attempt that was killed, do not count. It needs no Parquet reader, so
that tasks that only ask for a digest can read it.
"""

import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kfp_tabular.components.common import files
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.storage.location import parse as parse_location

FILE_NAME = "_manifest.json"
"""The underscore keeps readers of partitioned data (pyarrow, Spark) from taking it for data."""

VERSION = 1
LARGEST_BYTES = 16 << 20
"""A manifest of 80,000 shards. Larger files are refused before they are parsed."""

_SPLIT_PREFIX = "split="
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_FILE = re.compile(r"[^/\\\x00-\x1f]+\.parquet")
_LARGEST = 2**63 - 1
_FIELDS = {"version", "digest", "schema", "shards_uri", "splits", "lineage"}
_REMEDY = "Copy the artifact again, or run the task that wrote it again."


@dataclass(frozen=True)
class Shard:
    """A Parquet file of a split.

    Attributes:
        path: Its path below the artifact or `shards_uri`: `split=<split>/<name>.parquet`.
        rows: Its rows.
        bytes: Its size.
        digest: The SHA-256 of its content, as `sha256:<hex>`.
        row_groups: The rows of each row group.
    """

    path: str
    rows: int
    bytes: int
    digest: str
    row_groups: tuple[int, ...]


@dataclass(frozen=True)
class Column:
    """A column of the examples.

    Attributes:
        name: The name.
        type: The Arrow type, as Arrow writes it: `int64`, `double`, `list<item: string>`.
        nullable: Whether values may be missing.
    """

    name: str
    type: str
    nullable: bool = True


@dataclass(frozen=True)
class Manifest:
    """The content of an examples artifact.

    Attributes:
        columns: The columns that all shards have, in order.
        splits: The shards of each split, in the order of their rows.
        lineage: What the artifact was made from, except its digest and rows.
        shards_uri: The URI below which the shards are; empty for the artifact's own directory.
    """

    columns: tuple[Column, ...]
    splits: Mapping[str, tuple[Shard, ...]]
    lineage: Mapping[str, Any] = field(default_factory=dict)
    shards_uri: str = ""

    @property
    def digest(self) -> str:
        """The digest of the shards' digests.

        It covers the splits' names and the digests of their shards in order. The shards' names and
        places do not count. Their order does, because a training's batches depend on it.

        Example:
            >>> def made(*digests: str, name: str = "a") -> Manifest:
            ...     path = f"split=train/{name}.parquet"
            ...     shards = [Shard(path, 1, 99, digest, (1,)) for digest in digests]
            ...     return Manifest((), {"train": tuple(shards)})
            >>> made("x", "y").digest == made("x", "y", name="b").digest
            True
            >>> made("x", "y").digest == made("y", "x").digest
            False
        """
        whole = hashlib.sha256()
        for split in sorted(self.splits):
            whole.update(f"{split}\0{len(self.splits[split])}\n".encode())
            for shard in self.splits[split]:
                whole.update(f"{shard.digest}\n".encode())
        return f"sha256:{whole.hexdigest()}"

    @property
    def rows(self) -> dict[str, int]:
        """The rows of each split."""
        return {split: sum(shard.rows for shard in found) for split, found in self.splits.items()}

    @property
    def whole_lineage(self) -> dict[str, Any]:
        """The lineage with the digest and the rows, as `lineage.read` returns it."""
        return {**self.lineage, "digest": self.digest, "rows": self.rows}


def shard_path(split: str, number: int, attempt: str = "", part: int = 0) -> str:
    """Return the path of a shard. In the order of names, shards are in the order of their numbers.

    Args:
        split: The name of the split.
        number: The number of the shard in the split, or of the piece that it was made of.
        attempt: A name that no other attempt to write the artifact has. Empty where the directory
            itself belongs to one attempt.
        part: The shard's number among those of a piece.

    Example:
        >>> shard_path("train", 3), shard_path("train", 3, "5f0c")
        ('split=train/part-00003.parquet', 'split=train/part-00003-5f0c.parquet')
        >>> shard_path("train", 3, part=1)
        'split=train/part-00003_001.parquet'
    """
    name = f"part-{number:05d}" + (f"_{part:03d}" if part else "")
    return f"{_SPLIT_PREFIX}{split}/{name}{f'-{attempt}' if attempt else ''}.parquet"


def write(manifest: Manifest, directory: str | os.PathLike[str]) -> None:
    """Write a manifest; do so last, when all of its shards are in place.

    Raises:
        UserError: There are too many shards.

    Example:
        >>> import tempfile
        >>> given = Manifest((Column("fare", "double"),), {"train": ()}, {"seed": 7})
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     write(given, directory)
        ...     read(directory) == given
        True
    """
    text = as_json(manifest)
    if len(text.encode()) > LARGEST_BYTES:
        shards = sum(map(len, manifest.splits.values()))
        raise UserError(
            f"{os.fspath(directory)}: the manifest of {shards} shards and {len(manifest.columns)} "
            f"columns is larger than {LARGEST_BYTES >> 20} MiB. Write larger shards."
        )
    files.write_text(Path(directory, FILE_NAME), text)


def as_json(manifest: Manifest) -> str:
    """Return a manifest as JSON, a line for each column and shard."""
    head = {"version": VERSION, "digest": manifest.digest}
    if manifest.shards_uri:
        head["shards_uri"] = manifest.shards_uri
    parts = [f"{_json(name)}: {_json(value)}" for name, value in head.items()]
    columns = [
        {"name": column.name, "type": column.type}
        | ({} if column.nullable else {"nullable": False})
        for column in manifest.columns
    ]
    parts.append(f'"schema": {_lines(columns, "  ")}')
    splits = [
        f"    {_json(split)}: {_lines([vars(shard) for shard in shards], '    ')}"
        for split, shards in manifest.splits.items()
    ]
    parts.append('"splits": {\n' + ",\n".join(splits) + "\n  }")
    whole = json.dumps(dict(manifest.lineage), indent=2, sort_keys=True, ensure_ascii=False)
    parts.append('"lineage": ' + whole.replace("\n", "\n  "))
    return "{\n  " + ",\n  ".join(parts) + "\n}\n"


def read(directory: str | os.PathLike[str]) -> Manifest | None:
    """Return the manifest of a local artifact; None where it has none, as older artifacts.

    Raises:
        UserError: It is damaged, or of a later version.
    """
    path = Path(directory, FILE_NAME)
    try:
        size = path.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return None
    check_size(size, path)
    return parse(path.read_bytes(), path)


def check_size(size: int, source: object) -> None:
    """Refuse a manifest that is too large to parse.

    Raises:
        UserError: If it is.
    """
    if size > LARGEST_BYTES:
        raise UserError(
            f"{source}: not a manifest: it has {size} bytes, more than {LARGEST_BYTES}. {_REMEDY}"
        )


def parse(content: bytes | str, source: object) -> Manifest:
    """Return a manifest from JSON, checked.

    Args:
        content: The JSON.
        source: Where it is from, for error messages.

    Raises:
        UserError: It is not a manifest, contradicts itself, or has a later version.

    Example:
        >>> given = Manifest((Column("fare", "double"),), {"train": ()})
        >>> parse(as_json(given), FILE_NAME) == given
        True
        >>> parse('{"version": 2}', FILE_NAME)
        Traceback (most recent call last):
        ...
        kfp_tabular.components.common.errors.UserError: _manifest.json: version 2 of the manifest;
        this release reads version 1. Use the release of kfp-tabular that wrote the artifact.
    """
    try:
        document: Any = json.loads(content)
        _require(isinstance(document, dict), "it is not a JSON object")
    except (ValueError, RecursionError) as error:
        raise UserError(f"{source}: not a manifest: {error}. {_REMEDY}") from error
    version = document.get("version")
    if type(version) is int and version != VERSION:
        raise UserError(
            f"{source}: version {version} of the manifest; this release reads version {VERSION}. "
            "Use the release of kfp-tabular that wrote the artifact."
        )
    try:
        return _parsed(document)
    except (ValueError, TypeError) as error:
        raise UserError(f"{source}: not a manifest: {error}. {_REMEDY}") from error


def _parsed(document: Mapping[str, Any]) -> Manifest:
    _require(type(document.get("version")) is int, "it has no version")
    unknown = sorted(set(document) - _FIELDS)
    _require(not unknown, f"unknown field {unknown[:1]}")
    columns = tuple(
        _column(given, f"schema[{number}]")
        for number, given in enumerate(_of(document, "schema", list, "a list"))
    )
    names = [column.name for column in columns]
    _require(len(set(names)) == len(names), "schema: two columns have the same name")
    splits = {
        split: _shards(split, given)
        for split, given in _of(document, "splits", dict, "an object").items()
    }
    shards_uri = document.get("shards_uri", "")
    _check_shards_uri(shards_uri)
    found = Manifest(columns, splits, _of(document, "lineage", dict, "an object"), shards_uri)
    _require(document.get("digest") == found.digest, "the digest is not that of its shards")
    return found


def _column(given: Any, where: str) -> Column:
    _require(isinstance(given, dict), f"{where}: not an object")
    _require(set(given) <= {"name", "type", "nullable"}, f"{where}: unknown field")
    nullable = given.get("nullable", True)
    _require(isinstance(nullable, bool), f"{where}.nullable: not true or false")
    return Column(
        _of(given, "name", str, "text", where), _of(given, "type", str, "text", where), nullable
    )


def _shards(split: str, given: Any) -> tuple[Shard, ...]:
    where = f"splits.{split}"
    _require(bool(split) and _FILE.fullmatch(f"{split}.parquet") is not None, f"split {split!r}")
    _require(isinstance(given, list), f"{where}: not a list")
    shards = tuple(_shard(split, entry, f"{where}[{n}]") for n, entry in enumerate(given))
    paths = {shard.path for shard in shards}
    _require(len(paths) == len(shards), f"{where}: a shard is named twice")
    return shards


def _shard(split: str, given: Any, where: str) -> Shard:
    _require(isinstance(given, dict), f"{where}: not an object")
    _require(set(given) == set(Shard.__dataclass_fields__), f"{where}: unknown or missing fields")
    path, digest = given["path"], given["digest"]
    # Exactly two segments, so no path leads out of the artifact.
    folder, _, name = path.partition("/") if isinstance(path, str) else ("", "", "")
    _require(
        folder == f"{_SPLIT_PREFIX}{split}"
        and _FILE.fullmatch(name) is not None
        and name[0] not in "._",
        f"{where}.path {path!r}: not {_SPLIT_PREFIX}{split}/<name>.parquet",
    )
    _require(
        isinstance(digest, str) and _DIGEST.fullmatch(digest) is not None,
        f"{where}.digest: not a SHA-256",
    )
    groups = given["row_groups"]
    _require(isinstance(groups, list), f"{where}.row_groups: not a list")
    shard = Shard(
        path,
        _count(given["rows"], f"{where}.rows"),
        _count(given["bytes"], f"{where}.bytes"),
        digest,
        tuple(_count(rows, f"{where}.row_groups") for rows in groups),
    )
    _require(sum(shard.row_groups) == shard.rows, f"{where}: row_groups do not add up to rows")
    return shard


def _check_shards_uri(given: Any) -> None:
    _require(isinstance(given, str), "shards_uri: not text")
    if not given:
        return
    try:
        location = parse_location(given)
    except UserError as error:
        raise ValueError(f"shards_uri: {error}") from error
    _require(
        not location.is_local or location.path.is_absolute(),
        f"shards_uri {given!r}: not an absolute path or a URI",
    )


def _of(given: Mapping[str, Any], name: str, kind: type, called: str, where: str = "") -> Any:
    place = f"{where}.{name}" if where else name
    _require(isinstance(given.get(name), kind), f"{place}: not {called}")
    return given[name]


def _count(value: Any, where: str) -> int:
    _require(type(value) is int and 0 <= value <= _LARGEST, f"{where}: not a count")
    return int(value)


def _require(condition: bool, problem: str) -> None:
    if not condition:
        raise ValueError(problem)


def _lines(values: Sequence[Any], indent: str) -> str:
    if not values:
        return "[]"
    lines = ",\n".join(f"{indent}  {_json(value)}" for value in values)
    return f"[\n{lines}\n{indent}]"


_json: Callable[[Any], str] = json.JSONEncoder(ensure_ascii=False).encode
