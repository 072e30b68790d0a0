"""Faults on a standalone cluster: the right result, or the right line, and nothing left behind."""

import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from kfp_tabular.components.common.artifacts import example_pieces
from kfp_tabular.components.common.artifacts.examples import Examples, ExamplesWriter
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.processing import engines
from kfp_tabular.components.common.processing.engine import Engine
from kfp_tabular.components.common.processing.pieces import Piece
from tests import spark_cluster
from tests.spark_cluster import Cluster

PIECES = [Piece("numbers", "bytes", at, at + 1, rows=1) for at in range(12)]


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster of its own, whose processes the tests kill."""
    folder = tmp_path_factory.mktemp("faulty")
    with spark_cluster.running(folder) as found:
        yield found
    assert spark_cluster.leftover(folder) == []


@pytest.fixture(scope="module")
def engine(faulty: Cluster) -> Iterator[Engine]:
    with engines.opened(faulty.document(attempts=8)) as opened:
        yield opened.engine


class Marked:
    """Returns a piece's number, slowly, once a file says that it was called.

    Args:
        folder: Where the file is made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, piece: Piece) -> int:
        (self.folder / f"{piece.start}").touch()
        time.sleep(0.3)
        return piece.start


def meanwhile(act: Callable[[], object], folder: Path) -> threading.Thread:
    """Do something as soon as a piece is at work."""

    def wait() -> None:
        while not any(folder.iterdir()):
            time.sleep(0.05)
        act()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_an_executor_that_is_killed(faulty: Cluster, engine: Engine, tmp_path: Path) -> None:
    (executor,) = faulty.executors(faulty.workers[0])
    thread = meanwhile(lambda: os.kill(executor, signal.SIGKILL), tmp_path)

    found = [result for _, result in engine.map(PIECES, Marked(tmp_path))]

    thread.join()
    assert found == list(range(12))


def test_a_shard_that_is_cut_short(engine: Engine, tmp_path: Path) -> None:
    table = pa.table({"x": [float(at) for at in range(1000)]})
    with ExamplesWriter(tmp_path, table.schema, ["train"], 250) as writer:
        for start in range(0, 1000, 250):
            writer.write("train", table.slice(start, 250))
    examples = Examples(tmp_path)
    cut = example_pieces.pieces(examples, "train", rows=250)
    shard = Path(cut[2].uri)
    shard.write_bytes(shard.read_bytes()[:-100])

    with pytest.raises(UserError, match=f"^{shard}: ") as error:
        list(engine.map(cut, Counting(example_pieces.reader(examples))))
    assert "\n" not in str(error.value)


class Counting:
    """Counts the rows of a piece."""

    def __init__(self, reader: example_pieces.PieceReader) -> None:
        self.reader = reader

    def __call__(self, piece: Piece) -> int:
        return sum(rows.batch.num_rows for rows in self.reader(piece))


class Busy(http.server.ThreadingHTTPServer):
    """An S3 store with one object, which answers 503 to the first requests.

    Args:
        content: The object.
        refusals: How many.
    """

    daemon_threads = True

    def __init__(self, content: bytes, refusals: int) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.content, self.refusals, self.refused = content, refusals, 0


class _Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Busy

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        content, status = self.server.content, 200
        if self.server.refused < self.server.refusals:
            self.server.refused += 1
            content, status = b"<Error><Code>SlowDown</Code></Error>", 503
        elif part := self.headers.get("Range"):
            start, _, end = part.removeprefix("bytes=").partition("-")
            content, status = content[int(start) : int(end) + 1], 206
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", '"one"')
        self.send_header("Last-Modified", "Mon, 30 Nov 2026 10:00:00 GMT")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


def test_a_store_that_is_busy_for_a_while(faulty: Cluster, engine: Engine, tmp_path: Path) -> None:
    table = pa.table({"x": [float(at) for at in range(100)]})
    with ExamplesWriter(tmp_path, table.schema, ["train"]) as writer:
        writer.write("train", table)
    (shard,) = Examples(tmp_path).require("train")
    server = Busy(Path(shard.uri).read_bytes(), refusals=4)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    variables = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
    }
    piece = Piece("s3://bucket/part-00000.parquet", "row-groups", 0, 1, "train", rows=100)
    try:
        (found,) = engine.map(
            [piece], InEnvironment(variables, Counting(example_pieces.reader(Examples(tmp_path))))
        )
    finally:
        server.shutdown()
        server.server_close()

    assert found[1] == 100
    assert server.refused == 4


class InEnvironment:
    """Sets variables before a function is called: those of a cluster's workers."""

    def __init__(self, variables: dict[str, str], function: Callable[[Piece], int]) -> None:
        self.variables, self.function = variables, function

    def __call__(self, piece: Piece) -> int:
        os.environ.update(self.variables)
        return self.function(piece)


DRIVER = """
import json, sys, time
from pathlib import Path
from kfp_tabular.components.common.processing import engines
from kfp_tabular.components.common.processing.pieces import Piece

def main(folder, document):
    def wait(piece):
        Path(folder, "started").touch()
        time.sleep(600)

    with engines.opened(document) as opened:
        list(opened.engine.map([Piece("x", "bytes", 0, 1)], wait))

main(sys.argv[1], json.loads(sys.argv[2]))
"""


def test_a_worker_that_is_killed(faulty: Cluster, engine: Engine, tmp_path: Path) -> None:
    thread = meanwhile(faulty.workers[1].kill, tmp_path)

    found = [result for _, result in engine.map(PIECES, Marked(tmp_path))]

    thread.join()
    assert found == list(range(12))


def test_a_driver_that_is_killed_leaves_no_executor(cluster: Cluster, tmp_path: Path) -> None:
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(tmp_path), json.dumps(cluster.document())],
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    try:
        while not (tmp_path / "started").exists():
            assert driver.poll() is None
            time.sleep(0.1)
        assert any(cluster.executors(worker) for worker in cluster.workers)
        driver.kill()
        driver.wait()
        deadline = time.monotonic() + 60
        while any(cluster.executors(worker) for worker in cluster.workers):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert spark_cluster.leftover(tmp_path) == []
    finally:
        driver.kill()
        driver.wait()
