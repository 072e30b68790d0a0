"""The KServe model: v1 and v2 requests, answered off the event loop."""

import asyncio
import logging
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import kserve

from kfp_tabular.serving import v1, v2
from kfp_tabular.serving.predictor import Predictor
from kfp_tabular.serving.repository import Found
from kfp_tabular.serving.settings import Limits

_logger = logging.getLogger(__name__)


class TabularModel(kserve.Model):  # type: ignore[misc]  # kserve has no types
    """A model of this project behind KServe's interface.

    Ready once it is loaded and warmed up, and no longer once it is stopped.

    Args:
        found: Where the model is, and its name and version.
        limits: The largest request that is answered.
        threads: Requests that are worked on at once; more of them wait.
    """

    def __init__(self, found: Found, limits: Limits, threads: int) -> None:
        super().__init__(found.name)
        self.version = found.version
        self._directory = found.directory
        self._limits = limits
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="predict")
        self._predictor: Predictor | None = None

    @property
    def predictor(self) -> Predictor:
        """The loaded model.

        Raises:
            RuntimeError: Before `load`.
        """
        if self._predictor is None:
            raise RuntimeError(f"model {self.name!r} is not loaded")
        return self._predictor

    def load(self) -> bool:
        """Loads the model and warms it up.

        Raises:
            UserError: Where it cannot be loaded.
        """
        begin = time.monotonic()
        self._predictor = Predictor.load(self._directory)
        self._predictor.warm_up()
        self.ready = True
        _logger.info(
            "loaded model %r%s in %.1f s",
            self.name,
            f" version {self.version}" if self.version else "",
            time.monotonic() - begin,
        )
        return True

    def start(self) -> None:
        """Does nothing; KServe's own would declare a model ready that is not loaded."""

    def stop(self) -> None:
        """Answers no more requests; those under way end first."""
        self.ready = False
        self._executor.shutdown(wait=False)

    def get_input_types(self) -> list[dict[str, Any]]:
        """Gives the input tensors for the v2 metadata."""
        return v2.inputs(self.predictor)

    def get_output_types(self) -> list[dict[str, Any]]:
        """Gives the output tensors for the v2 metadata."""
        return v2.outputs(self.predictor)

    async def predict(
        self,
        payload: object,
        headers: Mapping[str, str] | None = None,  # noqa: ARG002  KServe's interface
        response_headers: dict[str, str] | None = None,  # noqa: ARG002  KServe's interface
    ) -> dict[str, Any] | kserve.InferResponse:
        """Answers a request.

        Args:
            payload: A v1 request's JSON, or a v2 request.
            headers: Not used.
            response_headers: Not used.

        Raises:
            RequestError: Where the request cannot be answered as it stands.
        """
        answer = self._answer_v2 if isinstance(payload, kserve.InferRequest) else self._answer_v1
        return await asyncio.get_running_loop().run_in_executor(self._executor, answer, payload)

    def _answer_v1(self, document: object) -> dict[str, Any]:
        tensors = v1.decode(document, self.predictor, self._limits.rows)
        return v1.encode(self.predictor.predict(tensors), self.predictor.spec, self.version)

    def _answer_v2(self, request: kserve.InferRequest) -> kserve.InferResponse:
        tensors = v2.decode(request, self.predictor, self._limits.rows)
        return v2.encode(self.predictor.predict(tensors), request, self.name, self.version)
