"""A real MLflow server on loopback, which can be killed and started again on the same data."""

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kfp_tabular.components.common.tracking import embedded_store
from kfp_tabular.components.common.tracking.address import embedded
from kfp_tabular.pipelines.environments.location import default_folder
from tests.servers import stores

_SECONDS = 240


class Server:
    """A server in a folder of its own.

    Args:
        folder: Holds its database and artifacts.
        app: The name of an app of MLflow's, such as `basic-auth`; empty for none.

    Attributes:
        url: Its address.
    """

    def __init__(self, folder: Path, app: str = "") -> None:
        self.folder = folder
        self._app = app
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        embedded_store.ensure(embedded(self.folder))
        python = default_folder() / "mlflow" / "bin" / "python"
        command = [str(python), "-m", "mlflow", "server", "--host", "127.0.0.1"]
        command += ["--port", str(self.port), "--workers", "1"]
        command += ["--backend-store-uri", embedded(self.folder).uri]
        command += ["--artifacts-destination", str(self.folder / "artifacts"), "--serve-artifacts"]
        if self._app:
            command += ["--app-name", self._app]
        variables = {
            **os.environ,
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_FLASK_SERVER_SECRET_KEY": "only-for-tests",
            "MLFLOW_AUTH_CONFIG_PATH": str(self._auth_config()),
        }
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, env=variables, start_new_session=True
            )
        self._wait()

    def kill(self) -> None:
        """Kill it with all of its processes, at once."""
        if self._process is not None:
            os.killpg(self._process.pid, 9)
            self._process.wait()
            self._process = None

    def _auth_config(self) -> Path:
        path = self.folder / "auth.ini"
        database = self.folder / "auth.db"
        path.write_text(
            "[mlflow]\ndefault_permission = MANAGE\n"
            f"database_uri = sqlite:///{database}\n"
            "admin_username = admin\nadmin_password = only-for-tests-7431\n"
            "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
        )
        return path

    def _wait(self) -> None:
        assert self._process is not None
        try:
            stores.wait_for(self._process, f"{self.url}/health", _SECONDS)
        except (RuntimeError, TimeoutError) as error:
            log = (self.folder / "server.log").read_text(encoding="utf-8", errors="replace")
            pytest.fail(f"the server does not answer: {error}\n{log[-3000:]}")


def require() -> None:
    """Skip the test where MLflow's environment was not made."""
    if not (default_folder() / "mlflow" / "bin" / "python").exists():
        pytest.skip("no environment mlflow: make mlflow")


@contextmanager
def running(folder: Path, app: str = "") -> Iterator[Server]:
    """Run a server until the block ends."""
    require()
    server = Server(folder, app)
    server.start()
    try:
        yield server
    finally:
        server.kill()
