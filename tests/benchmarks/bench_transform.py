"""Feature engineering on taxi-like rows: time of the stage and of its parts, peak memory.

    .venvs/tensorflow/bin/python tests/benchmarks/bench_transform.py --rows 15002 300040 3000400

Each size runs in a process of its own; interpreter start and imports are not counted. The rows are
made here, two of three in the train split, unless `--csv` names a file to repeat. With `--wide N`
a table of N columns, half numbers and half text, is measured as well.
"""

import argparse
import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from kfp_tabular.components.common.artifacts.examples import ExamplesWriter
from kfp_tabular.components.common.process.tensorflow import import_tensorflow
from kfp_tabular.components.feature_engineering import transform, transformed_examples
from kfp_tabular.components.feature_engineering.features import column_facts
from kfp_tabular.components.feature_engineering.graph import transform_graph
from kfp_tabular.components.feature_engineering.options import TransformOptions

LABEL = "big_tipper"
WIDE_ROWS = 10_000
_CHUNK = 100_000


def main() -> None:
    """Measure each size and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="*", default=[15_002, 300_040, 3_000_400])
    parser.add_argument("--csv", type=Path, help="a file to repeat instead of made rows")
    parser.add_argument("--wide", type=int, nargs="*", default=[], help="numbers of columns")
    parser.add_argument("--single", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.single:
        print(json.dumps(_measure(arguments.single)))
        return
    heads = ("rows", "columns", "facts", "graph", "write", "stage, s", "cpu, s", "rows/s", "MB")
    print("".join(f"{head:>11}" for head in heads))
    sizes = [(rows, 0) for rows in arguments.rows]
    for rows, columns in sizes + [(WIDE_ROWS, columns) for columns in arguments.wide]:
        with tempfile.TemporaryDirectory(prefix="bench-") as name:
            folder = Path(name)
            _make(folder, rows, columns, arguments.csv)
            command = [sys.executable, __file__, "--single", str(folder)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        found = json.loads(done.stdout.splitlines()[-1])
        print(
            f"{rows:>11,}{found['columns']:>11,}{found['facts']:>11.2f}{found['graph']:>11.2f}"
            f"{found['write']:>11.2f}{found['seconds']:>11.2f}{found['cpu']:>11.2f}"
            f"{rows / found['seconds']:>11,.0f}{found['peak_mb']:>11,.0f}",
            flush=True,
        )


def _measure(folder: Path) -> dict[str, float]:
    import_tensorflow()
    import tensorflow_transform  # noqa: F401 - its import does not count

    parts: dict[str, float] = {}

    def timed(name: str, module: Any, function: str) -> None:
        original: Callable[..., Any] = getattr(module, function)

        def call(*args: Any, **kwargs: Any) -> Any:
            before = time.perf_counter()
            try:
                return original(*args, **kwargs)
            finally:
                parts[name] = time.perf_counter() - before

        setattr(module, function, call)

    timed("facts", column_facts, "collect")
    timed("graph", transform_graph, "write")
    timed("write", transformed_examples, "write")
    request = transform.TransformRequest(
        options=TransformOptions(label=LABEL, exclude=["tips"]),
        examples=folder / "examples",
        schema=folder / "schema",
        transform_graph=folder / "graph",
        transformed_examples=folder / "transformed",
        summary=folder / "summary",
    )
    started, cpu = time.perf_counter(), time.process_time()
    transform.run(request)
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    document = json.loads((folder / "graph" / "features.json").read_text(encoding="utf-8"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        **parts,
        "seconds": seconds,
        "cpu": cpu,
        "peak_mb": peak,
        "columns": len(document["raw_features"]),
    }


def _make(folder: Path, rows: int, columns: int, csv: Path | None) -> None:
    source = None if csv is None else pyarrow.csv.read_csv(csv).combine_chunks()
    (folder / "examples").mkdir()
    writer = None
    for chunk in range(math.ceil(rows / _CHUNK)):
        size = min(_CHUNK, rows - chunk * _CHUNK)
        if columns:
            table = _wide(size, columns, chunk)
        elif source is None:
            table = _trips(size, chunk)
        else:
            start = chunk * _CHUNK % len(source)
            table = source.take(pa.array((start + np.arange(size)) % len(source)))
        train = np.arange(size) % 3 < 2
        if writer is None:
            schema = table.schema
            splits = ["train", "eval"]
            writer = ExamplesWriter(folder / "examples", schema, splits).__enter__()
        writer.write("train", table.filter(pa.array(train)))
        writer.write("eval", table.filter(pa.array(~train)))
    if writer is not None:
        writer.__exit__(None, None, None)
        _write_schema(folder, schema)


def _write_schema(folder: Path, table: pa.Schema) -> None:
    types = {"double": schema_pb2.FLOAT, "int64": schema_pb2.INT, "string": schema_pb2.BYTES}
    schema = schema_pb2.Schema()
    for field in table:
        schema.feature.add(name=field.name, type=types[str(field.type)])
    (folder / "schema").mkdir()
    (folder / "schema" / "schema.pbtxt").write_text(text_format.MessageToString(schema))


def _trips(rows: int, seed: int) -> pa.Table:
    random = np.random.default_rng(seed)

    def missing(values: Any, share: float) -> pa.Array:
        return pa.array(values, mask=random.random(rows) < share)

    companies = np.array([f"Taxi Company {number}" for number in range(120)])
    payments = np.array(["Cash", "Credit Card", "Unknown", "No Charge", "Dispute"])
    return pa.table(
        {
            "pickup_community_area": missing(random.integers(1, 78, rows), 0.01),
            "fare": random.lognormal(2.2, 0.6, rows).round(2),
            "trip_start_month": random.integers(1, 13, rows),
            "trip_start_hour": random.integers(0, 24, rows),
            "trip_start_day": random.integers(1, 8, rows),
            "trip_start_timestamp": random.integers(1_357_000_000, 1_483_000_000, rows),
            "pickup_latitude": missing(random.normal(41.9, 0.04, rows).round(6), 0.01),
            "pickup_longitude": missing(random.normal(-87.6, 0.06, rows).round(6), 0.01),
            "dropoff_latitude": missing(random.normal(41.9, 0.04, rows).round(6), 0.03),
            "dropoff_longitude": missing(random.normal(-87.6, 0.06, rows).round(6), 0.03),
            "trip_miles": random.exponential(3, rows).round(1),
            "pickup_census_tract": missing(random.integers(1, 3, rows) * 17_031, 0.99),
            "dropoff_census_tract": missing(17_031_000_000 + random.integers(0, 230, rows), 0.3),
            "payment_type": payments[random.integers(0, 5, rows)],
            "company": missing(companies[random.zipf(1.5, rows) % 120], 0.3),
            "trip_seconds": missing(random.integers(0, 120, rows) * 60, 0.001),
            "dropoff_community_area": missing(random.integers(1, 78, rows), 0.03),
            "tips": random.exponential(1, rows),
            LABEL: (random.random(rows) < 0.2).astype(np.int64),
        }
    )


def _wide(rows: int, columns: int, seed: int) -> pa.Table:
    random = np.random.default_rng(seed)
    words = np.array([f"word {number}" for number in range(50)])
    data: dict[str, Any] = {
        f"number {index}": random.normal(size=rows) for index in range(columns // 2)
    }
    for index in range(columns - columns // 2):
        data[f"text {index}"] = words[random.integers(0, 50, rows)]
    data["tips"] = random.exponential(1, rows)
    data[LABEL] = (random.random(rows) < 0.2).astype(np.int64)
    return pa.table(data)


if __name__ == "__main__":
    main()
