"""How fast ingestion is, and how much memory it takes.

    .venvs/tensorflow/bin/python tests/benchmarks/bench_ingest.py [--rows N ...] [--csv FILE]

Makes taxi-like data of its own (or repeats the rows of `--csv`), ingests it in a process of its
own for each line, and prints a table. Times exclude the interpreter's start and imports; CSV is
split by a hash of the whole row and written as Parquet.
"""

import argparse
import gzip
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

COMPANIES = ("Flash Cab", "Taxi Affiliation Services", "Sun Taxi", '"Blue, Ribbon & Co."', "")
PAYMENTS = ("Cash", "Credit Card", "Mobile", "Unknown")
BASE_ROWS = 20_000


def taxi_like(seed: int) -> tuple[str, list[str]]:
    """Return a header and rows of 19 columns and some 130 bytes: numbers, text, missing values."""
    rng = np.random.default_rng(seed)
    header = (
        "pickup_community_area,fare,trip_start_month,trip_start_hour,trip_start_day,"
        "trip_start_timestamp,pickup_latitude,pickup_longitude,dropoff_latitude,"
        "dropoff_longitude,trip_miles,pickup_census_tract,dropoff_census_tract,payment_type,"
        "company,trip_seconds,dropoff_community_area,tips,big_tipper"
    )
    rows = []
    for _ in range(BASE_ROWS):
        fare = round(float(rng.gamma(2.0, 6.0)) + 3.25, 2)
        tips = round(fare * float(rng.random()) / 3, 2)
        company = COMPANIES[rng.integers(5)]
        rows.append(
            f"{rng.integers(1, 78)},{fare:g},{rng.integers(1, 13)},{rng.integers(24)},"
            f"{rng.integers(1, 8)},{1_356_998_400 + int(rng.integers(10**8))},"
            f"{41.6 + rng.random() / 2:.9f},{-87.9 + rng.random() / 2:.9f},"
            f"{41.6 + rng.random() / 2:.9f},{-87.9 + rng.random() / 2:.9f},"
            f"{rng.gamma(1.5, 2.0):.1f},,"
            f"{17_031_000_000 + int(rng.integers(10**6)) if rng.random() < 0.7 else ''},"
            f"{PAYMENTS[rng.integers(4)]},{company},"
            f"{int(rng.gamma(2.0, 400.0))},{rng.integers(1, 78)},{tips:g},{int(tips > fare / 5)}"
        )
    return header, rows


def repeat(header: str, rows: list[str], count: int, path: Path, last: str = "") -> None:
    """Write `count` rows, and one more where `last` is given."""
    block = "\n".join(rows) + "\n"
    with path.open("w", encoding="utf-8") as stream:
        stream.write(f"{header}\n")
        for _ in range(count // len(rows)):
            stream.write(block)
        stream.write("".join(f"{row}\n" for row in rows[: count % len(rows)]))
        stream.write(last)


def measure(uri: str, output: Path) -> None:
    """Ingest once, in this process, and print rows, seconds, CPU seconds and megabytes."""
    import pyarrow.csv
    import pyarrow.parquet  # noqa: F401 - not to be counted

    from kfp_tabular.components.data_ingestion import ingest
    from kfp_tabular.components.data_ingestion.options import IngestionOptions

    start, cpu = time.perf_counter(), time.process_time()
    result = ingest.run(
        ingest.IngestionRequest(
            IngestionOptions(uri),
            output / "examples",
            output / "rejected",
            output / "summary.md",
        )
    )
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(sum(result.rows.values()), seconds, cpu, peak)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[15_002, 300_040, 3_000_400])
    parser.add_argument("--csv", type=Path, help="repeat the rows of this file instead")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measure(arguments.measure[0], Path(arguments.measure[1]))
        return
    if arguments.csv:
        header, *rows = arguments.csv.read_text(encoding="utf-8").splitlines()
    else:
        header, rows = taxi_like(seed=7)
    print(f"{'input':34} {'rows':>9} {'s':>7} {'rows/s':>10} {'CPU s':>7} {'MB':>6}")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        for count in arguments.rows:
            plain = work / "data.csv"
            repeat(header, rows, count, plain)
            report("csv", plain, work)
            with plain.open("rb") as source, gzip.open(f"{plain}.gz", "wb", 1) as target:
                shutil.copyfileobj(source, target)
            report("csv.gz", Path(f"{plain}.gz"), work)
            shutil.rmtree(work / "in", ignore_errors=True)
            shutil.copytree(work / "out" / "examples", work / "in")
            report("parquet", work / "in", work)
            # The last row turns an integer into a double: everything is read twice.
            repeat(header, rows, count, plain, last="0.5" + "," * header.count(",") + "\n")
            report("csv, a type widens in the last row", plain, work)


def report(name: str, source: Path, work: Path) -> None:
    """Ingest in a new process and print a line of the table."""
    shutil.rmtree(work / "out", ignore_errors=True)
    done = subprocess.run(
        [sys.executable, __file__, "--measure", str(source), str(work / "out")],
        check=True,
        capture_output=True,
        text=True,
    )
    rows, seconds, cpu, peak = (float(value) for value in done.stdout.split())
    print(f"{name:34} {rows:9,.0f} {seconds:7.2f} {rows / seconds:10,.0f} {cpu:7.2f} {peak:6.0f}")


if __name__ == "__main__":
    main()
