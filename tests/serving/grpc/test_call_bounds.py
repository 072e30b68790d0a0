"""How many gRPC calls there may be, and how long their messages may take, with real calls."""

import asyncio

import grpc
import pytest
from prometheus_client import CollectorRegistry

from kfp_tabular.serving.grpc.call_bounds import CallBounds, NoMessageError
from kfp_tabular.serving.metrics.bound_reports import BoundReports
from kfp_tabular.serving.metrics.instruments import Metrics
from kfp_tabular.serving.settings.server_settings import RequestLimits

EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.fixture
def metrics():
    return Metrics(CollectorRegistry())


async def serve(bounds, client, seconds=0.0):
    """Run a client against a server whose only method answers with its message."""

    async def handle(_, context):
        try:
            async with bounds.message(context) as content:
                await asyncio.sleep(seconds)
                return content
        except NoMessageError:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no message")

    server = grpc.aio.server()
    handler = grpc.stream_unary_rpc_method_handler(handle)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("s", {"m": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        await client(channel)
    await server.stop(0)
    assert (bounds._calls, bounds._readings, bounds._waiting) == (0, [], 0)


async def code(call):
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return error.code(), error.details()
    return None


def bounds_reached(metrics, bound):
    return metrics.registry.get_sample_value("kfp_tabular_bounds_reached_total", {"bound": bound})


async def silence():
    await asyncio.sleep(30)
    yield b""


def silent(channel):
    return channel.stream_unary("/s/m")(silence())


def test_further_calls_are_rejected_at_once(caplog, metrics):
    async def client(channel):
        ask = channel.unary_unary("/s/m")
        answers = await asyncio.gather(*(code(ask(b"x", timeout=30)) for _ in range(7)))
        refused = (EXHAUSTED, "too many calls at a time; this server accepts 3.")
        assert sorted(answers, key=str) == sorted([None] * 3 + [refused] * 4, key=str)
        assert await code(ask(b"x", timeout=30)) is None

    report = BoundReports(metrics.count_bound).reached
    asyncio.run(serve(CallBounds(3, 2, 30, report), client, seconds=0.5))
    assert caplog.text.count("3 gRPC calls at a time (--grpc-calls) are in progress") == 1
    assert bounds_reached(metrics, "grpc_calls") == 4


def test_a_message_that_does_not_come_ends_the_call(caplog, metrics):
    async def client(channel):
        assert await code(silent(channel)) == (EXHAUSTED, "no message came within 0.2 s.")

    report = BoundReports(metrics.count_bound).reached
    asyncio.run(serve(CallBounds(10, 2, 0.2, report), client))
    assert "(--grpc-message-seconds)" in caplog.text
    assert bounds_reached(metrics, "grpc_message") == 1


def test_silent_calls_give_way_to_others():
    async def client(channel):
        quiet = [asyncio.ensure_future(code(silent(channel))) for _ in range(20)]
        await asyncio.sleep(0.1)
        ask = channel.unary_unary("/s/m")
        answers = await asyncio.gather(*(ask(b"%d" % n, timeout=30) for n in range(50)))
        assert answers == [b"%d" % n for n in range(50)]
        given_way = [call.result() for call in quiet if call.done()]
        assert len(given_way) >= 18
        assert {words for _, words in given_way} == {
            "its message did not come while other calls waited."
        }
        for call in quiet:
            call.cancel()
        await asyncio.gather(*quiet, return_exceptions=True)
        await asyncio.sleep(0.1)

    asyncio.run(serve(CallBounds(100, 2, 30), client))


def test_a_call_that_ends_without_a_message_is_invalid():
    async def client(channel):
        call = channel.stream_unary("/s/m")(iter(()))
        assert await code(call) == (grpc.StatusCode.INVALID_ARGUMENT, "no message")

    asyncio.run(serve(CallBounds(10, 2, 30), client))


def test_a_cancelled_call_frees_its_place():
    async def client(channel):
        for _ in range(3):
            quiet = [silent(channel) for _ in range(4)]
            await asyncio.sleep(0.05)
            for call in quiet:
                call.cancel()
            await asyncio.sleep(0.05)
        ask = channel.unary_unary("/s/m")
        assert await ask(b"x", timeout=30) == b"x"
        await asyncio.sleep(0.2)

    asyncio.run(serve(CallBounds(10, 2, 30), client))


@pytest.mark.parametrize(("size_mib", "readings"), [(32, 8), (1, 64), (2047, 4)])
def test_few_large_messages_are_read_at_a_time(size_mib, readings):
    limits = RequestLimits(max_body_mib=size_mib, max_pending_mib=64)
    assert CallBounds.of(limits, lambda *_: None).most_readings == readings
