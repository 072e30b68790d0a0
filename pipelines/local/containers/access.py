"""A container's access to files, network and credentials: only what its arguments name."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.pipelines.local.argument_texts import texts
from kfp_tabular.pipelines.local.containers.engine import Mount

NETWORK = "KFP_TABULAR_CONTAINER_NETWORK"
"""Names the network of tasks that need one; `bridge` by default, `host` for servers on this
machine."""

USER_CODE = Path("/mnt/user-code")
"""A container finds the folders that the user's own functions are imported from below it."""

_WRITTEN_PARAMETERS = ("model_repository", "checkpoint_uri")
_LOCAL_BACKENDS = ("", "local")
_REMOTE = re.compile(r"(?!file:|sqlite:)[A-Za-z][A-Za-z0-9+.-]*://")
_WILDCARD = re.compile(r"[*?\[]")

# The variables that clients of object stores, proxies and certificates read.
_FORWARDED = re.compile(
    r"(?:AWS|MINIO|GOOGLE|CLOUDSDK|AZURE)_.*|STORAGE_EMULATOR_HOST|(?:https?|no|all)_proxy"
    r"|(?:HTTPS?|NO|ALL)_PROXY|SSL_CERT_(?:FILE|DIR)|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE"
    r"|GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"
)


def mounts(arguments: Mapping[str, Any], output: Path, user_code: Sequence[Path]) -> list[Mount]:
    """Return what the containers of a run see of this machine, under the same paths.

    Args:
        arguments: The pipeline's arguments. Every path among them that exists here can be read,
            and those that tasks write to can be written; their folders are made.
        output: The run's folder, which tasks write to.
        user_code: The folders that the user's own functions are imported from, in the order of the
            search. Mounted below `USER_CODE` if an argument `*_fn` names a function.

    Returns:
        Mounts, none inside another.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     data = Path(folder) / "data.csv"
        ...     data.touch()
        ...     found = mounts({"data_uri": str(data)}, Path(folder) / "run", [])
        >>> [(mount.source.name, mount.writable) for mount in found]
        [('run', True), ('data.csv', False)]
    """
    outside = [path for path in written(arguments) if not _within(path, output)]
    for folder in outside:
        folder.mkdir(parents=True, exist_ok=True)
    read = [path for value in texts(arguments) if (path := _existing(value)) is not None]
    found = [Mount(path, path, writable=True) for path in _outermost([output, *outside])]
    found += [
        Mount(path, path)
        for path in _outermost(read)
        if not any(_within(path, mount.target) for mount in found)
    ]
    if any(name.endswith("_fn") and value for name, value in arguments.items()):
        folders = dict.fromkeys(folder for folder in user_code if folder.is_dir())
        found += [Mount(folder, USER_CODE / str(i)) for i, folder in enumerate(folders)]
    return found


def search_path(mounts: Sequence[Mount]) -> str:
    """Return the `PYTHONPATH` of a container with these mounts; empty if it needs none.

    Example:
        >>> search_path([Mount(Path("/home/ada/churn"), USER_CODE / "0")])
        '/mnt/user-code/0'
    """
    targets = [str(mount.target) for mount in mounts if USER_CODE in mount.target.parents]
    return os.pathsep.join(targets)


def written(parameters: Mapping[str, Any]) -> list[Path]:
    """Return the folders of this machine that a task's parameters name to write to.

    Example:
        >>> written({"model_repository": "/models", "data_uri": "/data"})
        [PosixPath('/models')]
    """
    paths = (_path(parameters.get(name)) for name in _WRITTEN_PARAMETERS)
    return [path for path in paths if path is not None]


def with_more(mounts: Sequence[Mount], more: Sequence[Mount]) -> list[Mount]:
    """Return mounts and further ones, without those that the container sees anyway.

    Example:
        >>> run, model = Path("/runs/1"), Path("/runs/1/models/3")
        >>> with_more([Mount(run, run, writable=True)], [Mount(model, model)])
        [Mount(source=PosixPath('/runs/1'), target=PosixPath('/runs/1'), writable=True)]
    """
    found = list(mounts)
    for mount in more:
        seen = [it for it in found if _within(mount.target, it.target)]
        if not any(it.writable or not mount.writable for it in seen):
            found = [it for it in found if it.target != mount.target] + [mount]
    return found


def network(parameters: Mapping[str, Any], *, is_remote: bool = False) -> str:
    """Return the network of a task: `none` unless its parameters name something remote.

    Args:
        parameters: The task's input parameters.
        is_remote: Whether it uses something remote that its parameters do not name.

    Example:
        >>> network({"data_uri": "/data/a.csv", "backend": "local"})
        'none'
    """
    if (
        is_remote
        or any(_REMOTE.match(text) for text in texts(parameters))
        or str(parameters.get("backend", "")) not in _LOCAL_BACKENDS
    ):
        return os.environ.get(NETWORK) or "bridge"
    return "none"


def forwarded(environment: Mapping[str, str]) -> list[str]:
    """Return the names of the variables that a task with a network gets from this process.

    Example:
        >>> forwarded({"AWS_PROFILE": "dev", "HOME": "/root"})
        ['AWS_PROFILE']
    """
    return sorted(name for name in environment if _FORWARDED.fullmatch(name))


def credential_mounts(environment: Mapping[str, str]) -> list[Mount]:
    """Return mounts of the files and folders that forwarded variables name.

    Example:
        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile(suffix=".json") as key:
        ...     found = credential_mounts({"GOOGLE_APPLICATION_CREDENTIALS": key.name})
        >>> [(mount.source.suffix, mount.writable) for mount in found]
        [('.json', False)]
    """
    paths = [
        path
        for name in forwarded(environment)
        if (path := _existing(environment[name])) is not None
    ]
    return [Mount(path, path) for path in _outermost(paths)]


def _path(value: Any) -> Path | None:
    """Return the absolute path that a value is; None for anything else."""
    if not isinstance(value, str):
        return None
    text = unquote(urlsplit(value).path) if value.startswith("file://") else value
    path = Path(os.path.normpath(text)) if text.startswith("/") else None
    return path if path is not None and len(path.parts) > 1 else None


def _existing(value: str) -> Path | None:
    """Return the path that a value names or, for a pattern, the folder that it searches."""
    path = _path(value)
    if path is None:
        return None
    if not path.exists():
        for index, part in enumerate(path.parts):
            if _WILDCARD.search(part):
                path = Path(*path.parts[:index])
                break
    if len(path.parts) == 1:
        raise UserError(
            f"{value}: a container must not see this machine's whole file system; name a folder."
        )
    return path if path.exists() else None


def _outermost(paths: list[Path]) -> list[Path]:
    """Return the paths that are not inside another one, each once."""
    found: list[Path] = []
    for path in sorted(set(paths)):
        if not any(_within(path, outer) for outer in found):
            found.append(path)
    return found


def _within(path: Path, folder: Path) -> bool:
    return path == folder or folder in path.parents
