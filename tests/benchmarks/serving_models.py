"""Two models behind the same server, side by side: latency, throughput, CPU time, load, memory.

Both servers run at once and take turns, A B A B ..., with the same rows. A ratio is the median of
those of the rounds, so that a busy moment of the machine, which lasts longer than a round, favors
neither. Above 1 is worse for the second model, but for requests per second, where it is better.
"""

import http.client
import json
import re
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from serving_load import BATCHES, KEY, SINGLE, Bench, Requests, Server, Turn, head, line, say, title

from kfp_tabular.components.common.artifacts.model_document import ModelSpec

CASES = (
    ("v1", 1, 1),
    ("v1", 1, 16),
    ("v1", 100, 1),
    ("v1", 100, 16),
    ("v2", 1, 1),
    ("v2", 100, 16),
)
"""Protocol, rows per request, connections."""

FIGURES: Sequence[tuple[str, Callable[[Turn], float]]] = (
    ("p50 ms", lambda turn: turn.ms["50"]),
    ("p99 ms", lambda turn: turn.ms["99"]),
    ("requests/s", lambda turn: turn.rate),
    ("CPU ms each", lambda turn: turn.cpu_ms),
)
LOADS = 3
_LOAD_SECONDS = re.compile(r"^kfp_tabular_model_load_seconds\S* (\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Start:
    """What a server's start with a model takes."""

    load_seconds: float
    first_ms: float
    resident_mib: float


def compare(bench: Bench, other: Path, rows: Sequence[dict[str, str]]) -> None:
    """Compare the bench's model with another, and print tables.

    Args:
        bench: Has the first model.
        other: The second model.
        rows: Rows of text for both.
    """
    models = (bench.model, other)
    requests = [
        Requests(bench.folder / f"requests-{index}", ModelSpec.load(model), rows)
        for index, model in enumerate(models)
    ]
    say("\n".join(f"{letter}: {model}" for letter, model in zip("AB", models, strict=True)))
    _starts(bench, models, requests)
    for name, options in (("a call for each request", SINGLE), ("--batch-rows 128", BATCHES)):
        title(f"{name}: A / B (B over A)")
        head("protocol", "rows", "connections", *(figure for figure, _ in FIGURES))
        with ExitStack() as stack:
            servers = [
                stack.enter_context(bench.server("guarded", *options, model=model))
                for model in models
            ]
            for protocol, size, connections in CASES:
                loads = [
                    (server, each(protocol, size))
                    for server, each in zip(servers, requests, strict=True)
                ]
                rounds = bench.rounds_of(loads, connections=connections)
                cells = [_cell(rounds, value) for _, value in FIGURES]
                line(protocol, str(size), str(connections), *cells)


def _starts(bench: Bench, models: Sequence[Path], requests: Sequence[Requests]) -> None:
    title("start: loading and warm-up, the first response, memory after it (medians)")
    head("model", "bytes on disk", "load s", "first response ms", "resident MiB")
    starts: list[list[Start]] = [[] for _ in models]
    for _ in range(LOADS):
        for model, each, found in zip(models, requests, starts, strict=True):
            with bench.server("guarded", *BATCHES, model=model) as server:
                found.append(_start(server, each("v1", 1)))
    for letter, model, found in zip("AB", models, starts, strict=True):
        size = sum(path.stat().st_size for path in model.rglob("*") if path.is_file())
        line(
            letter,
            f"{size:,}",
            f"{statistics.median(start.load_seconds for start in found):.2f}",
            f"{statistics.median(start.first_ms for start in found):.1f}",
            f"{statistics.median(start.resident_mib for start in found):.0f}",
        )


def _start(server: Server, requests: Path) -> Start:
    (body, *_) = (
        text.partition("\r\n\r\n")[2] for text in json.loads(requests.read_text(encoding="utf-8"))
    )
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    while True:
        begun = time.perf_counter()
        connection.request("POST", "/v1/models/taxi:predict", body, headers)
        response = connection.getresponse()
        response.read()
        if response.status == 200:
            break
        # The port is open before the model is loaded.
        time.sleep(0.05)
    milliseconds = (time.perf_counter() - begun) * 1e3
    connection.request("GET", "/metrics", headers=headers)
    found = _LOAD_SECONDS.search(connection.getresponse().read().decode())
    if found is None:
        raise RuntimeError("the server does not tell how long loading took")
    return Start(float(found[1]), milliseconds, server.resident_mib())


def _cell(rounds: Sequence[Sequence[Turn]], value: Callable[[Turn], float]) -> str:
    pairs = [(value(first), value(second)) for first, second in rounds]
    first, second = (statistics.median(values) for values in zip(*pairs, strict=True))
    ratio = statistics.median(second / first for first, second in pairs)
    digits = 0 if first >= 100 else 1 if first >= 10 else 2
    return f"{first:,.{digits}f} / {second:,.{digits}f} ({ratio:.2f})"
