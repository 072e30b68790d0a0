"""Finds the model to serve: a version's directory, or the newest version under a model's."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.model import FILE_NAME

DEFAULT_NAME = "model"

_SAVED_MODEL = "saved_model.pb"
_VERSION = re.compile(r"[0-9]+")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Found:
    """A model to serve.

    Attributes:
        directory: Holds `saved_model.pb` and `model.json`.
        name: The name in the endpoint's paths.
        version: The version, where the directory's name is one; else None.
    """

    directory: Path
    name: str
    version: str | None


def find(path: str | os.PathLike[str], name: str = "") -> Found:
    """Finds the model to serve.

    Args:
        path: A model's directory (`<repository>/<name>/<version>` or any other that holds
            `saved_model.pb` and `model.json`), or `<repository>/<name>`, of which the version
            with the highest number is taken.
        name: The name to serve it under. By default that of the model in its repository, and
            `model` for a directory outside of one.

    Raises:
        UserError: Where there is no model, or the name is unfit for a path.
    """
    given = Path(path).absolute()
    directory = given if _is_model(given) else _newest_version(given)
    version = directory.name if _VERSION.fullmatch(directory.name) else None
    if not name:
        parent = directory.parent.name
        name = parent if version and _NAME.fullmatch(parent) else DEFAULT_NAME
    if not _NAME.fullmatch(name):
        raise UserError(
            f"model name {name!r}: use letters, digits, '.', '_' and '-', and begin with a letter "
            "or digit."
        )
    return Found(directory=directory, name=name, version=version)


def _is_model(directory: Path) -> bool:
    return (directory / _SAVED_MODEL).is_file() or (directory / FILE_NAME).is_file()


def _newest_version(directory: Path) -> Path:
    if not directory.is_dir():
        raise UserError(f"{directory}: {'not a directory' if directory.exists() else 'not found'}.")
    versions = [entry for entry in directory.glob("[0-9]*") if _VERSION.fullmatch(entry.name)]
    if versions:
        return max(versions, key=lambda entry: (int(entry.name), entry.name))
    models = sorted({file.parent.parent.name for file in directory.glob(f"*/[0-9]*/{FILE_NAME}")})
    hint = f" Give one of its models: {', '.join(models[:5])}." if models else ""
    raise UserError(
        f"{directory}: no model here. Expected {_SAVED_MODEL} and {FILE_NAME}, or a directory per "
        f"version.{hint}"
    )
