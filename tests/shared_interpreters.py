"""Preloaded interpreters that the local runs of a session of tests share.

A run loads an interpreter per environment and ends it again, which takes about 13 seconds of a
processor, a third of a small run. Here an environment's interpreter is loaded once, when the first
run asks for it. A run gets environments whose `python3` answers the call to load an interpreter
with the one that is there, and passes every other call on. Tasks are forked from it as from a
run's own.

A run whose working directory or PYTHONPATH holds a `kfp_tabular` loads its own.
"""

import contextlib
import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

_SERVER = "kfp_tabular.pipelines.local.virtual_environments.fork_server"
_PACKAGE = "kfp_tabular"
_NAMES = ("tensorflow", "tfdv", "serving", "launcher")
_SOCKET, _LOCK, _ALIVE = "socket", "lock", "alive"

_PYTHON = f"""#!/bin/sh
[ "$2" != {_SERVER} ] || exec '{{python}}' -IS '{__file__}' '{{shared}}' '{{python}}' "$@"
exec '{{python}}' "$@"
"""


@contextlib.contextmanager
def environments(real: Path, folder: Path) -> Iterator[Path]:
    """Make a folder of environments whose runs share preloaded interpreters, until the block ends.

    Args:
        real: The folder of the environments themselves.
        folder: An empty one for these.

    Yields:
        The folder to name in KFP_TABULAR_VENVS.
    """
    alive = folder / _ALIVE
    os.mkfifo(alive)
    # Interpreters serve until nobody can write here: until this process ends, however it ends.
    writer = os.open(alive, os.O_RDWR | os.O_CLOEXEC)
    found = folder / "venvs"
    found.mkdir()
    try:
        for environment in real.iterdir():
            if environment.name in _NAMES:
                shared = folder / environment.name
                shared.mkdir()
                _imitate(environment, found / environment.name, shared)
            else:
                (found / environment.name).symlink_to(environment)
        yield found
    finally:
        os.close(writer)


def _imitate(real: Path, folder: Path, shared: Path) -> None:
    """Make an environment of links to another one, but for `python3`."""
    (folder / "bin").mkdir(parents=True)
    for path in real.iterdir():
        if path.name != "bin":
            (folder / path.name).symlink_to(path)
    for path in (real / "bin").iterdir():
        if not path.name.startswith("python"):
            (folder / "bin" / path.name).symlink_to(path)
    python = folder / "bin" / "python3"
    python.write_text(_PYTHON.format(python=real / "bin" / "python3", shared=shared))
    python.chmod(0o755)
    (folder / "bin" / "python").symlink_to(python.name)


def main() -> int:
    """Answer a run's call to load an interpreter: put the shared one where the run looks for it.

    Only the standard library is at hand here.
    """
    shared, python, *call = sys.argv[1:]
    search = [".", *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    if any(Path(entry or ".", _PACKAGE).exists() for entry in search):
        os.execv(python, [python, *call])
    if not _is_loaded(Path(shared), python, call):
        return 1
    place = Path(call[call.index("--socket") + 1])
    place.symlink_to(Path(shared, _SOCKET))
    sys.stdin.read()  # until the run is over
    return 0


def _is_loaded(shared: Path, python: str, call: list[str]) -> bool:
    """Load the interpreter, if it is not loaded yet, and wait for it."""
    address = shared / _SOCKET
    with (shared / _LOCK).open("a") as lock:
        while True:
            try:
                # The interpreter keeps the lock, so whoever gets it knows that none is there.
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if address.exists():
                    return True
                time.sleep(0.05)
                continue
            return _load(shared, python, call, lock.fileno())


def _load(shared: Path, python: str, call: list[str], lock: int) -> bool:
    address = shared / _SOCKET
    for path in (address, Path(f"{address}.partial")):
        path.unlink(missing_ok=True)
    own = ("KFP_TABULAR_", "MLFLOW_", "PYTHONPATH")  # the first run's, not everybody's
    variables = {name: text for name, text in os.environ.items() if not name.startswith(own)}
    position = call.index("--socket") + 1
    with (shared.parent / _ALIVE).open() as alive, (shared / "log").open("ab") as log:
        process = subprocess.Popen(
            [python, *call[:position], str(address), *call[position + 1 :]],
            stdin=alive,
            stdout=log,
            stderr=log,
            cwd=shared,
            env=variables,
            pass_fds=[lock],
            start_new_session=True,
        )
    while process.poll() is None:
        if address.exists():
            return True
        time.sleep(0.02)
    return False


if __name__ == "__main__":
    sys.exit(main())
