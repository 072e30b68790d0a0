"""Batch prediction beside plain calls of the model, on the same rows and cores.

    .venvs/tensorflow/bin/python -m tests.benchmarks.bench_batch_prediction --data taxi.csv \
        --model runs/taxi/models/model/1

`predict_batch`: reads CSV or Parquet, checks and decodes each value, predicts, measures drift where
--statistics is given, and writes Parquet. `model.predict`: calls the SavedModel for batches of the
same rows, which are in memory as tensors already, in a loop and in threads. `BulkInferrer` does the
work of TFX's component with the same name in a loop: serialized tf.Example in, tf.Example parsed in
the graph; it is here to show what the format costs. `--jitter` changes each number a little, so
that no value comes again. `--only` measures some cases: the peak is of the process, and
`model.predict` needs all rows in memory.
"""

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from kfp_tabular.components.batch_prediction import predict
from kfp_tabular.components.batch_prediction.options import BatchPredictionOptions
from kfp_tabular.components.common.artifacts.model_document import EXAMPLES_SIGNATURE
from kfp_tabular.components.common.prediction.column_decoder import ColumnDecoder, Texts
from kfp_tabular.components.common.prediction.saved_model import SavedModel
from kfp_tabular.components.common.process.tensorflow import import_tensorflow
from kfp_tabular.components.common.processing.local_engine import LocalEngine

_BATCH = 16_384


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="a CSV file with a header")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--statistics", default="", help="of the training, to measure drift")
    parser.add_argument("--copies", type=int, default=20, help="how often the rows are repeated")
    parser.add_argument("--jitter", action="store_true", help="no number comes twice")
    parser.add_argument("--only", default="", help="only cases whose name has this text")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        _Benchmark(given, Path(folder)).run()


class _Benchmark:
    def __init__(self, given: argparse.Namespace, folder: Path) -> None:
        self._given = given
        self._folder = folder
        header, _, rows = given.data.read_bytes().partition(b"\n")
        self._csv = folder / "rows.csv"
        self._csv.write_bytes(header + b"\n" + rows * given.copies)
        table = pacsv.read_csv(self._csv)
        if given.jitter:
            table = _jittered(table)
            pacsv.write_csv(table, self._csv)
        self._parquet = folder / "rows.parquet"
        pq.write_table(table, self._parquet, row_group_size=131_072)
        self._rows = table.num_rows
        self._model = SavedModel(given.model)

    @cached_property
    def _tensors(self) -> "dict[str, np.ndarray[Any, Any]]":
        table = pq.read_table(self._parquet)
        columns = {name: table[name].combine_chunks() for name in table.column_names}
        decoded = ColumnDecoder(self._model.spec.inputs).decode(columns, self._rows)
        return {
            name: values.whole() if isinstance(values, Texts) else values
            for name, values in decoded.values.items()
        }

    def run(self) -> None:
        print(f"{self._rows:,} rows, {self._given.threads} threads, median of {self._given.repeat}")
        print("| | rows/s | rows per second of CPU | peak |\n|---|---:|---:|---:|")
        plain = "model.predict on tensors"
        cases: dict[str, Callable[[], None]] = {
            f"{plain}, a loop": lambda: self._predict(1),
            f"{plain}, {self._given.threads} threads": lambda: self._predict(self._given.threads),
            "predict_batch, Parquet": lambda: self._batch(self._parquet),
            "predict_batch, CSV": lambda: self._batch(self._csv),
        }
        if self._given.statistics:
            cases["predict_batch, CSV, with drift"] = lambda: self._batch(
                self._csv, self._given.statistics
            )
        cases["serialized tf.Example, a loop (BulkInferrer)"] = self._examples
        cases = {name: case for name, case in cases.items() if self._given.only in name}
        for case in cases.values() if len(cases) > 1 else ():
            case()  # Once for what TensorFlow does at first.
            break
        for name, case in cases.items():
            wall, cpu = zip(*(_timed(case) for _ in range(self._given.repeat)), strict=True)
            rows = self._rows
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            print(
                f"| {name} | {rows / float(np.median(wall)):,.0f} "
                f"| {rows / float(np.median(cpu)):,.0f} | {peak:,} MB |",
                flush=True,
            )

    def _predict(self, threads: int) -> None:
        def call(start: int) -> None:
            part = {name: values[start : start + _BATCH] for name, values in self._tensors.items()}
            for values in self._model.predict(part).values():
                values.numpy()

        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(call, range(0, self._rows, _BATCH)))

    def _batch(self, data: Path, statistics: str = "") -> None:
        options = BatchPredictionOptions(
            str(data), str(self._given.model), statistics_uri=statistics, max_rejected_fraction=1.0
        )
        request = predict.BatchPredictionRequest(
            options, self._folder / "p", self._folder / "r", self._folder / "report.html"
        )
        predict.run(request, LocalEngine(self._given.threads))

    def _examples(self) -> None:
        """Predict for serialized examples; making them is not measured, and done for one batch."""
        tf = import_tensorflow()
        signature = tf.saved_model.load(os.fspath(self._given.model)).signatures[EXAMPLES_SIGNATURE]
        examples = _serialized(tf, self._model.spec.inputs, self._tensors, min(_BATCH, self._rows))
        for start in range(0, self._rows, _BATCH):
            rows = min(_BATCH, self._rows - start)
            for values in signature(examples=tf.constant(examples[:rows])).values():
                values.numpy()


def _jittered(table: pa.Table) -> pa.Table:
    random = np.random.default_rng(0)
    for place, field in enumerate(table.schema):
        if pa.types.is_floating(field.type):
            change = pa.array(random.uniform(0.999, 1.001, len(table)))
            table = table.set_column(place, field, pc.multiply(table.column(place), change))
    return table


def _serialized(
    tf: Any, inputs: Sequence[Any], tensors: dict[str, "np.ndarray[Any, Any]"], rows: int
) -> list[bytes]:
    kinds = {"float32": "float_list", "int64": "int64_list", "string": "bytes_list"}
    made = []
    for row in range(rows):
        example = tf.train.Example()
        for entry in inputs:
            value = tensors[entry.input][row]
            if value == value and value not in (-(2**63), b""):
                getattr(example.features.feature[entry.name], kinds[entry.dtype]).value.append(
                    value
                )
        made.append(example.SerializeToString())
    return made


def _timed(case: Callable[[], None]) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    case()
    return time.perf_counter() - wall, time.process_time() - cpu


if __name__ == "__main__":
    pa.set_cpu_count(2)
    main()
