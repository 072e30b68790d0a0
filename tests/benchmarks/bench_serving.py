"""The endpoint under load: beside KServe's own server, its checks on and off, batches, memory.

    .venvs/serving/bin/python tests/benchmarks/bench_serving.py [--minutes 10]
    .venvs/serving/bin/python tests/benchmarks/bench_serving.py --data trips.csv \\
        --model runs/then/models/model/1 --against runs/now/models/model/1

Server and client are processes of this machine and share its CPUs. The model is the default one on
taxi trips, trained by `kfp-tabular run`: on `chicago_taxi.csv` in the folder that
KFP_TABULAR_REFERENCE_DATA names, else on trips made up here; `--model` takes one that is there.
Requests are single rows over v1 unless said otherwise, 500 different ones in turn. `--against`
compares two models behind the same server instead (`serving_models.py`).

What is compared runs in turns of a few seconds, A B A B ..., and medians are shown: the machine may
be busy with something else. CPU time per request, of the server alone, is less affected by that.
"""

import argparse
import csv
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import serving_models
from serving_load import BATCHES, HERE, SINGLE, Bench, Requests, head, line, say, title

from kfp_tabular.components.common.artifacts.model_document import ModelSpec

PROGRAM = HERE.parents[1] / ".venvs" / "author" / "bin" / "kfp-tabular"
LABEL = "big_tipper"


def beside_kserve(bench: Bench, requests: Path) -> None:
    """Compare with a model of KServe's that does only `signature(**tensors)`."""
    title("v1, one row, 16 connections: beside KServe's ModelServer")
    kinds = {
        "KServe, signature(**tensors) only": ["kserve"],
        "kfp-tabular, with authentication": ["guarded", *SINGLE],
        "kfp-tabular, with batches too": ["guarded", *BATCHES],
    }
    kserve, guarded, batches = bench.compare(kinds, 16, requests)
    say(
        f"{guarded.rate / kserve.rate:.2f}x KServe's throughput; with batches "
        f"{batches.rate / kserve.rate:.2f}x"
    )


def checks(bench: Bench, requests: Path) -> None:
    """Compare with validation, metrics and authentication taken out."""
    for name, options, connections in (("one row", SINGLE, 16), ("one row, batches", BATCHES, 64)):
        title(f"v1, {name}, {connections} connections: validation, metrics, authentication")
        bare, guarded = bench.compare(
            {"off": ["bare", *options], "on": ["guarded", *options]}, connections, requests
        )
        say(
            f"overhead {bare.rate / guarded.rate - 1:+.0%} by throughput, "
            f"{guarded.cpu_ms / bare.cpu_ms - 1:+.0%} by CPU time"
        )


def batches(bench: Bench, requests: Path) -> None:
    """Compare micro-batching with a call for each request."""
    title("v1, one row, 64 connections: micro-batching")
    alone, together = bench.compare(
        {
            "a call for each request": ["guarded", *SINGLE],
            "--batch-rows 128": ["guarded", *BATCHES],
        },
        64,
        requests,
    )
    say(f"{together.rate / alone.rate:.2f}x the throughput")


def half_load(bench: Bench, requests: Path) -> None:
    """Measure latency at half of what a server can take, arrivals at random.

    Tails show whatever else the machine does, so the turn that was disturbed least is shown too.
    """
    title("v1, one row: latency at half of saturation (Poisson arrivals)")
    head("server", "turn", "at most/s", "arriving/s", "p50 ms", "p99 ms", "p99 / p50")
    for name, options in (("a call for each request", SINGLE), ("--batch-rows 128", BATCHES)):
        with bench.server("guarded", *options) as server:
            bench.turn(server, requests, connections=64)
            pairs = []
            for _ in range(bench.rounds):
                most = bench.turn(server, requests, connections=64)
                pairs.append((bench.turn(server, requests, rate=most.rate / 2), most))
        pairs.sort(key=lambda pair: pair[0].ms["99"] / pair[0].ms["50"])
        for which, (found, most) in (("median", pairs[len(pairs) // 2]), ("least", pairs[0])):
            line(
                name,
                which,
                f"{most.rate:,.0f}",
                f"{most.rate / 2:,.0f}",
                f"{found.ms['50']:.2f}",
                f"{found.ms['99']:.2f}",
                f"{found.ms['99'] / found.ms['50']:.1f}",
            )


def memory(bench: Bench, requests: Path, minutes: float) -> None:
    """Watch a server's memory at saturation."""
    title(f"memory at saturation, {minutes:g} minutes, 64 connections, --batch-rows 128")
    head("minute", "requests", "resident MiB")
    with bench.server("guarded", *BATCHES) as server:
        bench.turn(server, requests, connections=64)
        begin, answered, resident, shown = time.monotonic(), 0.0, [], 0
        while (passed := time.monotonic() - begin) < minutes * 60:
            turn = bench.turn(server, requests, connections=64)
            answered += turn.rate * bench.seconds
            resident.append(((passed + bench.seconds) / 60, server.resident_mib()))
            if int(resident[-1][0]) > shown or not shown:
                shown = max(1, int(resident[-1][0]))
                line(f"{resident[-1][0]:.1f}", f"{answered:,.0f}", f"{resident[-1][1]:.1f}")
    later = [point for point in resident if point[0] >= resident[-1][0] / 2]
    if len(later) > 2:
        slope = np.polyfit(*zip(*later, strict=True), 1)[0]
        say(f"{slope:+.2f} MiB a minute over the second half")


def protocols(bench: Bench, requests: Requests) -> None:
    """Measure v1 and v2, small and large requests."""
    title("protocols and sizes, with authentication, --batch-rows 128")
    head("protocol", "rows", "connections", "requests/s", "rows/s", "p50 ms", "p99 ms")
    with bench.server("guarded", *BATCHES) as server:
        for protocol in ("v1", "v2"):
            for rows in (1, 100):
                for connections in (1, 16):
                    content = requests(protocol, rows)
                    (found,) = bench.turns([server], content, connections=connections)
                    line(
                        protocol,
                        str(rows),
                        str(connections),
                        f"{found.rate:,.0f}",
                        f"{found.rate * rows:,.0f}",
                        f"{found.ms['50']:.2f}",
                        f"{found.ms['99']:.2f}",
                    )


def train(folder: Path) -> tuple[Path, list[dict[str, str]]]:
    """Train a model with the whole pipeline; return it and the rows it was trained on."""
    reference = Path(os.environ.get("KFP_TABULAR_REFERENCE_DATA", "")) / "chicago_taxi.csv"
    data = reference
    if not reference.is_file():
        data = folder / "trips.csv"
        _make_up(data)
    command = [
        str(PROGRAM),
        "run",
        "--no-cache",
        "--data",
        str(data),
        "--label",
        LABEL,
        "--exclude",
        "tips",
    ]
    command += ["--param", "train_steps=1000", "--param", "batch_size=40"]
    subprocess.run(
        [*command, "--output", str(folder / "run")], check=True, stdout=subprocess.DEVNULL
    )
    (model,) = (folder / "run").glob("artifacts/*/train-model/model")
    with data.open(encoding="utf-8") as lines:
        return model, list(csv.DictReader(lines))


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print tables."""
    sections = ("kserve", "checks", "batches", "half-load", "memory", "protocols")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, help="a model's directory, with --data")
    parser.add_argument("--data", type=Path, help="a CSV file of rows for --model")
    parser.add_argument("--against", type=Path, help="another model on --data: only compare both")
    parser.add_argument("--seconds", type=float, default=3.0, help="of a turn")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each")
    parser.add_argument("--minutes", type=float, default=1.0, help="at saturation, for memory")
    parser.add_argument("--only", nargs="+", choices=sections, default=sections)
    options = parser.parse_args(arguments)
    if (options.model is None) != (options.data is None):
        parser.error("--model and --data go together")
    if options.against is not None and options.model is None:
        parser.error("--against needs --model and --data")
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        if options.model is None:
            model, rows = train(folder)
        else:
            with options.data.open(encoding="utf-8") as lines:
                model, rows = options.model, list(csv.DictReader(lines))
        spec = ModelSpec.load(model)
        bench = Bench(folder, model, options.seconds, options.rounds)
        say(f"{len(spec.inputs)} features; {os.cpu_count()} CPUs; load {os.getloadavg()[0]:.1f}")
        if options.against is not None:
            serving_models.compare(bench, options.against, rows)
            return
        requests = Requests(folder / "requests", spec, rows)
        single = requests("v1", 1)
        run: dict[str, Callable[[], None]] = {
            "kserve": lambda: beside_kserve(bench, single),
            "checks": lambda: checks(bench, single),
            "batches": lambda: batches(bench, single),
            "half-load": lambda: half_load(bench, single),
            "memory": lambda: memory(bench, single, options.minutes),
            "protocols": lambda: protocols(bench, requests),
        }
        for section in options.only:
            run[section]()


def _make_up(path: Path, rows: int = 15_000) -> None:
    random = np.random.default_rng(7)
    companies = [f"Cab Company No. {number}" for number in range(80)]
    payment = random.choice(
        ["Cash", "Credit Card", "Unknown", "No Charge"], rows, p=[0.5, 0.4, 0.05, 0.05]
    )
    miles = random.exponential(3, rows).round(1)
    seconds = (miles * 240 + random.integers(0, 10, rows) * 60).astype(int)
    fare = (3.25 + miles * 2 + seconds / 300).round(2)
    hour = random.integers(0, 24, rows)
    chance = np.where(payment == "Credit Card", 0.5 + 0.2 * (hour > 18) - 0.02 * miles, 0.01)
    label = (random.random(rows) < chance).astype(int)
    columns: dict[str, Any] = {
        "pickup_community_area": random.integers(1, 78, rows),
        "fare": fare,
        "trip_start_month": random.integers(1, 13, rows),
        "trip_start_hour": hour,
        "trip_start_day": random.integers(1, 8, rows),
        "trip_start_timestamp": random.integers(1_357_000_000, 1_480_000_000, rows) // 900 * 900,
        "pickup_latitude": random.normal(41.9, 0.04, rows).round(6),
        "pickup_longitude": random.normal(-87.6, 0.06, rows).round(6),
        "dropoff_latitude": random.normal(41.9, 0.04, rows).round(6),
        "dropoff_longitude": random.normal(-87.6, 0.06, rows).round(6),
        "trip_miles": miles,
        "payment_type": payment,
        "company": [companies[number % 80] for number in random.zipf(1.5, rows)],
        "trip_seconds": seconds,
        "dropoff_community_area": random.integers(1, 78, rows),
        "tips": np.where(label, fare * 0.25, 0).round(2),
        LABEL: label,
    }
    with path.open("w", encoding="utf-8", newline="") as target:
        writer = csv.writer(target)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


if __name__ == "__main__":
    main()
