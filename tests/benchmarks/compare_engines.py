"""Whole training runs on several engines, and whether their artifacts are equal.

    .venvs/tensorflow/bin/python -m tests.benchmarks.compare_engines --data taxi.csv

Five tables: the data given, once and 20 times, the sample data, 300 columns, and a CSV file with
all that is hard to cut: quoted line ends, a byte order mark, CRLF, blank lines at the end, rows
with too many fields. Each runs with `kfp-tabular run` on one machine in the pieces that suit one,
on one machine in at least seven pieces, and in these on every engine named. A difference ends the
program with exit code 1. Equal to the byte: schema, anomalies, the rows of every split and their
order, rejected rows with their lines, vocabularies, transformed rows, the digest of the transform
graph. Equal to 1e-9: statistics, and the evaluation with all intervals. Other pieces have other row
groups, in whose order training shuffles: between those, the evaluation is not compared.

`standalone` starts a master and two workers of Spark, `portable` Beam's job service with a pool of
external workers, each a process of its own.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from tensorflow_metadata.proto.v0 import statistics_pb2

from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.common.processing import sigterm
from kfp_tabular.components.common.processing.spark import installation
from kfp_tabular.pipelines.environments.location import Environments, default_folder
from tests import accumulator_laws, beam_services, spark_cluster

_EVALUATION = "evaluation"
_SMALL_CUTS = Path(__file__).parent / "small_cuts"

RELATIVE = 1e-9
# Means of nearly opposite numbers, and p-values of what cannot be told from nothing.
ABSOLUTE = 1e-12


def main() -> None:
    """Run each table on each engine and compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="Chicago taxi trips as CSV")
    parser.add_argument(
        "--engines",
        nargs="+",
        default=["standalone", "portable"],
        help="what to compare with: these, or documents `processing` as JSON",
    )
    parser.add_argument("--tables", nargs="+", default=list(_TABLES), choices=list(_TABLES))
    arguments = parser.parse_args()
    with (
        sigterm.ends_block(),
        tempfile.TemporaryDirectory(prefix="engines-") as name,
        contextlib.ExitStack() as stack,
    ):
        folder = Path(name)
        documents = {each: _document(each, folder, stack) for each in arguments.engines}
        equal = [_compare(table, arguments.data, documents, folder) for table in arguments.tables]
    sys.exit(not all(equal))


def _document(engine: str, folder: Path, stack: contextlib.ExitStack) -> dict[str, Any]:
    if engine == "standalone":
        return _standalone(folder / "cluster", stack)
    if engine == "portable":
        document = _portable(folder / "beam", "tensorflow", stack)
        # The environments have different versions of Beam.
        own = _portable(folder / "beam-tfdv", "tfdv", stack)
        return {**document, "tasks": {"validate-data": own}}
    return json.loads(engine) if engine.startswith("{") else {"engine": engine}


def _standalone(folder: Path, stack: contextlib.ExitStack) -> dict[str, Any]:
    installation.require(Environments(default_folder()).spark_home())
    folder.mkdir()
    cluster = stack.enter_context(spark_cluster.running(folder))
    return cluster.document(executor_memory="600m")


def _portable(folder: Path, image: str, stack: contextlib.ExitStack) -> dict[str, Any]:
    folder.mkdir()
    python = str(Environments(default_folder()).python(image))
    return stack.enter_context(beam_services.running(folder, python)).document()


def _compare(table: str, data: Path, documents: dict[str, Any], folder: Path) -> bool:
    file = folder / f"{table}.csv"
    options = _TABLES[table](data, file)
    whole = folder / table / "whole"
    expected = _run(file, options, {"engine": "local"}, whole, small_cuts=False)
    rows = sum(len(value) for name, value in expected.items() if name.startswith("examples/"))
    rejected = len(expected["rejected rows"])
    print(f"{table}: {rows:,} rows in {_pieces(whole)} pieces, {rejected:,} rejected", flush=True)
    equal = True
    for number, (engine, document) in enumerate(
        {"local": {"engine": "local"}, **documents}.items()
    ):
        started = time.monotonic()
        place = folder / table / f"{number}"
        found = _run(file, options, document, place, small_cuts=True)
        seconds = time.monotonic() - started
        differences = list(_differences(found, expected, is_same_cut=number > 0))
        compared = len(expected) - (number == 0)
        for difference in differences:
            print(f"{table} on {engine}: {difference}", flush=True)
        print(
            f"{table} on {engine[:24]}, {_pieces(place)} pieces: "
            f"{compared - len(differences)} of {compared} are equal ({seconds:.0f} s)",
            flush=True,
        )
        equal &= not differences
        if number == 0:
            expected = found
    return equal


def _differences(
    found: dict[str, Any], expected: dict[str, Any], *, is_same_cut: bool
) -> Iterator[str]:
    for name, value in expected.items():
        if name == _EVALUATION and not is_same_cut:
            continue
        try:
            accumulator_laws.assert_same(found[name], value, RELATIVE, ABSOLUTE)
        except (AssertionError, KeyError) as error:
            yield f"{name} differs: {error!r}"[:2000]
    if more := sorted(found.keys() - expected.keys()):
        yield f"there is also {', '.join(more)}"


def _pieces(output: Path) -> int:
    """Return how many pieces the source had: each makes a shard of the train split."""
    (run,) = (output / "artifacts").iterdir()
    return len(Examples(run / "ingest-data" / "examples").require("train"))


def _run(
    data: Path,
    options: list[str],
    document: dict[str, Any],
    output: Path,
    *,
    small_cuts: bool,
) -> dict[str, Any]:
    program = default_folder() / "author" / "bin" / "kfp-tabular"
    command = [program, "run", "--no-cache", "--data", data, *options, "--output", output]
    parameters = {
        "train_steps": 200,
        "processing": json.dumps(document),
        "model_name": "engines",
        "seed": 7,
    }
    for name, value in parameters.items():
        command += ["--param", f"{name}={value}"]
    variables = {"PYTHONPATH": str(_SMALL_CUTS)} if small_cuts else {}
    done = subprocess.run(
        list(map(str, command)),
        env={**os.environ, **variables},
        text=True,
        capture_output=True,
        check=False,
    )
    if done.returncode not in (0, 3):  # 3: the model is not blessed
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    (run,) = (output / "artifacts").iterdir()
    return _seen(run)


def _seen(run: Path) -> dict[str, Any]:
    """Return what must be equal, by name."""
    found: dict[str, Any] = {
        f"{name}/{split}": pa.concat_tables(pq.read_table(shard.uri) for shard in shards)
        for name, artifact in {
            "examples": run / "ingest-data" / "examples",
            "transformed": run / "transform-features" / "transformed_examples",
        }.items()
        for split, shards in Examples(artifact).shards.items()
    }
    rejected = run / "ingest-data" / "rejected_rows" / "part-00000.parquet"
    found["rejected rows"] = pq.read_table(rejected)
    for name in ("schema/schema.pbtxt", "anomalies/anomalies.pbtxt", "anomalies/anomalies.json"):
        found[name] = (run / "validate-data" / name).read_bytes()
    for file in sorted((run / "validate-data" / "statistics").glob("*.binpb")):
        found[f"statistics/{file.stem}"] = _numbers(file)
    graph = run / "transform-features" / "transform_graph"
    for file in sorted((graph / "transform_fn" / "assets").iterdir()):
        found[f"assets/{file.name}"] = file.read_bytes()
    found["graph digest"] = json.loads((graph / "_lineage.json").read_text())["digest"]
    evaluation = json.loads((run / "evaluate-model" / "evaluation" / "evaluation.json").read_text())
    # The exported file differs between two runs on one machine, too; its predictions are compared.
    del evaluation["model"]["digest"]
    found[_EVALUATION] = evaluation
    return found


def _numbers(file: Path) -> Any:
    statistics = statistics_pb2.DatasetFeatureStatisticsList.FromString(file.read_bytes())
    return _values(statistics)


def _values(message: Any) -> Any:
    if hasattr(message, "ListFields"):
        return {field.name: _values(value) for field, value in message.ListFields()}
    if isinstance(message, (str, bytes, float, int)):
        return message
    return [_values(value) for value in message]


def _taxi(copies: int) -> Callable[[Path, Path], list[str]]:
    def write(data: Path, file: Path) -> list[str]:
        header, _, body = data.read_bytes().partition(b"\n")
        with file.open("wb") as stream:
            stream.write(header + b"\n")
            for _ in range(copies):
                stream.write(body)
        return ["--label", "big_tipper", "--exclude", "tips"]

    return write


def _sample(data: Path, file: Path) -> list[str]:
    del data
    program = default_folder() / "author" / "bin" / "kfp-tabular"
    command = [program, "sample-data", "--rows", "20000", "--seed", "7", "--output", file]
    subprocess.run(command, check=True, capture_output=True)
    return ["--label", "is_fraud"]


def _wide(data: Path, file: Path) -> list[str]:
    del data
    random = np.random.default_rng(11)
    columns: dict[str, Any] = {}
    for number in range(150):
        columns[f"number_{number}"] = random.normal(number, 1 + number, 12_000).round(4)
        columns[f"name_{number}"] = np.char.add("v", random.zipf(1.5, 12_000).astype(str))
    signal = columns["number_3"] + random.normal(0, 4, 12_000)
    table = pa.table({**columns, "label": np.where(signal > 3, "yes", "no")})
    pyarrow.csv.write_csv(table, file)
    return ["--label", "label"]


def _nasty(data: Path, file: Path) -> list[str]:
    del data
    with file.open("wb") as stream:
        stream.write(b"\xef\xbb\xbfnote,amount,kind,other,label\r\n")
        for line in _nasty_lines():
            stream.write(line)
        stream.write(b"\r\n\r\n")
    return ["--label", "label"]


def _nasty_lines() -> Iterator[bytes]:
    random = np.random.default_rng(13)
    for number in range(120_000):
        amount, kind = random.integers(0, 10_000), random.integers(0, 5)
        label = int(amount + random.integers(0, 5_000) > 7_500)
        note = f'"line {number}\r\nand ""another"", {"x" * int(random.integers(0, 300))}\n\n"'
        more = ",9,9" if number % 1_009 == 1_008 else ""
        yield f'{note},{amount / 100},"k{kind}",{number % 17},{label}{more}\r\n'.encode()


_TABLES = {
    "taxi": _taxi(1),
    "taxi-x20": _taxi(20),
    "sample": _sample,
    "wide": _wide,
    "nasty": _nasty,
}


if __name__ == "__main__":
    main()
