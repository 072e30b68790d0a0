"""What there is to serve: a model's directory, or the versions under a model's name."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kfp_tabular.components.common.artifacts.model_document import FILE_NAME
from kfp_tabular.components.common.errors import UserError

DEFAULT_NAME = "model"

_SAVED_MODEL = "saved_model.pb"
_VERSION = re.compile(r"[0-9]+")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")

Fingerprint = frozenset[tuple[str, int, int]]


@dataclass(frozen=True)
class ModelVersion:
    """A model's directory as it was found.

    Attributes:
        directory: Holds `saved_model.pb` and `model.json`, if it is a model at all.
        version: The version, where the directory's name is one; else None.
        fingerprint: Name, size and time of each file. It changes while somebody writes there.
    """

    directory: Path
    version: str | None
    fingerprint: Fingerprint


@dataclass(frozen=True)
class ModelSource:
    """Where models to serve come from.

    Attributes:
        path: A model's directory, or one of versions.
        name: The name in the endpoint's paths.
        watched: Whether versions may come and go: `path` is `<repository>/<name>`.
    """

    path: Path
    name: str
    watched: bool

    def versions(self) -> Sequence[ModelVersion]:
        """Gives what there is now, the highest version first."""
        if not self.watched:
            return [_version(self.path)]
        return [_version(directory) for directory in _version_directories(self.path)]


def find(path: str | os.PathLike[str], name: str = "") -> ModelSource:
    """Finds what to serve.

    Args:
        path: A model's directory (`<repository>/<name>/<version>` or any other that holds
            `saved_model.pb` and `model.json`), or `<repository>/<name>`.
        name: The name to serve it under. By default that of the model in its repository, and
            `model` for a directory outside of one.

    Raises:
        UserError: Where there is no model, or the name is unfit for a path.
    """
    given = Path(path).absolute()
    watched = not _is_model(given)
    if watched:
        _check_versions(given)
    if not name:
        parent = given if watched else given.parent
        fits = watched or _VERSION.fullmatch(given.name)
        name = parent.name if fits and _NAME.fullmatch(parent.name) else DEFAULT_NAME
    if not _NAME.fullmatch(name):
        raise UserError(
            f"model name {name!r}: use letters, digits, '.', '_' and '-', and begin with a letter "
            "or digit."
        )
    return ModelSource(path=given, name=name, watched=watched)


def _is_model(directory: Path) -> bool:
    return (directory / _SAVED_MODEL).is_file() or (directory / FILE_NAME).is_file()


def _version_directories(directory: Path) -> Sequence[Path]:
    try:
        entries = [entry for entry in directory.iterdir() if _VERSION.fullmatch(entry.name)]
    except OSError:
        # Gone, or out of reach for a moment: there is nothing to change over to.
        return []
    return sorted(entries, key=lambda entry: (int(entry.name), entry.name), reverse=True)


def _check_versions(directory: Path) -> None:
    if not directory.is_dir():
        raise UserError(f"{directory}: {'not a directory' if directory.exists() else 'not found'}.")
    if _version_directories(directory):
        return
    models = sorted({file.parent.parent.name for file in directory.glob(f"*/[0-9]*/{FILE_NAME}")})
    hint = f" Give one of its models: {', '.join(models[:5])}." if models else ""
    raise UserError(
        f"{directory}: no model here. Expected {_SAVED_MODEL} and {FILE_NAME}, or a directory per "
        f"version.{hint}"
    )


def _version(directory: Path) -> ModelVersion:
    return ModelVersion(
        directory=directory,
        version=directory.name if _VERSION.fullmatch(directory.name) else None,
        fingerprint=frozenset(_files(directory, directory)),
    )


def _files(directory: Path, root: Path) -> Iterator[tuple[str, int, int]]:
    try:
        entries = list(os.scandir(directory))
    except OSError:
        return
    for entry in entries:
        try:
            if entry.is_dir():
                yield from _files(Path(entry.path), root)
            else:
                status = entry.stat()
                name = os.path.relpath(entry.path, root)
                yield name, status.st_size, status.st_mtime_ns
        except OSError:
            # It was there a moment ago; the next look will tell.
            continue
