"""Asks a candidate the golden examples for a while, and measures its answers."""

import logging
import threading
import time
from bisect import insort
from collections.abc import Callable, Sequence

from kfp_tabular.components.common.artifacts.golden_examples import TOLERANCE
from kfp_tabular.components.deployment.kserve.resources.inference_service import predict_path
from kfp_tabular.components.deployment.kserve.resources.model_location import (
    Model,
)
from kfp_tabular.components.deployment.kserve.resources.service_settings import (
    Access,
    Verification,
)
from kfp_tabular.components.deployment.kserve.verification import candidate_checks, predict_protocol
from kfp_tabular.components.deployment.kserve.verification.candidate_checks import (
    CheckFailedError,
    Measured,
)
from kfp_tabular.components.deployment.kserve.verification.endpoint_client import Client, Target
from kfp_tabular.components.deployment.kserve.verification.predict_protocol import (
    AnswerError,
    Question,
)

_LOOK_SECONDS = 0.1
_STARTUP_SECONDS = 0.5
_ROUTERS_STATUSES = frozenset({404, 502, 503, 504})

_logger = logging.getLogger(__name__)


class Prober:
    """Verifies candidates of one model.

    Args:
        name: The model's name in the endpoint's paths.
        questions: The golden examples; none is an empty check.
        model: The model.
        bounds: What to pass.
        access: How to reach candidates.
    """

    def __init__(
        self,
        name: str,
        questions: Sequence[Question],
        model: Model,
        bounds: Verification,
        access: Access,
    ) -> None:
        self._path = predict_path(name)
        self._questions, self._model, self._bounds = questions, model, bounds
        self._client = Client(access, bounds.concurrency)
        self._reached: set[Target] = set()

    def check(
        self,
        target: Target,
        seconds: float,
        pause: Callable[[float], None],
        watch: Callable[[], None] = lambda: None,
    ) -> Measured:
        """Asks a candidate for some time, and longer where there were too few requests by then.

        Args:
            target: The candidate.
            seconds: How long at the least.
            pause: Waits for some seconds; may raise to end the check.
            watch: Called again and again meanwhile; may raise to end the check.

        Returns:
            What was measured.

        Raises:
            CheckFailedError: As soon as the candidate cannot pass any more.
        """
        if not self._questions:
            end = time.monotonic() + seconds
            while (left := end - time.monotonic()) > 0:
                watch()
                pause(min(left, 1))
            return Measured()
        self._await_answer(target, pause)
        measured, lock, over = Measured(), threading.Lock(), threading.Event()
        broken: list[Exception] = []
        begin = time.monotonic()
        rate = self._bounds.requests_per_second
        least = max(self._bounds.requests, len(self._questions))
        planned = max(least, round(seconds * rate))
        tickets = iter(range(planned))

        def work() -> None:
            try:
                ask()
            except Exception as error:  # noqa: BLE001 - a thread's errors are the main one's to judge
                broken.append(error)

        def ask() -> None:
            while not over.is_set():
                with lock:
                    number = next(tickets, None)
                if number is None:
                    return
                # Requests keep to a timetable, and are not sent sooner than the rest needs.
                spread = min(number / rate, number * max(seconds, 0.0) / planned)
                if over.wait(max(0.0, begin + spread - time.monotonic())):
                    return
                self._ask(target, number, measured, lock)

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
                # A candidate so slow that the plan is never done has been asked long enough.
                if measured.requests >= least and time.monotonic() - begin >= seconds:
                    break
                pause(_LOOK_SECONDS)
        finally:
            over.set()
        if broken:
            raise broken[0]
        with lock:
            result = Measured(
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
        """Takes new connections from now on: one stays with the pod that it was made to."""
        self._client.reconnect()

    def _await_answer(self, target: Target, pause: Callable[[float], None]) -> None:
        """Waits until routes have changed and a first pod is there; then everything counts.

        Only what routers say counts as not there yet. A model's answer is one, however bad.
        """
        if target in self._reached:
            return
        end = time.monotonic() + self._bounds.startup_seconds
        while True:
            problem = self._tried(target, pause)
            if not problem:
                self._reached.add(target)
                return
            if time.monotonic() >= end:
                raise CheckFailedError(
                    f"reachability: {target} did not answer within "
                    f"{self._bounds.startup_seconds:g} s: {problem}. See service.access."
                )
            pause(_STARTUP_SECONDS)

    def _tried(self, target: Target, pause: Callable[[float], None]) -> str:
        """Asks once, and gives what keeps the target from answering; `pause` may end that."""
        problems: list[str] = []
        thread = threading.Thread(
            target=lambda: problems.append(self._problem(target)), name="probe-first", daemon=True
        )
        thread.start()
        while thread.is_alive():
            pause(0)
            thread.join(_LOOK_SECONDS)
        if not problems:
            raise RuntimeError(f"the first request to {target} broke off")
        return problems[0]

    def _problem(self, target: Target) -> str:
        try:
            status, _ = self._client.post(target, self._path, self._questions[0].body)
        except OSError as error:
            return str(error)
        return f"HTTP {status}" if status in _ROUTERS_STATUSES else ""

    def _judge(self, measured: Measured, lock: threading.Lock, planned: int) -> None:
        with lock:
            failed = candidate_checks.failure(measured, self._bounds, planned)
        if failed:
            raise CheckFailedError(failed)

    def _ask(self, target: Target, number: int, measured: Measured, lock: threading.Lock) -> None:
        question = self._questions[number % len(self._questions)]
        begin = time.monotonic()
        error, wrong, apart = "", "", 0.0
        try:
            status, answer = self._client.post(target, self._path, question.body)
            seconds = time.monotonic() - begin
            if status != 200:
                error = f"HTTP {status}"
            else:
                apart = predict_protocol.difference(question, answer, self._model)
                if not apart <= TOLERANCE:
                    wrong = f"golden example {question.row} differs by {apart:.3g}"
        except AnswerError as refused:
            wrong = f"golden example {question.row}: {refused}"
        except OSError as lost:
            error = str(lost)
        with lock:
            if error:
                measured.errors.append(error)
                return
            # In order, so that looking at a day's worth takes no time.
            insort(measured.latencies, seconds)
            measured.largest = max(measured.largest, apart)
            if wrong:
                measured.wrong.append(wrong)
