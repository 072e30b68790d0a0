"""A model version in memory, and what is needed to predict with it."""

import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field

from kfp_tabular.components.common.artifacts import lineage
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.serving.model.batching import Batcher
from kfp_tabular.serving.model.memory_release import release_memory
from kfp_tabular.serving.model.model_repository import ModelVersion
from kfp_tabular.serving.model.predictor import Predictor
from kfp_tabular.serving.model.version_check import VersionCheck
from kfp_tabular.serving.settings.server_settings import BatchSettings, ModelSettings

MOST_ABANDONED = 4
"""How many loads that took too long may still run, before no version is loaded any more."""


@dataclass(eq=False)
class LoadedVersion:
    """A loaded version.

    A request is decoded, predicted and encoded with the version that is current when it arrives,
    even if another version is served before it ends.

    Attributes:
        version: The name of the version's directory, or else a digest of its content.
        digest: The digest of its content; empty where digests are off.
        predictor: The model.
        batcher: Predicts the rows of requests.
        load_seconds: How long loading and warm-up took.
        requests: Requests in progress. Only the event loop's thread changes it.
    """

    version: str
    predictor: Predictor
    batcher: Batcher
    load_seconds: float
    digest: str = ""
    requests: int = 0


@dataclass(frozen=True)
class VersionLoader:
    """Loads versions. `load` blocks for seconds: call it in a thread while others are served.

    Attributes:
        executor: Where predictions run.
        batches: How requests share calls of the model.
        calls: How many calls of the model run in parallel.
        observe_call: Called with the rows and requests of each call of the model.
        settings: What is checked, and how long loading may take.
        explains: Whether versions explain predictions.
    """

    executor: Executor
    batches: BatchSettings
    calls: int
    observe_call: Callable[[int, int], None]
    settings: ModelSettings = field(default_factory=ModelSettings)
    explains: bool = False
    _running: list[threading.Thread] = field(default_factory=list)

    def load(self, found: ModelVersion) -> LoadedVersion:
        """Load a version and warm it up, on a thread of its own.

        A graph may hang when it is loaded or first called, and a thread cannot be ended. So after
        `load_seconds` its result is given up, and the next version can be loaded beside it.

        Raises:
            UserError: If it cannot be loaded, or not in time.
        """
        self._running[:] = [thread for thread in self._running if thread.is_alive()]
        if len(self._running) >= MOST_ABANDONED:
            raise UserError(
                f"{found.directory}: not loaded, because {MOST_ABANDONED} loads that took too long "
                "still run; restart the server."
            )
        seconds = self.settings.load_seconds or None
        done: Future[LoadedVersion] = Future()
        name = f"load-{found.version or 'model'}"
        thread = threading.Thread(target=self._run, args=[found, done], name=name, daemon=True)
        self._running.append(thread)
        thread.start()
        try:
            return done.result(seconds)
        except TimeoutError:
            raise UserError(
                f"{found.directory}: not loaded within {seconds:g} s (--load-seconds): it hangs or "
                "needs longer."
            ) from None

    def _run(self, found: ModelVersion, done: "Future[LoadedVersion]") -> None:
        try:
            done.set_result(self._load(found))
        except UserError as error:
            done.set_exception(error)
        except Exception as error:  # noqa: BLE001  a graph may raise anything while it is loaded
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            done.set_exception(UserError(f"{found.directory}: cannot load this version: {reason}"))

    def _load(self, found: ModelVersion) -> LoadedVersion:
        begin = time.monotonic()
        check = VersionCheck(
            self.settings.max_model_mib, self.settings.digests, self.settings.public_key
        )
        digest = check.check(found.directory, begin + (self.settings.load_seconds or math.inf))
        predictor = Predictor.load(found.directory, explains=self.explains)
        predictor.warm_up([self.batches.batch_rows])
        # What loading used, and more so preparing explanations.
        release_memory()
        return LoadedVersion(
            version=found.version
            or lineage.content_version(digest or lineage.digest(found.directory)),
            predictor=predictor,
            batcher=Batcher(
                predictor.predict,
                self.executor,
                self.batches,
                self.calls,
                self.observe_call,
                predictor.check,
            ),
            load_seconds=time.monotonic() - begin,
            digest=digest,
        )
