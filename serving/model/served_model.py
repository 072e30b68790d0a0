"""The served model: its current version, and the way of a request through it."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from functools import partial
from typing import Literal, TypeVar

from kserve.metrics import PREDICT_HIST_TIME, get_labels
from kserve.model import BaseKServeModel

from kfp_tabular.components.common.artifacts.model_document import CLASSES
from kfp_tabular.components.common.explanation.explainer import Explainer, Explanations
from kfp_tabular.serving.metrics.bound_reports import RepeatedWarning
from kfp_tabular.serving.metrics.instruments import Metrics, ModelIdentity
from kfp_tabular.serving.model.domain_rules import check_domains
from kfp_tabular.serving.model.explaining import Explaining, check_effort
from kfp_tabular.serving.model.large_requests import Hold
from kfp_tabular.serving.model.loaded_version import LoadedVersion
from kfp_tabular.serving.model.overload import OverloadedError
from kfp_tabular.serving.model.predictor import Predictor
from kfp_tabular.serving.protocol.model_interface import Arrays, ModelInterface
from kfp_tabular.serving.protocol.request_error import RequestError, not_ready
from kfp_tabular.serving.protocol.v1_explanations import ExplanationRequest
from kfp_tabular.serving.settings.server_settings import ValuePolicies

InferenceProtocol = Literal["v1", "v2", "grpc"]

_Response = TypeVar("_Response")
_Result = TypeVar("_Result")

_SMALL_BODY_BYTES = 16 * 1024
_SMALL_RESPONSE_BYTES = 8 * 1024
"""Up to these sizes, requests are decoded and responses encoded in the event loop: passing the work
to a thread would cost more than the work."""
_LARGE_BYTES = 1024 * 1024
"""From this size on, requests are decoded and responses encoded one at a time."""

_ROW_BYTES = 40
_NUMBER_BYTES = 20


class ServedModel(BaseKServeModel):  # type: ignore[misc]  # kserve has no types
    """A model of this project behind KServe's interface.

    It is ready while it has a version and does not drain. It predicts as long as it has a version:
    load balancers may send requests for a while after the readiness probe fails.

    Args:
        name: The name in URL paths.
        policies: What to do with values outside of their domain, and with unreadable ones.
        executor: Where large requests are decoded and their responses encoded.
        metrics: Where requests are counted.
    """

    def __init__(
        self, name: str, policies: ValuePolicies, executor: Executor, metrics: Metrics
    ) -> None:
        super().__init__(name)
        self._policies = policies
        self._executor = executor
        self._metrics = metrics
        self._version: LoadedVersion | None = None
        self._draining = False
        self._unreadable: dict[str, RepeatedWarning] = {}
        self._explaining = Explaining()
        # KServe's own histogram, which its dashboards show.
        self._kserve_seconds = PREDICT_HIST_TIME.labels(**get_labels(name))

    def switch_to(self, version: LoadedVersion) -> LoadedVersion | None:
        """Serve a version from the next request on.

        Args:
            version: A version that is loaded and warmed up.

        Returns:
            The version before it, which still serves its requests in progress.
        """
        before, self._version = self._version, version
        spec = version.predictor.interface.spec
        self._metrics.set_served_version(
            ModelIdentity(
                name=self.name,
                version=version.version,
                task=spec.task,
                schema_digest=spec.schema_digest,
                features=[model_input.name for model_input in spec.inputs],
                classes=spec.classes,
            ),
            version.load_seconds,
        )
        self.ready = not self._draining
        return before

    def current_version(self, requested: str | None = None) -> LoadedVersion:
        """Return the version that is served now.

        Args:
            requested: The version that a client asks for; None for the current one.

        Raises:
            RequestError: If no version is loaded, or another one than requested.
        """
        version = self._version
        if version is None:
            raise not_ready(self.name)
        if requested not in (None, version.version):
            raise RequestError(
                f"model {self.name!r} is served in version {version.version} only.",
                status=404,
                reason=None,
            )
        return version

    def start_draining(self) -> None:
        """Report not ready from now on, but still predict."""
        self._draining = True
        self.ready = False

    def load(self) -> bool:
        """Do nothing: KServe's own would load in the event loop."""
        return bool(self.ready)

    def start(self) -> None:
        """Do nothing: KServe's own would report a model ready that is not loaded."""

    async def predict(
        self,
        protocol: InferenceProtocol,
        hold: Hold,
        size: int,
        decode: Callable[[ModelInterface], Arrays],
        encode: Callable[[LoadedVersion, Arrays], _Response],
        version: str | None = None,
    ) -> _Response:
        """Answer a prediction request of any protocol.

        Args:
            protocol: The request's protocol, for metrics.
            hold: What the request holds in memory; the response is added.
            size: The request's approximate size in bytes.
            decode: Returns the request's values as arrays of shape `[rows]`, by the signature's
                inputs. May be called in a thread.
            encode: Returns the response for the model's outputs. May be called in a thread.
            version: The requested version; None for the current one.

        Raises:
            RequestError: If the request cannot be answered.
            OverloadedError: If too many rows are queued, or too many bytes in memory.
        """
        loaded = self.current_version(version)
        loaded.requests += 1
        begin = time.perf_counter()
        try:
            arrays = await self._run(
                hold,
                size,
                _SMALL_BODY_BYTES,
                partial(self._decode, decode, loaded.predictor),
            )
            rows = len(next(iter(arrays.values())))
            self._metrics.observe_rows(protocol, rows)
            try:
                outputs = await loaded.batcher.predict(arrays, rows)
            except OverloadedError:
                self._metrics.count_overload("rows")
                raise
            classes = outputs[CLASSES].tolist() if CLASSES in outputs else None
            self._metrics.count_predictions(self.name, classes, rows)
            size = _response_bytes(outputs, loaded.predictor.interface.spec.classes)
            hold.add(size)
            return await self._run(
                hold, size, _SMALL_RESPONSE_BYTES, partial(encode, loaded, outputs)
            )
        finally:
            loaded.requests -= 1
            self._kserve_seconds.observe(time.perf_counter() - begin)

    async def explain(
        self,
        hold: Hold,
        size: int,
        decode: Callable[[ModelInterface], ExplanationRequest],
        encode: Callable[[LoadedVersion, Explanations], _Response],
    ) -> _Response:
        """Answer a request for explanations.

        Args:
            hold: What the request holds in memory; the response is added.
            size: The request's approximate size in bytes.
            decode: Returns what to explain. May be called in a thread.
            encode: Returns the response for the explanations. May be called in a thread.

        Raises:
            RequestError: If the request cannot be answered.
            OverloadedError: If too many requests wait, or too many bytes are in memory.
        """
        loaded = self.current_version()
        explainer = loaded.predictor.explainer
        if explainer is None:
            raise RequestError(f"model {self.name!r} has no explainer.", status=404, reason=None)
        loaded.requests += 1
        try:
            request = await self._run(
                hold,
                size,
                _SMALL_BODY_BYTES,
                partial(self._decode_explained, decode, loaded.predictor, explainer),
            )
            try:
                found = await self._explaining.explain(explainer, request)
            except OverloadedError:
                self._metrics.count_overload("rows")
                raise
            names = sum(len(name) + 2 * _NUMBER_BYTES for name in found.features)
            size = len(found.methods) * (_ROW_BYTES + 2 * names)
            hold.add(size)
            return await self._run(
                hold, size, _SMALL_RESPONSE_BYTES, partial(encode, loaded, found)
            )
        finally:
            loaded.requests -= 1

    @contextmanager
    def counting_rejections(self) -> Iterator[None]:
        """Count a request that is rejected inside the block, by feature and reason."""
        try:
            yield
        except RequestError as error:
            if error.reason is not None:
                self._metrics.count_rejection(self.name, error.feature, error.reason)
            raise

    def _decode(self, decode: Callable[[ModelInterface], Arrays], predictor: Predictor) -> Arrays:
        arrays = decode(self._interface(predictor))
        self._check_domains(arrays, predictor)
        return arrays

    def _decode_explained(
        self,
        decode: Callable[[ModelInterface], ExplanationRequest],
        predictor: Predictor,
        explainer: Explainer,
    ) -> ExplanationRequest:
        request = decode(self._interface(predictor))
        check_effort(explainer, request)
        self._check_domains(request.arrays, predictor)
        return request

    def _interface(self, predictor: Predictor) -> ModelInterface:
        interface = predictor.interface
        if self._policies.unreadable_values == "missing":
            interface = interface.tolerating(self._count_unreadable)
        if self._policies.lenient:
            interface = interface.lenient()
        return interface

    def _check_domains(self, arrays: Arrays, predictor: Predictor) -> None:
        check_domains(
            arrays,
            predictor.rules,
            self._policies,
            partial(self._metrics.count_out_of_domain, self.name),
        )

    def _count_unreadable(self, feature: str, values: int) -> None:
        self._metrics.count_unreadable(self.name, feature, values)
        # A feature that cannot be read is usually so in every request.
        self._unreadable.setdefault(feature, RepeatedWarning()).log(
            f"feature {feature!r}: text that cannot be read counts as missing "
            "(--unreadable-values)",
            values,
        )

    async def _run(self, hold: Hold, size: int, small: int, work: Callable[[], _Result]) -> _Result:
        if size <= small:
            return work()
        if size > _LARGE_BYTES:
            return await hold.large.run_alone(work)
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)


def _response_bytes(outputs: Arrays, classes: Sequence[str]) -> int:
    """Return about how long the response will be."""
    longest = max(map(len, classes), default=0)
    rows = len(next(iter(outputs.values())))
    values = sum(
        array.size * (longest if array.dtype == object else _NUMBER_BYTES)
        for array in outputs.values()
    )
    return rows * _ROW_BYTES + values
