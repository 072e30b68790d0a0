"""Servers of a model, load on them, and tables: what the benchmarks of the endpoint share."""

import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kfp_tabular.components.common.artifacts.model_document import ModelSpec

HERE = Path(__file__).parent
KEY = "bench-0123456789-abcdef"
REQUESTS = 500
STARTING_SECONDS = 120
BATCHES = ("--batch-rows", "128")
SINGLE = ("--batch-rows", "1")
TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
_BOOLEANS = {"true": "1", "false": "0"}


@dataclass
class Server:
    """A running server."""

    process: subprocess.Popen[bytes]
    port: int

    def cpu_seconds(self) -> float:
        """User and system time so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def resident_mib(self) -> float:
        """Memory that it holds now."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * PAGE / 2**20


@dataclass
class Turn:
    """The result of one turn of load."""

    rate: float
    cpu_ms: float
    ms: dict[str, float]


class Bench:
    """A model, requests for it, and servers of it."""

    def __init__(self, folder: Path, model: Path, seconds: float, rounds: int) -> None:
        self.folder = folder
        self.model = model
        self.seconds = seconds
        self.rounds = rounds
        (folder / "keys").mkdir()
        (folder / "keys" / "bench").write_text(KEY)

    @contextmanager
    def server(self, kind: str, *options: str, model: Path | None = None) -> Iterator[Server]:
        """Run a server: `kserve`, `ours`, `guarded` (with authentication) or `bare`.

        Args:
            kind: Which server.
            options: Its flags.
            model: Another model than the bench's.
        """
        port = _free_port()
        directory = str(model or self.model)
        ours = ["--model", directory, "--name", "taxi", "--port", str(port), *options]
        command = {
            "kserve": [str(HERE / "serving_baseline.py"), directory, str(port)],
            "ours": ["-m", "kfp_tabular.serving", *ours],
            "guarded": [
                *("-m", "kfp_tabular.serving"),
                *(*ours, "--auth-keys", str(self.folder / "keys")),
            ],
            "bare": [str(HERE / "serving_bare.py"), *ours],
        }[kind]
        with (self.folder / "server.log").open("ab") as log:
            process = subprocess.Popen([sys.executable, *command], stdout=log, stderr=log)
        try:
            _wait_for(port, process)
            yield Server(process, port)
        finally:
            process.terminate()
            process.wait()

    def turn(self, server: Server, requests: Path, **job: float) -> Turn:
        """Put load on a server and check that every response is valid."""
        document = {"port": server.port, "requests": str(requests), "seconds": self.seconds, **job}
        before = server.cpu_seconds()
        done = subprocess.run(
            [sys.executable, str(HERE / "serving_client.py")],
            input=json.dumps(document).encode(),
            stdout=subprocess.PIPE,
            check=True,
        )
        cpu = server.cpu_seconds() - before
        found = json.loads(done.stdout)
        if set(found["statuses"]) != {"200"}:
            raise RuntimeError(f"answers by status: {found['statuses']}")
        answers = found["statuses"]["200"]
        return Turn(answers / found["seconds"], cpu / answers * 1e3, found["ms"])

    def turns(self, servers: Sequence[Server], requests: Path, **job: float) -> list[Turn]:
        """Let servers take turns, and return the medians of each."""
        taken = self.rounds_of([(server, requests) for server in servers], **job)
        return [median(turns) for turns in zip(*taken, strict=True)]

    def rounds_of(self, loads: Sequence[tuple[Server, Path]], **job: float) -> list[list[Turn]]:
        """Let servers take turns, each with its requests; return the turns of each round."""
        for server, requests in loads:
            self.turn(server, requests, **job)
        return [
            [self.turn(server, requests, **job) for server, requests in loads]
            for _ in range(self.rounds)
        ]

    def compare(
        self, kinds: dict[str, Sequence[str]], connections: int, requests: Path
    ) -> list[Turn]:
        """Let two servers take turns, and print a line for each and their ratio."""
        with ExitStack() as stack:
            servers = [stack.enter_context(self.server(*arguments)) for arguments in kinds.values()]
            medians = self.turns(servers, requests, connections=connections)
        head("server", "requests/s", "CPU ms each", "p50 ms", "p99 ms")
        for name, found in zip(kinds, medians, strict=True):
            line(
                name,
                f"{found.rate:,.0f}",
                f"{found.cpu_ms:.2f}",
                f"{found.ms['50']:.1f}",
                f"{found.ms['99']:.1f}",
            )
        return medians


class Requests:
    """Whole HTTP requests for a model, in files.

    Args:
        folder: Where the files are written.
        spec: The model's inputs.
        rows: Rows of text; of those, the first 5,000 are sent in turn.
    """

    def __init__(self, folder: Path, spec: ModelSpec, rows: Sequence[dict[str, str]]) -> None:
        self.folder = folder
        self.spec = spec
        self.batch = instances(spec, rows[: REQUESTS * 10])
        folder.mkdir(exist_ok=True)

    def __call__(self, protocol: str, size: int) -> Path:
        """Return a file of requests of `size` rows each."""
        file = self.folder / f"{protocol}-{size}.json"
        if not file.exists():
            count = REQUESTS if size == 1 else 20
            starts = [n * size % (len(self.batch) - size) for n in range(count)]
            texts = [
                whole_request(self.spec, protocol, self.batch[start : start + size])
                for start in starts
            ]
            file.write_text(json.dumps(texts), encoding="utf-8")
        return file


def instances(spec: ModelSpec, rows: Sequence[dict[str, str]]) -> list[dict[str, Any]]:
    """Make instances of rows of text."""
    convert: dict[str, Callable[[str], Any]] = {
        "float32": float,
        "int64": lambda text: int(float(_BOOLEANS.get(text, text))),
        "string": str,
    }
    return [
        {
            item.name: convert[item.dtype](row[item.name])
            for item in spec.inputs
            if row.get(item.name)
        }
        for row in rows
    ]


def whole_request(spec: ModelSpec, protocol: str, batch: Sequence[dict[str, Any]]) -> str:
    """Make an HTTP request."""
    datatypes = {"float32": "FP32", "int64": "INT64", "string": "BYTES"}
    if protocol == "v1":
        path, document = "/v1/models/taxi:predict", {"instances": batch}
    else:
        path = "/v2/models/taxi/infer"
        document = {
            "inputs": [
                {
                    "name": item.name,
                    "datatype": datatypes[item.dtype],
                    "shape": [len(batch)],
                    "data": [row.get(item.name) for row in batch],
                }
                for item in spec.inputs
            ]
        }
    body = json.dumps(document)
    return (
        f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {KEY}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    )


def title(text: str) -> None:
    """Print a heading."""
    say(f"\n{text}\n")


def head(*cells: str) -> None:
    """Print the first lines of a table."""
    line(*cells)
    say("|---" + "|---:" * (len(cells) - 1) + "|")


def line(*cells: str) -> None:
    """Print a line of a table."""
    say("| " + " | ".join(cells) + " |")


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)


def median(turns: Sequence[Turn]) -> Turn:
    """Return the median of each figure."""
    return Turn(
        statistics.median(turn.rate for turn in turns),
        statistics.median(turn.cpu_ms for turn in turns),
        {name: statistics.median(turn.ms[name] for turn in turns) for name in turns[0].ms},
    )


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + STARTING_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError("the server did not start")
