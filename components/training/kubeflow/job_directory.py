"""A job's directory, on a mounted volume or in an object store."""

import shutil
from pathlib import Path

from kfp_tabular.components.common import files, storage
from kfp_tabular.components.common.storage.location import parse


def has(uri: str, name: str) -> bool:
    """Return whether a directory holds a file.

    Raises:
        UserError: If access is denied.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "training.json").write_text("{}")
        ...     has(folder, "training.json"), has(folder, "model.json")
        (True, False)
    """
    if storage.is_remote(uri):
        return storage.Folder(uri).read_text(name) is not None
    return (parse(uri).path / name).is_file()


def fetch(uri: str, target: Path) -> None:
    """Copy a directory to this machine, whole or not at all.

    Raises:
        UserError: If the directory is missing or empty, or access is denied.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     volume, target = Path(folder, "volume"), Path(folder, "logs")
        ...     files.write_text(volume / "training.json", "{}")
        ...     fetch(str(volume), target)
        ...     [path.name for path in target.iterdir()]
        ['training.json']
    """
    with storage.local_copy(uri) as source, files.atomic_directory(target) as partial:
        shutil.copytree(source, partial, dirs_exist_ok=True)


def remove(uri: str, first: str) -> None:
    """Remove a directory and its content; do nothing if it does not exist.

    Args:
        uri: The directory.
        first: The file in it that is removed first. As long as it exists, so does all the rest,
            even if the removal was interrupted.

    Raises:
        UserError: If access is denied.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     job = Path(folder, "job")
        ...     files.write_text(job / "logs" / "training.json", "{}")
        ...     remove(str(job), first="logs/training.json")
        ...     job.exists()
        False
    """
    if storage.is_remote(uri):
        folder = storage.Folder(uri)
        folder.remove([first])
        folder.remove(folder.list())
    else:
        path = parse(uri).path
        files.remove(path / first)
        files.remove(path)
