"""The HTTP interface: KServe's data plane behind routes that take nothing on trust.

KServe's own handlers are used where they only read. Requests for predictions have handlers of
our own: KServe's answer a malformed v2 request with its values or with status 500, log a
traceback for every bad request, echo headers from `:explain`, and let anybody unload the model.
"""

import asyncio
import logging
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from fastapi import FastAPI
from kserve.errors import InvalidInput, ServerNotReady
from kserve.protocol.rest.v1_endpoints import V1Endpoints
from kserve.protocol.rest.v2_endpoints import V2Endpoints
from prometheus_client.registry import CollectorRegistry
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kfp_tabular.serving import v1, v2, v2_rest
from kfp_tabular.serving.batching import OverloadedError
from kfp_tabular.serving.errors import RequestError, not_ready, too_large
from kfp_tabular.serving.metrics.exposition import render
from kfp_tabular.serving.model import Arrays, TabularModel
from kfp_tabular.serving.models import ReadyDataPlane, description, served
from kfp_tabular.serving.predictor import Predictor
from kfp_tabular.serving.settings import Limits

_logger = logging.getLogger(__name__)

_JSON_LENGTH_HEADER = "inference-header-content-length"
_DRAINED = 8
"""A body of up to so many times the limit is read to its end before it is refused: a client that
is cut off while sending sees a broken connection, not the answer."""


def application(
    data_plane: ReadyDataPlane, limits: Limits, registries: Sequence[CollectorRegistry]
) -> FastAPI:
    """Makes the ASGI application.

    Args:
        data_plane: Holds the models.
        limits: The largest request that is answered.
        registries: What `/metrics` shows.
    """
    app = FastAPI(title="kfp-tabular", docs_url=None, redoc_url=None, openapi_url=None, routes=[])
    handlers = _Handlers(data_plane, limits, registries)
    v1_model, v2_model = "/v1/models/{name}", "/v2/models/{name}"
    app.router.routes.extend(
        [
            Route("/v1/models/{name}:predict", handlers.predict, methods=["POST"]),
            Route("/v1/models/{name}:explain", handlers.explain, methods=["POST"]),
            Route(v1_model, handlers.v1_status, methods=["GET"]),
            Route("/metrics", handlers.metrics, methods=["GET"]),
        ]
    )
    for version in ("", "/versions/{version}"):
        app.router.routes.extend(
            [
                Route(f"{v2_model}{version}/infer", handlers.infer, methods=["POST"]),
                Route(f"{v2_model}{version}/ready", handlers.v2_ready, methods=["GET"]),
                Route(f"{v2_model}{version}", handlers.v2_metadata, methods=["GET"]),
            ]
        )
    of_v1, of_v2 = V1Endpoints(data_plane), V2Endpoints(data_plane)
    app.add_api_route("/", data_plane.live, methods=["GET"])
    app.add_api_route("/v1/models", of_v1.models, methods=["GET"])
    app.add_api_route("/v2", of_v2.metadata, methods=["GET"])
    app.add_api_route("/v2/health/live", of_v2.live, methods=["GET"])
    app.add_api_route("/v2/health/ready", of_v2.ready, methods=["GET"])
    app.add_api_route("/v2/models", of_v2.models, methods=["GET"])
    for kind, handler in _ERROR_HANDLERS.items():
        app.add_exception_handler(kind, handler)
    app.add_middleware(LastResort)
    return app


class LastResort:
    """Answers what nobody foresaw with status 500, and logs where it arose.

    Neither the answer nor the log holds the exception's message, which may hold a value.

    Args:
        app: The application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Runs the application."""
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:  # noqa: BLE001  the outermost place where one can be caught
            _logger.error(
                "%s in %s:\n%s",
                type(error).__name__,
                scope.get("path"),
                "".join(traceback.format_tb(error.__traceback__)),
            )
            if scope["type"] == "http" and not begun:
                answer = _json({"error": "internal error; the server's log says more."}, 500)
                await answer(scope, receive, send)


class _Handlers:
    def __init__(
        self, data_plane: ReadyDataPlane, limits: Limits, registries: Sequence[CollectorRegistry]
    ) -> None:
        self._data_plane = data_plane
        self._limits = limits
        self._registries = registries

    async def predict(self, request: Request) -> Response:
        model = self._model(request)
        with model.refusals_counted():
            body = await _body(request, self._limits.body)
            content = await model.answer(
                "v1",
                len(body),
                lambda predictor: v1.decode(_parsed(body), predictor, self._limits.rows),
                lambda release, outputs: orjson.dumps(
                    v1.encode(outputs, release.predictor.spec, release.version)
                ),
            )
        return Response(content, media_type="application/json")

    async def infer(self, request: Request) -> Response:
        model = self._model(request)
        asked: v2_rest.Asked

        def decode(predictor: Predictor) -> Arrays:
            nonlocal asked
            asked = v2_rest.request(_parsed(body[:length]), body[length:])
            return v2.decode(asked.query, predictor, self._limits.rows)

        with model.refusals_counted():
            body = memoryview(await _body(request, self._limits.body))
            length = _json_length(request.headers.get(_JSON_LENGTH_HEADER), len(body))
            content, json_length = await model.answer(
                "v2",
                len(body),
                decode,
                lambda release, outputs: v2_rest.answer(
                    outputs, asked, model.name, release.version
                ),
                request.path_params.get("version"),
            )
        if json_length is None:
            return Response(content, media_type="application/json")
        return Response(
            content,
            media_type="application/octet-stream",
            headers={_JSON_LENGTH_HEADER: str(json_length)},
        )

    async def explain(self, request: Request) -> Response:
        model = self._model(request)
        raise RequestError(f"model {model.name!r} has no explainer.", status=404, reason=None)

    async def v1_status(self, request: Request) -> Response:
        model = self._ready_model(request)
        release = model.current()
        spec = release.predictor.spec
        return _json(
            {
                "name": model.name,
                "ready": True,
                "model_version": release.version,
                "task": spec.task,
                "label": spec.label,
                "classes": list(spec.classes),
                "decision_threshold": spec.decision_threshold,
            }
        )

    async def v2_ready(self, request: Request) -> Response:
        model = self._ready_model(request)
        model.current(request.path_params.get("version"))
        return _json({"name": model.name, "ready": True})

    async def v2_metadata(self, request: Request) -> Response:
        return _json(description(self._model(request), request.path_params.get("version")))

    async def metrics(self, request: Request) -> Response:
        content, media_type = await asyncio.to_thread(
            render, self._registries, request.headers.get("accept", "")
        )
        return Response(content, media_type=media_type)

    def _ready_model(self, request: Request) -> TabularModel:
        model = self._model(request)
        if not model.ready:
            raise not_ready(model.name)
        return model

    def _model(self, request: Request) -> TabularModel:
        return served(self._data_plane, request.path_params["name"])


async def _body(request: Request, most: int) -> bytes:
    """Reads a request's body.

    Raises:
        RequestError: Where it is larger than `most` bytes.
    """
    declared = request.headers.get("content-length", "0")
    refused = declared.isdecimal() and int(declared) > most
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        refused = refused or size > most
        if not refused:
            parts.append(part)
            continue
        parts.clear()
        if size > most * _DRAINED:
            break
    if refused:
        raise too_large(most)
    return b"".join(parts)


def _json_length(header: str | None, body: int) -> int:
    if header is None:
        return body
    if not header.isascii() or not header.isdecimal() or not 0 < int(header) <= body:
        raise RequestError(f"header {_JSON_LENGTH_HEADER}: not a length that the body has.")
    return int(header)


def _parsed(body: bytes | memoryview) -> object:
    try:
        document: object = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        # The reason says what and where, and quotes nothing.
        raise RequestError(f"the body is not JSON: {error.msg} at byte {error.pos}.") from None
    return document


def _json(content: Mapping[str, Any], status: int = 200) -> Response:
    return Response(orjson.dumps(content), status_code=status, media_type="application/json")


async def _request_error(_: Request, error: RequestError) -> Response:
    content: dict[str, Any] = {"error": str(error)}
    if error.feature is not None:
        content["feature"] = error.feature
    if error.row is not None:
        content["row"] = error.row
    return _json(content, error.status)


async def _not_ready(_: Request, error: Exception) -> Response:
    return _json({"error": str(error)}, 503)


async def _overloaded(_: Request, error: OverloadedError) -> Response:
    response = _json({"error": str(error)}, 503)
    response.headers["retry-after"] = str(error.retry_after_seconds)
    return response


async def _invalid_input(_: Request, __: Exception) -> Response:
    return _json({"error": "the request does not follow the protocol."}, 400)


async def _http_error(_: Request, error: HTTPException) -> Response:
    return _json({"error": error.detail}, error.status_code)


async def _gone(_: Request, __: ClientDisconnect) -> Response:
    return Response(status_code=499)


_ERROR_HANDLERS: Mapping[type[Exception], Any] = {
    RequestError: _request_error,
    OverloadedError: _overloaded,
    ServerNotReady: _not_ready,
    InvalidInput: _invalid_input,
    HTTPException: _http_error,
    ClientDisconnect: _gone,
}
