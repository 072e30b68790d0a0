"""The endpoint under hostile bodies, in the memory of its pod: beside the largest good ones.

    .venvs/serving/bin/python tests/benchmarks/bench_hostile_bodies.py [--seconds 60]

The server has the flags and the memory limit of `manifests/serving/runtime`; where control groups
may not be created, its memory is only measured. The bodies are those of `tests/serving/attack`: the
worst ones as large as the server accepts, and all of them with 4 MB, from four processes at once.
Beside them, probes come every 50 ms over new connections, and two clients send good requests and
compare the answers.

A second table sends one body after the other and shows what each takes.
"""

import argparse
import multiprocessing
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

from tests.serving.attack.hostile_bodies import (  # noqa: E402
    Body,
    ask,
    bodies,
    legal_binary,
    legal_rows,
    worst,
)
from tests.serving.attack.memory_limit import MemoryLimit, peak_mb, reset_peak  # noqa: E402
from tests.serving.attack.served import Served  # noqa: E402
from tests.serving.conftest import build  # noqa: E402

RUNTIME = HERE.parents[1] / "manifests" / "serving" / "runtime" / "serving-runtime.yaml"
LARGEST = 33_000_000
MEDIUM = 4_000_000
ATTACKERS = 4
TEXT_BYTES = 3_000
"""Of ten thousand rows, these fill 32 MiB."""
REST_SECONDS = 10.0
UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30}

spawn = multiprocessing.get_context("spawn")


def shipped() -> tuple[list[str], int]:
    """Return the flags of the serving runtime, and its memory limit in bytes."""
    (container,) = yaml.safe_load(RUNTIME.read_text())["spec"]["containers"]
    flags = [
        flag
        for flag in container["args"]
        if not flag.startswith(("--model=", "--name=", "--host=", "--port="))
    ]
    amount, unit = re.fullmatch(r"(\d+)(\wi)", container["resources"]["limits"]["memory"]).groups()
    return flags, int(amount) * UNITS[unit]


@contextmanager
def server(model: Path, options: Sequence[str] = ()) -> Iterator[tuple[Served, MemoryLimit | None]]:
    """Run a server as the manifests do."""
    flags, limit_bytes = shipped()
    command = [sys.executable, "-m", "kfp_tabular.serving"]
    command += ["--model", str(model), "--name", "fraud"]
    with ExitStack() as stack:
        try:
            limit = stack.enter_context(MemoryLimit(limit_bytes))
        except OSError as error:
            print(f"no control group ({error}): memory is measured, not limited")
            limit = None
        with limit.applied_to_children() if limit else ExitStack():
            child = subprocess.Popen(
                [*command, "--port", "0", *flags, *options], stderr=subprocess.PIPE, text=True
            )
        lines: list[str] = []
        try:
            url = ""
            for line in child.stderr or ():
                lines.append(line)
                if found := re.search(r"ready: (http://[^/]+)/", line):
                    url = found[1]
                    break
            if not url:
                raise RuntimeError("".join(lines))
            reading = threading.Thread(target=lambda: lines.extend(child.stderr or ()))
            reading.start()
            process = SimpleNamespace(url=url, grpc=None, child=child, log="")
            yield Served(process), limit
            if child.poll() is not None:
                print(f"THE SERVER ENDED with {child.poll()}:\n{''.join(lines)[-2000:]}")
        finally:
            child.kill()
            child.wait()
            if url:
                reading.join()
                seen = Counter(re.sub(r"^.*? WARNING|; \d+ since.*", "", line) for line in lines)
                for line, times in seen.items():
                    if "--max" in line or "Traceback" in line:
                        print(f"log, {times} times: {line.strip()}")


def send_again_and_again(
    address: tuple[str, int], kind: str, number: int, seconds: float, ready: Any, results: Any
) -> None:
    """Send one attacker's share of the bodies of a kind, again and again; a process of its own."""
    if kind == "good":
        made = [legal_rows(10_000, TEXT_BYTES), legal_binary(10_000, TEXT_BYTES)]
    elif kind == "worst":
        made = list(worst(LARGEST))[number::ATTACKERS]
    else:
        made = list(bodies(MEDIUM))[number::ATTACKERS]
    contents = [body.make() for body in made]
    statuses: Counter[str] = Counter()
    ready.wait()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for body, content in zip(made, contents, strict=True):
            try:
                statuses[str(ask(address, body, content)[0])] += 1
            except OSError as error:
                statuses[type(error).__name__] += 1
            if time.monotonic() >= until:
                break
    results.put(statuses)


def under(model: Path, kind: str, seconds: float) -> list[str]:
    """Send bodies of a kind to a new server, and return the cells of a line."""
    with server(model) as (served, limit):
        ask(served.address, legal_rows(10_000, TEXT_BYTES))
        time.sleep(1)
        before = served.memory_mb()
        reset_peak(served.pids)
        results = spawn.Queue()
        count = ATTACKERS if kind != "none" else 0
        ready = spawn.Barrier(count + 1)
        attackers = [
            spawn.Process(
                target=send_again_and_again,
                args=(served.address, kind, number, seconds, ready, results),
            )
            for number in range(count)
        ]
        for attacker in attackers:
            attacker.start()
        ready.wait()
        with served.probing() as prober, served.good_load() as load:
            statuses: Counter[str] = sum((results.get() for _ in attackers), Counter())
            if not attackers:
                time.sleep(seconds)
        for attacker in attackers:
            attacker.join()
        peak = peak_mb(served.pids)
        time.sleep(REST_SECONDS)
        rest = served.memory_mb()
        found = sorted(prober.latencies)
        return [
            kind,
            ", ".join(f"{times:,} x {status}" for status, times in sorted(statuses.items())),
            f"{before:.0f}",
            f"{peak:.0f}",
            f"{limit.peak_mb():.0f}" if limit else "",
            f"{rest:.0f}",
            f"{limit.kills()}" if limit else "",
            f"{statistics.median(found) * 1e3:.1f}",
            f"{found[int(len(found) * 0.99)] * 1e3:.0f}",
            f"{found[-1] * 1e3:.0f}",
            f"{len(prober.failures)}",
            f"{load.answered:,}",
            f"{len(load.failures)}",
        ]


def one_by_one(model: Path, made: Sequence[Body]) -> None:
    """Print what each body takes."""
    _line(
        *("body", "MB", "status", "s", "server's CPU s", "peak MB more", "MB per MiB"),
        "slowest probe ms",
    )
    print("|---" + "|---:" * 7 + "|")
    with server(model) as (served, _):
        ask(served.address, legal_rows(10_000))
        for body in made:
            content = body.make()
            time.sleep(0.5)
            reset_peak(served.pids)
            before, cpu = served.memory_mb(), served.cpu_seconds()
            begin = time.monotonic()
            with served.probing(seconds_between=0.01) as prober:
                status, _ = ask(served.address, body, content)
                seconds = time.monotonic() - begin
            peak = peak_mb(served.pids) - before
            _line(
                body.name,
                f"{len(content) / 1e6:.1f}",
                str(status),
                f"{seconds:.2f}",
                f"{served.cpu_seconds() - cpu:.2f}",
                f"{peak:.0f}",
                f"{peak / (len(content) / 2**20):.1f}",
                f"{prober.longest * 1e3:.0f}",
            )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="of each kind of load")
    parser.add_argument("--only", choices=("together", "one-by-one"), help="one of the tables")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        model = build(Path(name) / "7", "binary")
        print(f"{os.cpu_count()} CPUs; load {os.getloadavg()[0]:.1f}; flags {shipped()}\n")
        tables: dict[str, Callable[[], None]] = {
            "together": lambda: together(model, options.seconds),
            "one-by-one": lambda: one_by_one(
                model,
                [
                    legal_rows(10_000),
                    legal_rows(10_000, TEXT_BYTES),
                    legal_binary(10_000, TEXT_BYTES),
                    *worst(LARGEST),
                ],
            ),
        }
        for table, run in tables.items():
            if options.only in (None, table):
                run()
                print()


def together(model: Path, seconds: float) -> None:
    """Print a line for each kind of load."""
    _line(
        *("load", "answers", "MB before", "peak MB", "group's peak MB", "MB after 10 s", "kills"),
        *("probe p50 ms", "p99 ms", "slowest ms", "failed", "good answers", "failed"),
    )
    print("|---|---" + "|---:" * 11 + "|")
    for kind in ("none", "good", "worst", "hostile"):
        _line(*under(model, kind, seconds))


def _line(*cells: str) -> None:
    print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
