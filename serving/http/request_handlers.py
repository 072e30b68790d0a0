"""The handlers of HTTP requests, by route."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

import orjson
from prometheus_client.registry import CollectorRegistry

from kfp_tabular.serving.http.http_request import HttpRequest, parse_length
from kfp_tabular.serving.http.http_response import HttpResponse, json_response
from kfp_tabular.serving.metrics.exposition import render_metrics
from kfp_tabular.serving.model.data_plane import ReadyDataPlane, find_model, model_metadata
from kfp_tabular.serving.model.served_model import ServedModel
from kfp_tabular.serving.protocol import v1_explanations, v1_json, v2_json, v2_tensors
from kfp_tabular.serving.protocol.json_document import Json, check_json_size, parse_json
from kfp_tabular.serving.protocol.model_interface import Arrays, ModelInterface
from kfp_tabular.serving.protocol.request_error import RequestError, not_ready
from kfp_tabular.serving.protocol.routes import RouteName
from kfp_tabular.serving.settings.server_settings import RequestLimits

Handler = Callable[[HttpRequest], Awaitable[HttpResponse]]

_JSON_LENGTH_HEADER = b"inference-header-content-length"


class RequestHandlers:
    """The handlers, over a data plane.

    Args:
        data_plane: Holds the models.
        limits: The largest request that is accepted.
        registries: What `/metrics` shows.
    """

    def __init__(
        self,
        data_plane: ReadyDataPlane,
        limits: RequestLimits,
        registries: Sequence[CollectorRegistry],
    ) -> None:
        self._data_plane = data_plane
        self.large = data_plane.large
        self._limits = limits
        self._max_rows = limits.max_rows
        self._max_body_bytes = limits.max_body_bytes
        self._registries = registries

    def by_route(self) -> Mapping[RouteName, tuple[str, Handler]]:
        """Return the HTTP method and the handler of each route. GET includes HEAD."""
        return {
            "v1 predict": ("POST", self._predict),
            "v1 explain": ("POST", self._explain),
            "v1 model": ("GET", self._v1_model),
            "v1 models": ("GET", self._models),
            "v2 infer": ("POST", self._infer),
            "v2 model ready": ("GET", self._v2_model_ready),
            "v2 model": ("GET", self._v2_model),
            "v2 models": ("GET", self._models),
            "v2 live": ("GET", self._v2_live),
            "v2 ready": ("GET", self._v2_ready),
            "v2 server": ("GET", self._v2_server),
            "live": ("GET", self._live),
            "metrics": ("GET", self._metrics),
        }

    async def _predict(self, request: HttpRequest) -> HttpResponse:
        model = self._model(request)
        with model.counting_rejections():
            body = await request.body(self._max_body_bytes)
            content = await model.predict(
                "v1",
                request.hold,
                len(body),
                lambda interface: v1_json.decode(
                    self._parse(body, interface), interface, self._max_rows
                ),
                lambda loaded, outputs: orjson.dumps(
                    v1_json.encode(outputs, loaded.predictor.interface.spec, loaded.version)
                ),
            )
        return HttpResponse(content)

    async def _infer(self, request: HttpRequest) -> HttpResponse:
        model = self._model(request)
        document: v2_json.V2JsonRequest

        def decode(interface: ModelInterface) -> Arrays:
            nonlocal document
            document = v2_json.read_request(
                self._parse(body if length == len(body) else body[:length], interface),
                memoryview(body)[length:],
            )
            return v2_tensors.decode(document.inference, interface, self._max_rows)

        with model.counting_rejections():
            body = await request.body(self._max_body_bytes)
            length = _json_length(request.headers(_JSON_LENGTH_HEADER), len(body))
            content, json_length = await model.predict(
                "v2",
                request.hold,
                len(body),
                decode,
                lambda loaded, outputs: v2_json.write_response(
                    outputs, document, model.name, loaded.version
                ),
                request.route.model_version,
            )
        if json_length is None:
            return HttpResponse(content)
        return HttpResponse(
            content,
            media_type=b"application/octet-stream",
            headers=((_JSON_LENGTH_HEADER, b"%d" % json_length),),
        )

    async def _explain(self, request: HttpRequest) -> HttpResponse:
        model = self._model(request)
        with model.counting_rejections():
            body = await request.body(self._max_body_bytes)
            content = await model.explain(
                request.hold,
                len(body),
                lambda interface: v1_explanations.decode(
                    self._parse(body, interface), interface, self._limits.explain_rows
                ),
                lambda loaded, found: orjson.dumps(
                    v1_explanations.encode(found, loaded.predictor.interface.spec, loaded.version)
                ),
            )
        return HttpResponse(content)

    async def _v1_model(self, request: HttpRequest) -> HttpResponse:
        model = self._ready_model(request)
        loaded = model.current_version()
        spec = loaded.predictor.interface.spec
        return json_response(
            {
                "name": model.name,
                "ready": True,
                "model_version": loaded.version,
                "task": spec.task,
                "label": spec.label,
                "classes": list(spec.classes),
                "decision_threshold": spec.decision_threshold,
            }
        )

    async def _v2_model_ready(self, request: HttpRequest) -> HttpResponse:
        model = self._ready_model(request)
        model.current_version(request.route.model_version)
        return json_response({"name": model.name, "ready": True})

    async def _v2_model(self, request: HttpRequest) -> HttpResponse:
        return json_response(model_metadata(self._model(request), request.route.model_version))

    async def _models(self, _: HttpRequest) -> HttpResponse:
        return json_response({"models": list(self._data_plane.model_registry.get_models())})

    async def _live(self, _: HttpRequest) -> HttpResponse:
        return json_response(await self._data_plane.live())

    async def _v2_live(self, _: HttpRequest) -> HttpResponse:
        return json_response({"live": True})

    async def _v2_ready(self, _: HttpRequest) -> HttpResponse:
        if not await self._data_plane.ready():
            raise RequestError("the server is not ready.", status=503, reason=None)
        return json_response({"ready": True})

    async def _v2_server(self, _: HttpRequest) -> HttpResponse:
        return json_response(self._data_plane.metadata())

    async def _metrics(self, request: HttpRequest) -> HttpResponse:
        content, media_type = await asyncio.to_thread(
            render_metrics, self._registries, request.header(b"accept") or ""
        )
        return HttpResponse(content, media_type=media_type.encode("latin-1"))

    def _parse(self, body: Json, interface: ModelInterface) -> object:
        check_json_size(body, interface, self._max_rows, self._limits.max_values)
        return parse_json(body)

    def _ready_model(self, request: HttpRequest) -> ServedModel:
        model = self._model(request)
        if not model.ready:
            raise not_ready(model.name)
        return model

    def _model(self, request: HttpRequest) -> ServedModel:
        return find_model(self._data_plane, request.route.model_name)


def _json_length(headers: Sequence[str], body_length: int) -> int:
    """Return the length of the JSON in a body that binary tensors may follow."""
    if not headers:
        return body_length
    length = parse_length(headers[0]) if len(headers) == 1 else None
    if length is None or not 0 < length <= body_length:
        raise RequestError(
            f"header {_JSON_LENGTH_HEADER.decode()}: expected one number of bytes from 1 to the "
            "length of the body."
        )
    return length
