"""Looking at a run on a server that may be away for a while."""

import logging
import time
from typing import TYPE_CHECKING, Any

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.pipelines.kubeflow import pod_logs
from kfp_tabular.pipelines.kubeflow.connection import Server, connect
from kfp_tabular.pipelines.kubeflow.pod_logs import PodLog

if TYPE_CHECKING:
    import kfp

_UNREACHABLE_SECONDS = 600.0
_UNAUTHORIZED = 401
_TOO_MANY = 429
_SERVER_ERROR = 500
_LOG_RETRIES = 3
_LOG_WAIT_SECONDS = 1.0

_logger = logging.getLogger(__name__)


class RunWatcher:
    """Looks at a run, and at the logs of its pods.

    The server may be unreachable for ten minutes. A token may expire and be replaced in its file.

    Args:
        server: The server of the run.
        run_id: The run.
    """

    def __init__(self, server: Server, run_id: str) -> None:
        self._server = server
        self._run_id = run_id
        self._client: kfp.Client | None = connect(server)
        self._reached = time.monotonic()
        self._let_in = False

    def look(self) -> Any:
        """Return the run as the server has it.

        Raises:
            UserError: If the server denies access, does not know the run, or stays unreachable.
        """
        import kfp_server_api
        import urllib3

        wait = 1.0
        while True:
            client = self._connected()
            try:
                run = client.get_run(self._run_id)
            except kfp_server_api.ApiException as error:
                status = error.status or 0
                if status == _UNAUTHORIZED and self._let_in:
                    # The token has expired: its file, or the pod's volume, has the next one.
                    self._let_in, self._client = False, None
                    continue
                if 0 < status < _SERVER_ERROR and status != _TOO_MANY:
                    raise UserError(
                        f"{self._server.name}: run {self._run_id} cannot be read ({status}): "
                        f"{error.reason}."
                    ) from error
                reason = str(error.reason)
            except (urllib3.exceptions.HTTPError, TimeoutError) as error:
                reason = str(error)
            else:
                self._reached, self._let_in = time.monotonic(), True
                return run
            if time.monotonic() - self._reached > _UNREACHABLE_SECONDS:
                raise UserError(
                    f"{self._server.name} could not be reached for ten minutes: {reason}. The run "
                    "continues."
                )
            _logger.warning("%s: %s; trying again", self._server.name, reason)
            time.sleep(wait)
            wait = min(wait * 2, 30.0)

    def log(self, pod: str) -> PodLog:
        """Return what can be read of a pod's log."""
        wait = _LOG_WAIT_SECONDS
        for _ in range(_LOG_RETRIES):
            log = pod_logs.read(self._connected(), self._run_id, pod)
            if log.status == _UNAUTHORIZED:
                self._client = None
            elif log.status != _TOO_MANY and log.status < _SERVER_ERROR:
                return log
            _logger.warning("the log of %s %s Trying again.", pod, log.problem)
            time.sleep(wait)
            wait *= 2
        return pod_logs.read(self._connected(), self._run_id, pod)

    def _connected(self) -> "kfp.Client":
        if self._client is None:
            self._client = connect(self._server)
        return self._client
