"""The log of a task's pod, through the Kubeflow Pipelines server."""

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import kfp

# A log is read to its end, where the reason is; beyond these bounds, no further.
_MOST_BYTES = 64 * 2**20
_MOST_SECONDS = 60.0
_KEPT_BYTES = 2**20
_CHUNK = 2**16
_TIMEOUT = (10, 30)
_PATH = "/apis/v1alpha1/runs/{run_id}/nodes/{pod}/log"


@dataclass(frozen=True)
class PodLog:
    """What could be read of a pod's log.

    Attributes:
        lines: Its last lines, of at most 1 MiB.
        problem: Why it could not be read, or not to its end, as the rest of a sentence about the
            log; empty if it was.
        status: The status of a server's refusal; 0 without one.
    """

    lines: tuple[str, ...] = ()
    problem: str = ""
    status: int = 0


def read(client: "kfp.Client", run_id: str, pod: str) -> PodLog:
    """Read the log of a pod, from Kubernetes or, if the pod is gone, from the server's archive.

    Args:
        client: The client of the server.
        run_id: The run that the pod belongs to.
        pod: The pod's name.
    """
    import kfp_server_api
    import urllib3

    api = client._run_api.api_client
    try:
        response = api.call_api(
            _PATH,
            "GET",
            path_params={"run_id": run_id, "pod": pod},
            header_params={"Accept": "text/plain, application/json"},
            auth_settings=["Bearer"],
            _preload_content=False,
            _return_http_data_only=True,
            _request_timeout=_TIMEOUT,
        )
        return _within_bounds(response)
    except kfp_server_api.ApiException as error:
        status = f"{error.status} {error.reason}" if error.status else str(error.reason)
        return _unreadable(status, error.status or 0)
    except (urllib3.exceptions.HTTPError, OSError) as error:
        return _unreadable(f"{type(error).__name__}: {error}")


def _within_bounds(response: Any) -> PodLog:
    deadline = time.monotonic() + _MOST_SECONDS
    kept, size, problem = b"", 0, ""
    try:
        for chunk in response.stream(_CHUNK, decode_content=True):
            size += len(chunk)
            kept = (kept + chunk)[-_KEPT_BYTES:]
            if size > _MOST_BYTES:
                problem = f"was read to {_MOST_BYTES // 2**20} MiB only, since it is longer."
                break
            if time.monotonic() > deadline:
                problem = f"was read for {_MOST_SECONDS:.0f} s only, and not to its end."
                break
    finally:
        # The connection of a response that was not read to its end cannot be used again.
        response.close()
    before, _, last = kept.rpartition(b"\n")
    refusal = _refusal(last)
    if refusal:
        kept, problem = before, _unreadable(refusal).problem
    lines = kept.decode("utf-8", errors="replace").split("\n") if kept else []
    return PodLog(tuple(line.rstrip("\r") for line in lines), problem)


def _unreadable(reason: str, status: int = 0) -> PodLog:
    text = " ".join(reason.split())[:300].rstrip(".")
    return PodLog(problem=f"cannot be read: {text}.", status=status)


def _refusal(line: bytes) -> str:
    """Return the error in a last line; the server sends one as JSON, with status 200."""
    if not line.startswith(b"{"):
        return ""
    try:
        document = json.loads(line)
    except ValueError:
        return ""
    if not isinstance(document, dict) or "error_message" not in document:
        return ""
    return str(document["error_message"])
