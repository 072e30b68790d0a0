"""The job's directory, wherever it is: on a mounted volume or in an object store."""

import shutil
from pathlib import Path

from kfp_tabular.components.common import files, storage
from kfp_tabular.components.common.storage.location import parse


def has(uri: str, name: str) -> bool:
    """Tells whether a directory holds a file.

    Raises:
        UserError: Where access is denied.
    """
    if storage.is_remote(uri):
        return storage.Folder(uri).read_text(name) is not None
    return (parse(uri).path / name).is_file()


def fetch(uri: str, target: Path) -> None:
    """Copies a directory to this machine, whole or not at all.

    Raises:
        UserError: Where there is nothing, or access is denied.
    """
    with storage.local_copy(uri) as source, files.atomic_directory(target) as partial:
        shutil.copytree(source, partial, dirs_exist_ok=True)


def remove(uri: str, first: str) -> None:
    """Removes a directory with all it holds; nothing happens where there is none.

    Args:
        uri: The directory.
        first: The file in it that goes before the others. Where it is, all of the rest is, too,
            whenever this was interrupted.

    Raises:
        UserError: Where access is denied.
    """
    if storage.is_remote(uri):
        folder = storage.Folder(uri)
        folder.remove([first])
        folder.remove(folder.list())
    else:
        path = parse(uri).path
        files.remove(path / first)
        files.remove(path)
