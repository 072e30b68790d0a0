"""Speed and memory of validation: statistics of taxi-like rows, and a page of many columns.

    .venvs/tfdv/bin/python tests/benchmarks/bench_validation.py --rows 15000 300000 3000000
    .venvs/tfdv/bin/python tests/benchmarks/bench_validation.py --columns 2000 --rows 5000

Each size runs in a process of its own, so that the peak of its memory is its own. Times exclude
imports and the making of the data; "processor" is the processor time of the statistics, which
tells the speed where other programs keep the machine busy.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa


def taxi_like(rows: int, seed: int) -> pa.Table:
    """Make columns like those of Chicago's taxi trips: counts, codes, coordinates and text."""
    random = np.random.default_rng(seed)

    def sometimes(values: np.ndarray, missing: float) -> pa.Array:
        return pa.array(values, mask=random.random(rows) < missing)

    companies = np.array([f"Company number {i}" for i in range(60)])
    areas = 1 / np.arange(1, 78)
    miles = random.lognormal(0.5, 1.2, rows).round(1)
    return pa.table(
        {
            "pickup_community_area": sometimes(
                random.choice(77, rows, p=areas / areas.sum()), 0.01
            ),
            "fare": pa.array((3 + 2 * miles + random.gamma(2, 2, rows)).round(2)),
            "trip_start_month": pa.array(random.integers(1, 13, rows)),
            "trip_start_hour": pa.array(random.integers(0, 24, rows)),
            "trip_start_day": pa.array(random.integers(1, 8, rows)),
            "trip_start_timestamp": pa.array(random.integers(1_350_000_000, 1_480_000_000, rows)),
            **{
                f"{end}_{axis}": sometimes(random.choice(center, rows), 0.03)
                for end in ("pickup", "dropoff")
                for axis, center in (
                    ("latitude", 41.9 + random.normal(0, 0.05, 400).round(6)),
                    ("longitude", -87.6 + random.normal(0, 0.05, 400).round(6)),
                )
            },
            "trip_miles": pa.array(miles),
            "pickup_census_tract": pa.nulls(rows, pa.int64()),
            "dropoff_census_tract": sometimes(17_031_000_000 + random.integers(0, 800, rows), 0.3),
            "payment_type": pa.array(
                np.array(["Cash", "Credit Card", "Unknown"])[
                    random.choice(3, rows, p=[0.6, 0.39, 0.01])
                ]
            ),
            "company": sometimes(companies[random.integers(0, 60, rows)], 0.35),
            "trip_seconds": sometimes(60 * random.integers(0, 200, rows), 0.001),
            "dropoff_community_area": sometimes(random.integers(1, 78, rows), 0.03),
            "tips": pa.array(np.where(random.random(rows) < 0.4, 0.2 * miles, 0.0).round(2)),
            "big_tipper": pa.array((random.random(rows) < 0.23).astype(np.int64)),
        }
    )


def wide(rows: int, columns: int, seed: int) -> pa.Table:
    """Make many columns, a quarter each of decimals, whole numbers, codes and text."""
    random = np.random.default_rng(seed)
    words = np.array([f"value {i}" for i in range(50)])
    makers = (
        lambda: random.lognormal(0, 1, rows),
        lambda: random.integers(0, 100_000, rows),
        lambda: random.integers(0, 20, rows),
        lambda: words[random.integers(0, 50, rows)],
    )
    made = {f"column {i}": pa.array(makers[i % 4]()) for i in range(columns)}
    return pa.table({**made, "big_tipper": pa.array(random.integers(0, 2, rows))})


def make_examples(path: Path, rows: int, columns: int) -> None:
    """Write examples, two thirds of the rows for training and one for evaluation."""
    from kfp_tabular.components.common import files
    from kfp_tabular.components.common.artifacts.examples import ExamplesWriter

    with files.atomic_directory(path) as directory:
        part = max(300, min(300_000, 20_000_000 // (columns or 20)))
        make = (lambda n, seed: wide(n, columns, seed)) if columns else taxi_like
        schema = make(10, 0).schema
        with ExamplesWriter(directory, schema, ["train", "eval"]) as writer:
            for seed, start in enumerate(range(0, rows, part)):
                table = make(min(part, rows - start), seed)
                cut = table.num_rows * 2 // 3
                writer.write("train", table.slice(0, cut))
                writer.write("eval", table.slice(cut))


def measure(path: Path) -> dict[str, float]:
    """Validate once and return seconds, rows and the peak resident memory in GB."""
    import resource

    import tensorflow_data_validation  # noqa: F401 - imports are not to count

    from kfp_tabular.components.common.artifacts.examples import Examples
    from kfp_tabular.components.common.statistics import tfdv_statistics
    from kfp_tabular.components.data_validation import validate
    from kfp_tabular.components.data_validation.options import ValidationOptions

    examples = Examples(path)
    start, busy = time.perf_counter(), time.process_time()
    tfdv_statistics.compute(examples, {})
    computed, busy = time.perf_counter() - start, time.process_time() - busy
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        start = time.perf_counter()
        result = validate.run(
            validate.ValidationRequest(
                examples=path,
                schema=out / "schema",
                statistics=out / "statistics",
                anomalies=out / "anomalies",
                report=out / "report.html",
                options=ValidationOptions(label="big_tipper"),
            )
        )
        seconds = time.perf_counter() - start
        page = (out / "report.html").stat().st_size
    assert result.is_valid, result.failure
    return {
        "rows": sum(examples.rows().values()),
        "statistics": computed,
        "processor": busy,
        "all": seconds,
        "page_mb": page / 1e6,
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    }


def main() -> None:
    """Print a table with a line per size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[15_000, 300_000, 3_000_000])
    parser.add_argument("--columns", type=int, default=0, help="0: taxi-like, else so many columns")
    parser.add_argument("--examples", type=Path, help="validate these instead of made ones")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure)))
        return
    heads = ("rows", "statistics", "rows/s", "processor", "whole task", "page", "peak memory")
    print("".join(f"{head:>14}" for head in heads))
    for rows in [0] if arguments.examples else arguments.rows:
        with tempfile.TemporaryDirectory() as folder:
            path = arguments.examples or Path(folder) / "examples"
            if not arguments.examples:
                make_examples(path, rows, arguments.columns)
            command = [sys.executable, __file__, "--measure", str(path)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            found = json.loads(done.stdout.strip().splitlines()[-1])
        print(
            f"{found['rows']:>14,.0f}{found['statistics']:>12.2f} s"
            f"{found['rows'] / found['statistics']:>14,.0f}{found['processor']:>12.2f} s"
            f"{found['all']:>12.2f} s"
            f"{found['page_mb']:>11.2f} MB{found['peak_gb']:>11.2f} GB"
        )


if __name__ == "__main__":
    main()
