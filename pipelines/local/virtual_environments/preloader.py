"""Keeps one preloaded interpreter per environment while a pipeline runs."""

import logging
import os
import shlex
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from kfp_tabular.components.common.process.tensorflow import ENVIRONMENT
from kfp_tabular.pipelines.environments.location import Environments

_MLFLOW = "kfp_tabular.components.common.tracking.mlflow_client:load"

MODULES = {
    "tfdv": ("kfp_tabular.components.common.statistics.lean_tfdv:load",),
    "tensorflow": ("tensorflow", "tf_keras", "tensorflow_transform.beam"),
    "serving": ("tensorflow", _MLFLOW),
    "launcher": (_MLFLOW,),
}
"""By image, what its tasks import and takes seconds to load: modules, or MODULE:FUNCTION."""

_SHIM = Path(__file__).with_name("python_shim.py")
_logger = logging.getLogger(__name__)


class Preloader:
    """Starts preloaded interpreters one after another and gives tasks a PATH that uses them.

    Loading begins with the first task. One interpreter loads at a time, which leaves a core to the
    tasks that already run; once the first task is over, a second one loads beside it. The first
    task does not wait, and neither does a task whose interpreter has not begun to load: they get
    the plain interpreter.

    Args:
        environments: Where the virtual environments are.
        images: The images' names in the order in which their tasks run. Those without an entry in
            `MODULES` are left out.
        log: Receives what the interpreters print.
    """

    def __init__(self, environments: Environments, images: Sequence[str], log: Path) -> None:
        self._environments = environments
        self._queue = [name for name in dict.fromkeys(images) if name in MODULES]
        self._log = log
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._folder = tempfile.TemporaryDirectory(prefix="kfp-tabular-")
        self._lock = threading.Lock()
        self._stopped = False
        self._tasks = 0

    def __enter__(self) -> "Preloader":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._lock:
            self._stopped = True
        for process in self._processes.values():
            if process.stdin:
                process.stdin.close()
            process.kill()
            process.wait()
        self._folder.cleanup()

    def start_next(self) -> None:
        """Start the next interpreter, if one is left."""
        with self._lock:
            if not self._queue or self._stopped:
                return
            name = self._queue.pop(0)
            self._processes[name] = self._start(name)

    def bin(self, image: str) -> Path:
        """Return the folder to put first on the PATH of a task of this image.

        Waits for an interpreter that is loading. Where none was started or it failed to load, the
        folder is that of the image's virtual environment itself.

        Args:
            image: The image's name, a folder in the environments.
        """
        real = self._environments.python(image)
        with self._lock:
            self._tasks += 1
            tasks, process = self._tasks, self._processes.get(image)
        if tasks == 1:
            self.start_next()
            threading.Thread(target=self._start_all, name="preload", daemon=True).start()
            return real.parent
        if tasks == 2:
            self.start_next()
        if process is None or not self._ready(image, process):
            return real.parent
        folder = Path(self._folder.name) / f"{image}.bin"
        folder.mkdir(exist_ok=True)
        launcher = folder / "python3"
        call = shlex.join([str(real), "-IS", str(_SHIM), str(self._socket(image)), str(real)])
        launcher.write_text(f'#!/bin/sh\nexec {call} "$@"\n')
        launcher.chmod(0o700)
        return folder

    def _start_all(self) -> None:
        while True:
            with self._lock:
                if not self._queue or self._stopped:
                    return
                started = dict(self._processes)
            for name, process in started.items():
                self._ready(name, process)
            self.start_next()

    def _ready(self, name: str, process: subprocess.Popen[bytes]) -> bool:
        socket = self._socket(name)
        while process.poll() is None:
            if socket.exists():
                return True
            time.sleep(0.02)
        if not self._stopped:
            _logger.warning(
                "the preloaded interpreter of %s ended with code %s; tasks start their own. See %s",
                name,
                process.returncode,
                self._log,
            )
        return False

    def _socket(self, name: str) -> Path:
        return Path(self._folder.name) / f"{name}.socket"

    def _start(self, name: str) -> subprocess.Popen[bytes]:
        python = self._environments.python(name)
        module = f"{__package__}.fork_server"
        command = [str(python), "-m", module, "--socket", str(self._socket(name))]
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [*command, "--preload", ",".join(MODULES[name])],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env={**os.environ, **ENVIRONMENT, "_KFP_RUNTIME": "true"},
                start_new_session=True,
            )
