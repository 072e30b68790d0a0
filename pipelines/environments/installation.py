"""Makes virtual environments from the locks that the package carries.

An environment counts as made once its stamp is there, which names the lock, the interpreter and the
package that it was made from. One that was interrupted, or whose lock has changed since, is made
anew; one whose package alone has changed gets the new package.
"""

import fcntl
import hashlib
import importlib.metadata
import json
import logging
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kfp_tabular import components
from kfp_tabular.components.common import files
from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.pipelines.environments import location

NAMES = ("tensorflow", "tfdv", "serving", "launcher")
"""The environments that runs on this machine use, in the order in which they are made."""

OPTIONAL = location.ON_DEMAND

GIGABYTES = {
    "tensorflow": 3.3,
    "tfdv": 2.7,
    "serving": 0.5,
    "launcher": 0.2,
    "spark": 0.6,
    "mlflow": 0.9,
}
"""Disk that each adds to those before it, in 10^9 bytes, where uv can link to its cache."""

_PACKAGE = "kfp-tabular"
_STAMP = ".made-from"
_LOCK_FILE = ".setup.lock"
_TOOL = "uv"
_PYTHONS = ((3, 11), (3, 13))
_TFDV_GLIBC = (2, 38)
_LEGACY_PYTHON = "3.11"

_logger = logging.getLogger(__name__)


class InstallationError(RuntimeError):
    """An environment could not be made; the message ends with the installer's own last lines."""


@dataclass(frozen=True)
class EnvironmentPlan:
    """How one environment is made.

    Attributes:
        name: The environment's name, which is the image's.
        lock: The requirements file, with hashes.
        python: The interpreter that it is made with.
        made_from: What its stamp names: digests of `lock` and `package`, and the interpreter.
    """

    name: str
    lock: Path
    python: Path
    made_from: Mapping[str, str]


def install(
    folder: Path, names: Sequence[str] = NAMES, show: Callable[[str], None] = _logger.info
) -> list[str]:
    """Make the environments that are missing or out of date.

    Two calls for one folder wait for each other. An interrupted call leaves no environment that
    looks finished.

    Args:
        folder: Where they go, a folder each.
        names: Which, of `NAMES` and `OPTIONAL`; none for `NAMES`.
        show: Takes a line about each step.

    Returns:
        The names of those that were made.

    Raises:
        UserError: For an unknown name, a Python that the locks do not support, a folder that
            cannot be made, or a disk without room.
        InstallationError: Where packages could not be fetched or installed.
    """
    plans = [plan(name) for name in names or NAMES]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"--folder {folder}: cannot be made: {error.strerror}. Choose a folder that you can "
            "write to."
        ) from error
    with _exclusive(folder, show):
        found = {each.name: _made_from(folder / each.name) for each in plans}
        stale = [each for each in plans if found[each.name] != each.made_from]
        if not stale:
            return []
        missing = [
            each
            for each in stale
            if {**found[each.name], "package": ""} != {**each.made_from, "package": ""}
        ]
        _check_room(folder, missing)
        tool = _installer(folder)
        for number, each in enumerate(stale, 1):
            show(f"environment {each.name} ({number} of {len(stale)})")
            _make(folder / each.name, each, tool, only_package=each not in missing)
    return [each.name for each in stale]


def plan(name: str) -> EnvironmentPlan:
    """Return how an environment is made on this machine.

    TFDV's current wheel needs glibc 2.38. Older hosts get the lock of the last version that loads
    there, which needs Python 3.11.

    Raises:
        UserError: For an unknown name, or where no fitting Python is found.

    Example:
        >>> plan("launcher").lock.name
        'requirements.txt'
        >>> plan("launch")
        Traceback (most recent call last):
            ...
        kfp_tabular.components.common.errors.UserError: no environment 'launch'. Did you mean
        'launcher'? Known: tensorflow, tfdv, serving, launcher, spark, mlflow.
    """
    known = (*NAMES, *OPTIONAL)
    if name not in known:
        raise UserError(
            f"no environment {name!r}.{closest(name, known)} Known: {', '.join(known)}."
        )
    python = Path(sys.executable)
    lock = "requirements.txt"
    if name == "tfdv" and _glibc() < _TFDV_GLIBC:
        lock = "requirements-glibc-2.36.txt"
        python = _python(_LEGACY_PYTHON, "TFDV for a glibc before 2.38")
    elif not _PYTHONS[0] <= sys.version_info[:2] <= _PYTHONS[1]:
        python = _python(_LEGACY_PYTHON, "the environments")
    path = locks() / name / lock
    record = "" if location.is_clone() else _distribution().read_text("RECORD") or ""
    made_from = {
        "lock": _digest(path.read_bytes()),
        "package": _digest(record.encode()),
        "python": str(python),
    }
    return EnvironmentPlan(name, path, python, made_from)


def locks() -> Path:
    """Return the folder of the images' lock files inside the package.

    Example:
        >>> (locks() / "tensorflow" / "requirements.txt").is_file()
        True
    """
    return Path(next(iter(components.__path__))) / "images"


def _distribution() -> importlib.metadata.Distribution:
    """Return this package's own metadata, whatever another on `sys.path` is called."""
    beside = str(location.SOURCES.parent)
    return next(iter(importlib.metadata.distributions(name=_PACKAGE, path=[beside])))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _glibc() -> tuple[int, int]:
    _, version = platform.libc_ver()
    major, _, minor = version.partition(".")
    # Another C library has no version here; the current wheels then say themselves what they need.
    return (int(major), int(minor)) if major and minor.isdigit() else _TFDV_GLIBC


def _python(version: str, purpose: str) -> Path:
    if sys.version_info[:2] == tuple(map(int, version.split("."))):
        return Path(sys.executable)
    found = shutil.which(f"python{version}")
    if found is None:
        raise UserError(
            f"python{version} is not on PATH; {purpose} need it, and this is Python "
            f"{platform.python_version()}. Install python{version} with its venv module."
        )
    return Path(found)


def _made_from(target: Path) -> Mapping[str, str]:
    """Return what an environment's stamp names; nothing where it is not finished."""
    try:
        found: dict[str, str] = json.loads((target / _STAMP).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return found


def _check_room(folder: Path, plans: Sequence[EnvironmentPlan]) -> None:
    needed = sum(GIGABYTES[each.name] for each in plans)
    free = shutil.disk_usage(folder).free / 1e9
    if free < needed:
        raise UserError(
            f"{folder}: {free:.1f} GB free, and {', '.join(each.name for each in plans)} need "
            f"{needed:.1f} GB. Free some, or choose another folder with --folder."
        )


@contextmanager
def _exclusive(folder: Path, show: Callable[[str], None]) -> Iterator[None]:
    with (folder / _LOCK_FILE).open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            show(f"another setup is at work in {folder}; waiting for it")
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _installer(folder: Path) -> Path:
    """Return uv at the locked version, installed into an environment of its own."""
    home = folder / _TOOL
    lock = locks() / f"{_TOOL}.txt"
    digest = _digest(lock.read_bytes())
    stamp = home / _STAMP
    program = home / "bin" / _TOOL
    if not (stamp.is_file() and stamp.read_text(encoding="utf-8") == digest):
        shutil.rmtree(home, ignore_errors=True)
        _call(sys.executable, "-m", "venv", home)
        pip = home / "bin" / "pip"
        _call(
            *(pip, "install", "-q", "--disable-pip-version-check", "--require-hashes", "-r", lock)
        )
        files.write_text(stamp, digest)
    return program


def _make(target: Path, wanted: EnvironmentPlan, tool: Path, *, only_package: bool) -> None:
    python = target / "bin" / "python"
    (target / _STAMP).unlink(missing_ok=True)
    if not only_package:
        shutil.rmtree(target, ignore_errors=True)
        _call(tool, "venv", "-q", "--python", wanted.python, target)
        # Byte code is compiled once, here: without it, importing TensorFlow takes twice as long.
        _call(
            *(tool, "pip", "sync", "-q", "--require-hashes", "--compile-bytecode"),
            *("--python", python, wanted.lock),
        )
    _add_package(python, tool)
    files.write_text(target / _STAMP, json.dumps(wanted.made_from, sort_keys=True))


def _add_package(python: Path, tool: Path) -> None:
    """Add this very package to an environment: a clone by a link, else a copy of the files."""
    if location.is_clone():
        _call(
            *(tool, "pip", "install", "-q", "--no-deps", "--python", python),
            *("--build-constraints", locks() / "build.txt", "--editable", location.SOURCES),
        )
        return
    program = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site_packages = Path(_call(python, "-c", program).strip())
    for old in (site_packages / "kfp_tabular", *site_packages.glob("kfp_tabular-*.dist-info")):
        files.remove(old)
    for entry in _distribution().files or ():
        # Console scripts lie outside of site-packages; tasks are started as modules.
        if ".." in entry.parts or entry.suffix == ".pyc":
            continue
        copy = site_packages / entry
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(str(entry.locate()), copy)


def _call(*command: str | Path) -> str:
    environment = {key: value for key, value in os.environ.items() if key != "VIRTUAL_ENV"}
    done = subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    if done.returncode:
        last = "\n".join((done.stderr or done.stdout).strip().splitlines()[-5:])
        program = Path(command[0]).name
        raise InstallationError(f"{program} failed with code {done.returncode}:\n{last}")
    return done.stdout
