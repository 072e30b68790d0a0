"""The prober: sends golden examples to a candidate, and checks its answers and latencies."""

import logging
import threading
import time
from bisect import insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kfp_tabular.components.common.artifacts.golden_examples import TOLERANCE
from kfp_tabular.components.common.artifacts.model_document import ModelSpec
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
        model: The model's description.
        bounds: The bounds to keep.
        access: How to reach candidates.
    """

    def __init__(
        self,
        name: str,
        requests: Sequence[GoldenRequest],
        model: ModelSpec,
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
        least = max(self._bounds.requests, len(self._requests))
        probe = _Probe(lambda number: self._query(address, number), self._bounds, least, seconds)
        return probe.run(pause, watch)

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

    def _query(self, address: EndpointAddress, number: int) -> "_QueryResult":
        request = self._requests[number % len(self._requests)]
        begin = time.monotonic()
        try:
            status, answer = self._client.post(address, self._path, request.body)
        except OSError as error:
            return _QueryResult(error=str(error))
        seconds = time.monotonic() - begin
        if status != 200:
            return _QueryResult(error=f"HTTP {status}")
        try:
            difference = predict_protocol.difference(request, answer, self._model)
        except AnswerError as error:
            return _QueryResult(seconds, wrong=f"golden example {request.row}: {error}")
        # NaN is too far away, too.
        if difference <= TOLERANCE:
            return _QueryResult(seconds, difference)
        wrong = f"golden example {request.row} differs by {difference:.3g}"
        return _QueryResult(seconds, difference, wrong=wrong)


@dataclass(frozen=True)
class _QueryResult:
    """One request.

    Attributes:
        seconds: Its latency.
        difference: The difference of its answer from the golden one.
        error: How it failed; empty if it was answered with status 200.
        wrong: How its answer differs; empty if it is within the tolerance.
    """

    seconds: float = 0.0
    difference: float = 0.0
    error: str = ""
    wrong: str = ""


class _Probe:
    """The requests of one step, sent by several threads.

    Args:
        query: Sends the request of a number.
        bounds: The bounds to keep.
        least: The fewest requests.
        seconds: How long at least.
    """

    def __init__(
        self,
        query: Callable[[int], _QueryResult],
        bounds: VerificationBounds,
        least: int,
        seconds: float,
    ) -> None:
        self._query, self._bounds, self._least, self._seconds = query, bounds, least, seconds
        self._planned = max(least, round(seconds * bounds.requests_per_second))
        self._numbers = iter(range(self._planned))
        self._results = ProbeResults()
        self._lock, self._over = threading.Lock(), threading.Event()
        self._broken: list[Exception] = []
        self._begin = time.monotonic()

    def run(self, pause: Callable[[float], None], watch: Callable[[], None]) -> ProbeResults:
        """Send the requests and return the results; see `Prober.check`."""
        threads = [
            threading.Thread(target=self._work, name=f"probe-{index}", daemon=True)
            for index in range(self._bounds.concurrency)
        ]
        for thread in threads:
            thread.start()
        try:
            while any(thread.is_alive() for thread in threads) and not self._broken:
                with self._lock:
                    self._check(self._results, self._planned)
                watch()
                # A candidate that is too slow for the whole plan has been queried long enough.
                elapsed = time.monotonic() - self._begin
                if self._results.requests >= self._least and elapsed >= self._seconds:
                    break
                pause(_LOOK_SECONDS)
        finally:
            self._over.set()
        if self._broken:
            raise self._broken[0]
        with self._lock:
            found = self._results
            results = ProbeResults(
                list(found.latencies), list(found.errors), list(found.wrong), found.largest
            )
        self._check(results)
        return results

    def _check(self, results: ProbeResults, planned: int = 0) -> None:
        failed = candidate_checks.failure(results, self._bounds, planned)
        if failed:
            raise CheckFailedError(failed)

    def _work(self) -> None:
        try:
            while not self._over.is_set():
                with self._lock:
                    number = next(self._numbers, None)
                if number is None or self._over.wait(self._delay(number)):
                    return
                self._record(self._query(number))
        except Exception as error:  # noqa: BLE001 - raised again by the main thread
            self._broken.append(error)

    def _delay(self, number: int) -> float:
        # Requests follow a timetable, and are spread over the step.
        on_time = number / self._bounds.requests_per_second
        spread = number * max(self._seconds, 0.0) / self._planned
        return max(0.0, self._begin + min(on_time, spread) - time.monotonic())

    def _record(self, result: _QueryResult) -> None:
        with self._lock:
            if result.error:
                self._results.errors.append(result.error)
                return
            # Kept sorted, so that checking a day of requests takes no time.
            insort(self._results.latencies, result.seconds)
            self._results.largest = max(self._results.largest, result.difference)
            if result.wrong:
                self._results.wrong.append(result.wrong)
