"""The models on disk: a model's directory, or a repository with the versions of a model."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kfp_tabular.components.common.artifacts.model_document import FILE_NAME
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.serving.model.version_files import SAVED_MODEL, Fingerprint, list_files

DEFAULT_NAME = "model"

_VERSION = re.compile(r"[0-9]+")
_LONGEST_VERSION = 100
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")

MOST_VERSIONS = 100
"""How many versions are looked at, the highest ones."""


@dataclass(frozen=True)
class ModelVersion:
    """A model's directory at the time of a look.

    Attributes:
        directory: Holds `saved_model.pb` and `model.json`, if it is a model at all.
        version: The directory's name if it is a version, that is, a number; else None.
        fingerprint: Name, size and time of each file, and what must not be among them. It changes
            while files are written.
    """

    directory: Path
    version: str | None
    fingerprint: Fingerprint


@dataclass(frozen=True)
class ServedModelSource:
    """Where the versions of a model come from.

    Attributes:
        path: A model's directory, or `<repository>/<name>` with a directory per version.
        name: The model's name in URL paths.
        has_versions: Whether `path` is `<repository>/<name>`, where versions come and go.
    """

    path: Path
    name: str
    has_versions: bool

    def versions(self) -> Sequence[ModelVersion]:
        """Return the versions that exist now, the highest first."""
        if not self.has_versions:
            return [_version(self.path)]
        return [_version(directory) for directory in _version_directories(self.path)]


def find_model_source(path: str | os.PathLike[str], name: str = "") -> ServedModelSource:
    """Find the model to serve.

    Args:
        path: A model's directory (`<repository>/<name>/<version>` or any other that holds
            `saved_model.pb` and `model.json`), or `<repository>/<name>`.
        name: The name in URL paths; empty for the model's name in its repository, or `model` if the
            directory is not in a repository.

    Raises:
        UserError: If there is no model, or the name does not fit into a URL path.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     (Path(folder) / "taxi" / "3").mkdir(parents=True)
        ...     source = find_model_source(f"{folder}/taxi")
        >>> source.name, source.has_versions
        ('taxi', True)
    """
    given = Path(path).absolute()
    has_versions = not _is_model(given)
    if has_versions:
        _check_versions(given)
    if not name:
        parent = given if has_versions else given.parent
        fits = has_versions or _VERSION.fullmatch(given.name)
        name = parent.name if fits and _NAME.fullmatch(parent.name) else DEFAULT_NAME
    if not _NAME.fullmatch(name):
        raise UserError(
            f"--name {name!r}: use letters, digits, '.', '_' and '-', and start with a letter or "
            "digit."
        )
    return ServedModelSource(path=given, name=name, has_versions=has_versions)


def _is_model(directory: Path) -> bool:
    return (directory / SAVED_MODEL).is_file() or (directory / FILE_NAME).is_file()


def _version_directories(directory: Path) -> Sequence[Path]:
    try:
        entries = [entry for entry in directory.iterdir() if _VERSION.fullmatch(entry.name)]
    except OSError:
        # Removed, or not reachable for a moment: there is nothing to load.
        return []
    # A number of thousands of digits takes long to compare, and is no version.
    named = [entry for entry in entries if len(entry.name) <= _LONGEST_VERSION]
    named.sort(key=lambda entry: (int(entry.name), entry.name), reverse=True)
    return named[:MOST_VERSIONS]


def _check_versions(directory: Path) -> None:
    if not directory.is_dir():
        raise UserError(f"{directory}: {'not a directory' if directory.exists() else 'not found'}.")
    if _version_directories(directory):
        return
    models = sorted({file.parent.parent.name for file in directory.glob(f"*/[0-9]*/{FILE_NAME}")})
    hint = f" Choose one of its models: {', '.join(models[:5])}." if models else ""
    raise UserError(
        f"{directory}: no model found. Expected {SAVED_MODEL} and {FILE_NAME}, or a directory "
        f"per version.{hint}"
    )


def _version(directory: Path) -> ModelVersion:
    return ModelVersion(
        directory=directory,
        version=directory.name if _VERSION.fullmatch(directory.name) else None,
        fingerprint=list_files(directory).fingerprint,
    )
