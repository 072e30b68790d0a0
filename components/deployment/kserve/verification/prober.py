"""A prober: sends golden examples to a candidate for a while, and checks answers and latencies."""

import logging
import threading
import time
from bisect import insort
from collections.abc import Callable, Sequence

from kfp_tabular.components.common.artifacts.golden_examples import TOLERANCE
from kfp_tabular.components.deployment.kserve.resources.deployed_model import DeployedModel
from kfp_tabular.components.deployment.kserve.resources.inference_service import predict_path
from kfp_tabular.components.deployment.kserve.resources.verification_settings import (
    EndpointAccess,
    VerificationBounds,
)
from kfp_tabular.components.deployment.kserve.verification import candidate_checks, predict_protocol
from kfp_tabular.components.deployment.kserve.verification.candidate_checks import (
    CheckFailedError,
    ProbeResults,
)
from kfp_tabular.components.deployment.kserve.verification.endpoint_address import EndpointAddress
from kfp_tabular.components.deployment.kserve.verification.endpoint_client import EndpointClient
from kfp_tabular.components.deployment.kserve.verification.predict_protocol import (
    AnswerError,
    GoldenRequest,
)

_LOOK_SECONDS = 0.1
_STARTUP_SECONDS = 0.5
_ROUTER_STATUSES = frozenset({404, 502, 503, 504})

_logger = logging.getLogger(__name__)


class Prober:
    """Verifies candidates of one model.

    Args:
        name: The model's name in the endpoint's paths.
        requests: The golden examples as requests; without any, a check only waits.
        model: The model.
        bounds: The bounds to keep.
        access: How to reach candidates.
    """

    def __init__(
        self,
        name: str,
        requests: Sequence[GoldenRequest],
        model: DeployedModel,
        bounds: VerificationBounds,
        access: EndpointAccess,
    ) -> None:
        self._path = predict_path(name)
        self._requests, self._model, self._bounds = requests, model, bounds
        self._client = EndpointClient(access, bounds.concurrency)
        self._reached: set[EndpointAddress] = set()

    def check(
        self,
        address: EndpointAddress,
        seconds: float,
        pause: Callable[[float], None],
        watch: Callable[[], None] = lambda: None,
    ) -> ProbeResults:
        """Query a candidate for some time, and longer if there were too few requests by then.

        Args:
            address: The candidate's address.
            seconds: How long at least.
            pause: Waits for some seconds; may raise to end the check.
            watch: Called repeatedly meanwhile; may raise to end the check.

        Returns:
            The results.

        Raises:
            CheckFailedError: As soon as the candidate can no longer pass.
        """
        if not self._requests:
            end = time.monotonic() + seconds
            while (left := end - time.monotonic()) > 0:
                watch()
                pause(min(left, 1))
            return ProbeResults()
        self._await_answer(address, pause)
        measured, lock, over = ProbeResults(), threading.Lock(), threading.Event()
        broken: list[Exception] = []
        begin = time.monotonic()
        rate = self._bounds.requests_per_second
        least = max(self._bounds.requests, len(self._requests))
        planned = max(least, round(seconds * rate))
        tickets = iter(range(planned))

        def work() -> None:
            try:
                ask()
            except Exception as error:  # noqa: BLE001 - raised again by the main thread
                broken.append(error)

        def ask() -> None:
            while not over.is_set():
                with lock:
                    number = next(tickets, None)
                if number is None:
                    return
                # Requests follow a timetable, and are spread over the step.
                spread = min(number / rate, number * max(seconds, 0.0) / planned)
                if over.wait(max(0.0, begin + spread - time.monotonic())):
                    return
                self._query(address, number, measured, lock)

        threads = [
            threading.Thread(target=work, name=f"probe-{index}", daemon=True)
            for index in range(self._bounds.concurrency)
        ]
        for thread in threads:
            thread.start()
        try:
            while any(thread.is_alive() for thread in threads) and not broken:
                self._judge(measured, lock, planned)
                watch()
                # A candidate that is too slow for the whole plan has been queried long enough.
                if measured.requests >= least and time.monotonic() - begin >= seconds:
                    break
                pause(_LOOK_SECONDS)
        finally:
            over.set()
        if broken:
            raise broken[0]
        with lock:
            result = ProbeResults(
                list(measured.latencies),
                list(measured.errors),
                list(measured.wrong),
                measured.largest,
            )
        failed = candidate_checks.failure(result, self._bounds)
        if failed:
            raise CheckFailedError(failed)
        return result

    def reconnect(self) -> None:
        """Use new connections from now on: a connection stays with the pod that it was made to."""
        self._client.reconnect()

    def _await_answer(self, address: EndpointAddress, pause: Callable[[float], None]) -> None:
        """Wait until routes have changed and a first pod answers; from then on everything counts.

        Only responses of routers mean "not there yet". Any response of a model counts.
        """
        if address in self._reached:
            return
        end = time.monotonic() + self._bounds.startup_seconds
        while True:
            problem = self._first_problem(address, pause)
            if not problem:
                self._reached.add(address)
                return
            if time.monotonic() >= end:
                raise CheckFailedError(
                    f"reachability: {address} did not answer within "
                    f"{self._bounds.startup_seconds:g} s: {problem}. See service.access."
                )
            pause(_STARTUP_SECONDS)

    def _first_problem(self, address: EndpointAddress, pause: Callable[[float], None]) -> str:
        """Send one request; return what went wrong, or ''. `pause` may end the wait."""
        problems: list[str] = []
        thread = threading.Thread(
            target=lambda: problems.append(self._problem(address)), name="probe-first", daemon=True
        )
        thread.start()
        while thread.is_alive():
            pause(0)
            thread.join(_LOOK_SECONDS)
        if not problems:
            raise RuntimeError(f"the first request to {address} was not completed")
        return problems[0]

    def _problem(self, address: EndpointAddress) -> str:
        try:
            status, _ = self._client.post(address, self._path, self._requests[0].body)
        except OSError as error:
            return str(error)
        return f"HTTP {status}" if status in _ROUTER_STATUSES else ""

    def _judge(self, measured: ProbeResults, lock: threading.Lock, planned: int) -> None:
        with lock:
            failed = candidate_checks.failure(measured, self._bounds, planned)
        if failed:
            raise CheckFailedError(failed)

    def _query(
        self,
        address: EndpointAddress,
        number: int,
        measured: ProbeResults,
        lock: threading.Lock,
    ) -> None:
        request = self._requests[number % len(self._requests)]
        begin = time.monotonic()
        error, wrong, apart = "", "", 0.0
        try:
            status, answer = self._client.post(address, self._path, request.body)
            seconds = time.monotonic() - begin
            if status != 200:
                error = f"HTTP {status}"
            else:
                apart = predict_protocol.difference(request, answer, self._model)
                if not apart <= TOLERANCE:
                    wrong = f"golden example {request.row} differs by {apart:.3g}"
        except AnswerError as refused:
            wrong = f"golden example {request.row}: {refused}"
        except OSError as lost:
            error = str(lost)
        with lock:
            if error:
                measured.errors.append(error)
                return
            # Kept sorted, so that checking a day of requests takes no time.
            insort(measured.latencies, seconds)
            measured.largest = max(measured.largest, apart)
            if wrong:
                measured.wrong.append(wrong)
