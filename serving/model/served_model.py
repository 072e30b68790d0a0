"""The served model: the release that answers now, and how it does, whatever the protocol."""

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Literal, TypeVar

from kserve.metrics import PREDICT_HIST_TIME, get_labels
from kserve.model import BaseKServeModel

from kfp_tabular.components.common.artifacts.model_document import CLASSES
from kfp_tabular.serving.metrics.instruments import Metrics, ModelIdentity
from kfp_tabular.serving.model.batching import OverloadedError
from kfp_tabular.serving.model.domain_rules import check
from kfp_tabular.serving.model.loaded_version import LoadedVersion
from kfp_tabular.serving.model.predictor import Predictor
from kfp_tabular.serving.protocol.model_interface import Arrays, ModelInterface
from kfp_tabular.serving.protocol.request_error import RequestError, not_ready
from kfp_tabular.serving.settings.server_settings import ValuePolicies

if TYPE_CHECKING:
    pass

Protocol = Literal["v1", "v2", "grpc"]

_Answer = TypeVar("_Answer")
_Result = TypeVar("_Result")

_SMALL_BODY = 16 * 1024
_SMALL_BATCH = 64
"""What is at most so large is decoded and encoded in the event loop: a hand-over to a thread costs
more than the work."""


class ServedModel(BaseKServeModel):  # type: ignore[misc]  # kserve has no types
    """A model of this project behind KServe's interface.

    Ready while it has a release and is not about to leave. It answers for as long as it has one: a
    load balancer may send requests for a while after it was told that there should be none.

    Args:
        name: The name in the endpoint's paths.
        policies: What to do about values outside of what the schema gives.
        executor: Where large requests are decoded and encoded.
        metrics: Where to count.
    """

    def __init__(
        self, name: str, policies: ValuePolicies, executor: Executor, metrics: Metrics
    ) -> None:
        super().__init__(name)
        self._policies = policies
        self._executor = executor
        self._metrics = metrics
        self._release: LoadedVersion | None = None
        self._leaving = False
        # KServe's own histogram: its dashboards show it.
        self._kserve_seconds = PREDICT_HIST_TIME.labels(**get_labels(name))

    def serve(self, release: LoadedVersion) -> LoadedVersion | None:
        """Answers with a release from the next request on.

        Args:
            release: Loaded and warm.

        Returns:
            The one before it. Its requests under way end with it.
        """
        before, self._release = self._release, release
        spec = release.predictor.interface.spec
        self._metrics.loaded(
            ModelIdentity(
                name=self.name,
                version=release.version,
                task=spec.task,
                schema_digest=spec.schema_digest,
                features=[model_input.name for model_input in spec.inputs],
                classes=spec.classes,
            ),
            release.load_seconds,
        )
        self.ready = not self._leaving
        return before

    def current(self, version: str | None = None) -> LoadedVersion:
        """Gives the release that answers.

        Args:
            version: The version that is asked for; None for whichever it is.

        Raises:
            RequestError: Where there is none yet, or it is another version.
        """
        release = self._release
        if release is None:
            raise not_ready(self.name)
        if version not in (None, release.version):
            raise RequestError(
                f"model {self.name!r} is served in version {release.version} only.",
                status=404,
                reason=None,
            )
        return release

    def leave(self) -> None:
        """Is ready no more, and still answers."""
        self._leaving = True
        self.ready = False

    def load(self) -> bool:
        """Does nothing: KServe's would load on the event loop."""
        return bool(self.ready)

    def start(self) -> None:
        """Does nothing; KServe's own would declare a model ready that is not loaded."""

    async def answer(
        self,
        protocol: Protocol,
        size: int,
        decode: Callable[[ModelInterface], Arrays],
        encode: Callable[[LoadedVersion, Arrays], _Answer],
        version: str | None = None,
    ) -> _Answer:
        """Answers a request for predictions, whatever its protocol.

        Args:
            protocol: For metrics.
            size: The request's size in bytes, roughly.
            decode: Gives the request's tensors, of shape `[rows]`, by the signature's inputs.
                May be called in a thread.
            encode: Makes the answer from the model's outputs. May be called in a thread.
            version: The version that is asked for; None for whichever it is.

        Raises:
            RequestError: Where the request cannot be answered as it stands.
            OverloadedError: Where too many rows wait.
        """
        release = self.current(version)
        release.requests += 1
        begin = time.perf_counter()
        try:
            small = size <= _SMALL_BODY
            tensors = await self._do(small, partial(self._decoded, decode, release.predictor))
            rows = len(next(iter(tensors.values())))
            self._metrics.asked(protocol, rows)
            outputs = await release.batcher.predict(tensors, rows)
            classes = outputs[CLASSES].tolist() if CLASSES in outputs else None
            self._metrics.predicted(self.name, classes, rows)
            return await self._do(rows <= _SMALL_BATCH, partial(encode, release, outputs))
        except OverloadedError:
            self._metrics.overloaded()
            raise
        finally:
            release.requests -= 1
            self._kserve_seconds.observe(time.perf_counter() - begin)

    @contextmanager
    def refusals_counted(self) -> Iterator[None]:
        """Counts a request that the block refuses, by the feature at fault and the reason."""
        try:
            yield
        except RequestError as error:
            if error.reason is not None:
                self._metrics.rejected(self.name, error.feature, error.reason)
            raise

    def _decoded(self, decode: Callable[[ModelInterface], Arrays], predictor: Predictor) -> Arrays:
        tensors = decode(predictor.interface)
        check(
            tensors,
            predictor.rules,
            self._policies,
            partial(self._metrics.out_of_domain, self.name),
        )
        return tensors

    async def _do(self, here: bool, work: Callable[[], _Result]) -> _Result:
        if here:
            return work()
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)
