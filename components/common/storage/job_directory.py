"""A job's directory, on a mounted volume or in an object store."""

import shutil
import tempfile
from pathlib import Path, PurePosixPath

from kfp_tabular.components.common import files, storage
from kfp_tabular.components.common.storage.location import parse

_FOLDER = "kfp-tabular-jobs"


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


def exists(uri: str) -> bool:
    """Return whether there is a file or a directory.

    Raises:
        UserError: If access is denied.
    """
    if not storage.is_remote(uri):
        return parse(uri).path.exists()
    folder, _, name = uri.rpartition("/")
    return storage.Folder(folder).stat(name) is not None or bool(storage.Folder(uri).list())


def read_text(uri: str, name: str) -> str:
    """Return the text of a file in a directory.

    Raises:
        UserError: If it is missing, or access is denied.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_text(folder, "request.json", "{}")
        ...     read_text(folder, "request.json")
        '{}'
    """
    with storage.local_copy(f"{uri}/{name}") as path:
        return path.read_text(encoding="utf-8")


def write_text(uri: str, name: str, text: str) -> None:
    """Write a text as a file in a directory.

    Raises:
        UserError: If access is denied.
    """
    with tempfile.TemporaryDirectory(prefix="kfp-tabular-") as folder:
        path = Path(folder) / name
        path.write_text(text, encoding="utf-8")
        storage.upload(path, f"{uri}/{name}")


def fetch(uri: str, target: Path) -> None:
    """Copy a directory, or a file, to this machine, whole or not at all.

    Raises:
        UserError: If it is missing or empty, or access is denied.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     volume, target = Path(folder, "volume"), Path(folder, "logs")
        ...     files.write_text(volume / "training.json", "{}")
        ...     fetch(str(volume), target)
        ...     [path.name for path in target.iterdir()]
        ['training.json']
    """
    with storage.local_copy(uri) as source:
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, partial := target.with_name(f".{target.name}.partial"))
            partial.replace(target)
            return
        with files.atomic_directory(target) as partial:
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


def job_folder(output: str, run_id: str, name: str = _FOLDER) -> str:
    """Return the directory of a run's jobs, next to the artifacts of its tasks.

    KFP stores artifacts under `<root>/<pipeline>/<run id>/<task>/...`. The folder is in the run's
    directory, so that deleting a run's artifacts deletes it, too. If the URI does not hold the
    run's id, the folder is next to the output.

    Args:
        output: The URI that KFP chose for an output of the task.
        run_id: The pipeline run; may be empty.
        name: The folder's name.

    Example:
        >>> job_folder("gs://bucket/root/pipeline/run-7/train-model/3/model", "run-7")
        'gs://bucket/root/pipeline/run-7/kfp-tabular-jobs'
    """
    location = parse(output)
    parts = PurePosixPath(location.key).parts
    if run_id and run_id in parts:
        folder = PurePosixPath(*parts[: parts.index(run_id) + 1])
    else:
        folder = PurePosixPath(location.key).parent
    return location.uri(str(folder / name))
