"""Attacks that go on for minutes, for the benchmark, each in a few threads.

Bodies are in `test_bodies.py`, whose `ATTACKS` the benchmark adds.
"""

import asyncio
import os
import random
import resource
import shutil
import socket
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.serving.attack import raw_requests
from tests.serving.attack.ambiguous_requests import corpus
from tests.serving.attack.attack import Attack
from tests.serving.attack.served import HEAD, PREDICT, Served, good_request

GOOD_KEY = "good-0123456789-abcdefgh"
"""The key of the good load, in the folder `keys`."""

_KEYS = [f"{letter * 8}-geheim-{letter * 24}" for letter in "abcd"]
_CALLS_WITHOUT_A_MESSAGE = 200
_NEVER_READING = 20
_SILENT = 300


def _in_threads(*loops: Callable[[], None]) -> None:
    with ThreadPoolExecutor(len(loops)) as pool:
        for done in [pool.submit(loop) for loop in loops]:
            done.result()


def _connected(server: Served, stack: ExitStack, **options: Any) -> socket.socket | None:
    with suppress(OSError):
        return stack.enter_context(server.connect(**options))
    return None


def raw_http(server: Served, stop: threading.Event) -> None:
    """Send every raw request of the suite, in random order."""
    sent = [raw.sent for raw in (*raw_requests.INVALID, *raw_requests.VALID)]
    sent += [b"".join(each.pieces) for each in corpus()]

    def loop() -> None:
        while not stop.is_set():
            with ExitStack() as stack, suppress(OSError):
                connection = stack.enter_context(server.connect())
                connection.settimeout(0.2)
                connection.sendall(random.choice(sent))
                while connection.recv(2**16):
                    pass

    _in_threads(*[loop] * 4)


def never_reading(server: Served, stop: threading.Event) -> None:
    """Pipeline requests without ever reading an answer."""
    pipelined = good_request(20) * 20

    def loop() -> None:
        with ExitStack() as stack:
            connection = _connected(server, stack, receive_buffer=4096)
            while connection and not stop.is_set():
                try:
                    connection.settimeout(0.5)
                    connection.sendall(pipelined)
                except TimeoutError:
                    stop.wait(0.5)
                except OSError:
                    connection = _connected(server, stack, receive_buffer=4096)

    _in_threads(*[loop] * _NEVER_READING)


def silent(server: Served, stop: threading.Event) -> None:
    """Begin requests and stop in the middle; some send a byte now and then."""
    halves = (
        b"",
        b"POST /",
        HEAD,
        HEAD + b"Content-Length: 1000\r\n\r\n" + b"[" * 500,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n[[",
        HEAD + b"Expect: 100-continue\r\nContent-Length: 1000\r\n\r\n",
    )
    with ExitStack() as stack:
        held = [_connected(server, stack) for _ in range(_SILENT)]
        for number, connection in enumerate(held):
            if connection:
                with suppress(OSError):
                    connection.sendall(halves[number % len(halves)])
        while not stop.wait(0.5):
            for connection in held[::7]:
                if connection:
                    with suppress(OSError):
                        connection.sendall(b"[")


def connection_flood(server: Served, stop: threading.Event) -> None:
    """Open as many connections as descriptors allow, hold them, reset them, and begin again."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20_000), hard))
    most = min(hard, 20_000) - 500
    reset = b"\x01\x00\x00\x00\x00\x00\x00\x00"
    try:
        while not stop.is_set():
            held: list[socket.socket] = []
            with suppress(OSError):
                while len(held) < min(most, 5000) and not stop.is_set():
                    held.append(socket.create_connection(server.address, timeout=2))
            stop.wait(2)
            for connection in held:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
                connection.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def grpc_calls(server: Served, stop: threading.Event) -> None:
    """Begin calls without a message, and send messages that are no messages."""
    asyncio.run(_grpc_calls(server.grpc or "", stop))


async def _grpc_calls(address: str, stop: threading.Event) -> None:
    import grpc.aio

    method = "/inference.GRPCInferenceService/ModelInfer"
    garbage = [b"", b"\xff" * 100, os.urandom(100_000), b"\x0a\x05fraud" + b"\x2a\x00" * 100_000]

    async def silent_call(channel: Any) -> None:
        call = channel.stream_unary(method)()
        with suppress(grpc.aio.AioRpcError, asyncio.CancelledError):
            await call
        call.cancel()

    async def send(channel: Any) -> None:
        while not stop.is_set():
            with suppress(grpc.aio.AioRpcError):
                await channel.unary_unary(method)(random.choice(garbage), timeout=20)

    async with grpc.aio.insecure_channel(address) as channel:
        tasks = [asyncio.create_task(send(channel)) for _ in range(4)]
        pending: set[asyncio.Task[None]] = set()
        while not stop.is_set():
            while len(pending) < _CALLS_WITHOUT_A_MESSAGE:
                pending.add(asyncio.create_task(silent_call(channel)))
            await asyncio.sleep(0.2)
            pending = {task for task in pending if not task.done()}
        for task in (*pending, *tasks):
            task.cancel()
        await asyncio.gather(*pending, *tasks, return_exceptions=True)


@contextmanager
def key_folder(folder: Path) -> Iterator[dict[str, str]]:
    """Two keys: that of the good load, and one that is rewritten."""
    (folder / "keys").mkdir()
    (folder / "keys" / "good").write_text(GOOD_KEY)
    (folder / "keys" / "web").write_text(_KEYS[0])
    yield {}


def key_rewriting(server: Any, stop: threading.Event) -> None:
    """Rewrite a key in place, in pieces, while clients guess its parts.

    Raises:
        AssertionError: A part of a key was accepted.
    """
    accepted: list[str] = []

    def write() -> None:
        file = server.folder / "keys" / "web"
        while not stop.is_set():
            with file.open("w", encoding="utf-8") as stream:
                for start in range(0, 40, 5):
                    stream.write(random.choice(_KEYS)[start : start + 5])
                    stream.flush()
                    stop.wait(random.random() * 0.4)
            file.write_text(random.choice(_KEYS))
            stop.wait(5 * random.random())

    def guess() -> None:
        while not stop.is_set():
            part = random.choice(_KEYS)[: random.choice((16, 20, 25, 30, 35))]
            request = urllib.request.Request(
                server.url + PREDICT, b"{}", headers={"x-api-key": part}
            )
            try:
                urllib.request.urlopen(request, timeout=30).close()
                accepted.append(part)
            except urllib.error.HTTPError as error:
                if error.code != 401:
                    accepted.append(part)
            except OSError:
                continue

    _in_threads(write, guess, guess)
    assert accepted == [], f"parts of keys were accepted: {accepted}"


def hostile_versions(server: Any, stop: threading.Event) -> None:
    """Publish versions that are none, one after the other, and then the good one again."""
    repository = server.folder / "fraud"
    good = repository / "7"

    def fifo(version: Path) -> None:
        shutil.copytree(good, version)
        (version / "saved_model.pb").unlink()
        os.mkfifo(version / "saved_model.pb")

    def links(version: Path) -> None:
        version.mkdir()
        (version / "a").symlink_to(version)
        (version / "b").symlink_to(version)

    def garbage(version: Path) -> None:
        shutil.copytree(good, version)
        (version / "saved_model.pb").write_bytes(os.urandom(100_000))

    def other_classes(version: Path) -> None:
        shutil.copytree(good, version)
        file = version / "model.json"
        file.write_text(file.read_text(encoding="utf-8").replace('"ja"', '"ja", "x"'))

    def outside(version: Path) -> None:
        shutil.copytree(good, version)
        (version / "variables" / "x").symlink_to("/etc/passwd")

    kinds = (fifo, links, garbage, other_classes, outside, Path.mkdir, Path.touch)
    number = 100
    while not stop.is_set():
        for kind in (*kinds, lambda version: shutil.copytree(good, version)):
            number += 1
            version = repository / str(number)
            kind(version)
            if stop.wait(3):
                break
            if version.is_dir():
                shutil.rmtree(version)
            else:
                version.unlink()


@contextmanager
def small_disk(folder: Path) -> Iterator[dict[str, str]]:
    """A temporary directory of 2 MiB."""
    directory = folder / "disk"
    directory.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m,nr_inodes=100", "tmpfs", str(directory)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"a file system cannot be mounted here: {done.stderr.strip()}")
    try:
        yield {"TMPDIR": str(directory)}
    finally:
        subprocess.run(["umount", "-l", str(directory)], check=True)


def full_disk(server: Any, stop: threading.Event) -> None:
    """Fill the temporary directory, and make room, again and again."""
    file = server.folder / "disk" / "fill"
    while not stop.is_set():
        with suppress(OSError), file.open("wb", buffering=0) as stream:
            while True:
                stream.write(b"x" * 4096)
        stop.wait(3)
        file.unlink(missing_ok=True)
        stop.wait(0.5)


ATTACKS: Sequence[Attack] = (
    Attack("raw HTTP", raw_http),
    Attack("clients that never read", never_reading),
    Attack("silent clients", silent),
    Attack("connection floods", connection_flood),
    Attack("gRPC", grpc_calls),
    Attack("key rewriting", key_rewriting, ("--auth-keys", "{folder}/keys"), key_folder),
    Attack("hostile versions", hostile_versions, ("--reload-seconds", "1")),
    Attack("full disk", full_disk, ("--workers", "2"), small_disk),
)
