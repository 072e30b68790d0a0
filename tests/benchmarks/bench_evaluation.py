"""Evaluation of a model on taxi-like rows: prediction rate, time with and without explanations.

    .venvs/tensorflow/bin/python tests/benchmarks/bench_evaluation.py --rows 100000 1000000 3000000

Each size runs in a process of its own; interpreter start and imports are not counted. Without
`--model` and `--examples` it makes a model of the default size (11 raw features, vocabularies,
buckets, embeddings, two hidden layers) and rows for it.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from kfp_tabular.components.common.artifacts.dense_columns import dense_numpy
from kfp_tabular.components.common.artifacts.examples import Examples, ExamplesWriter
from kfp_tabular.components.common.artifacts.model_document import ModelInput, ModelSpec
from kfp_tabular.components.common.prediction import predicted_batches
from kfp_tabular.components.common.prediction.saved_model import SavedModel
from kfp_tabular.components.common.process.tensorflow import import_tensorflow
from kfp_tabular.components.evaluation import evaluate
from kfp_tabular.components.evaluation.options import EvaluationOptions

NUMBERS = ("fare", "trip_miles", "pickup_latitude", "pickup_longitude")
INTEGERS = ("trip_seconds", "trip_start_hour", "trip_start_day", "pickup_area", "dropoff_area")
TEXTS = {"payment_type": 6, "company": 120}
LABEL = "big_tipper"


def main() -> None:
    """Measure each size and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000, 3_000_000])
    parser.add_argument("--model", type=Path, help="a model artifact instead of the made one")
    parser.add_argument("--examples", type=Path, help="examples with a split test, for --model")
    parser.add_argument("--slice-columns", nargs="*", default=[])
    parser.add_argument("--baseline", action="store_true", help="compare with the model itself")
    parser.add_argument("--repeat", type=int, default=1, help="take the fastest of so many")
    parser.add_argument("--plain", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--single", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.single:
        print(json.dumps(_measure(arguments)))
        return
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        model = arguments.model
        if model is None:
            model = Path(folder) / "model"
            subprocess.run([sys.executable, "-c", _EXPORT, str(model), __file__], check=True)
        print(
            f"{'rows':>10}{'predict, rows/s':>18}{'stage, s':>10}{'rows/s':>12}{'peak MB':>10}"
            f"{'unexplained, s':>16}{'ratio':>8}{'of CPU time':>12}"
        )
        for rows in [0] if arguments.examples else arguments.rows:
            examples = arguments.examples or _make_examples(Path(folder) / str(rows), rows)
            # In turns, so that a busy moment of the machine does not favor one side.
            pairs = [
                (
                    _single(arguments, model, examples),
                    _single(arguments, model, examples, "--plain"),
                )
                for _ in range(arguments.repeat)
            ]
            found = min((first for first, _ in pairs), key=lambda each: each["seconds"])
            plain = min((second for _, second in pairs), key=lambda each: each["seconds"])
            print(
                f"{found['rows']:>10,}{found['predict']:>18,.0f}{found['seconds']:>10.2f}"
                f"{found['rows'] / found['seconds']:>12,.0f}{found['peak_mb']:>10,.0f}"
                f"{plain['seconds']:>16.2f}{found['seconds'] / plain['seconds']:>8.2f}"
                f"{found['processor'] / plain['processor']:>12.2f}"
            )


def _single(arguments: argparse.Namespace, model: Path, examples: Path, *more: str) -> Any:
    command = [sys.executable, __file__, "--single", "--model", str(model)]
    command += ["--examples", str(examples), "--slice-columns", *arguments.slice_columns]
    command += ["--baseline"] if arguments.baseline else []
    done = subprocess.run([*command, *more], check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


_EXPORT = """
import importlib.util, sys
from pathlib import Path
spec = importlib.util.spec_from_file_location("bench", sys.argv[2])
bench = importlib.util.module_from_spec(spec)
spec.loader.exec_module(bench)
bench.export_model(Path(sys.argv[1]))
"""


def _measure(arguments: argparse.Namespace) -> dict[str, float]:
    import_tensorflow()
    import pyarrow.compute  # noqa: F401 - its import is not part of the stage

    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        out = Path(folder)
        request = evaluate.EvaluationRequest(
            examples=arguments.examples,
            model=arguments.model,
            evaluation=out / "evaluation",
            golden_examples=out / "golden",
            report=out / "report.html",
            baseline_model=arguments.model if arguments.baseline else None,
            options=EvaluationOptions(
                slice_columns=arguments.slice_columns, explanations=not arguments.plain
            ),
        )
        started, used = time.perf_counter(), time.process_time()
        result = evaluate.run(request)
        seconds = time.perf_counter() - started
        processor = time.process_time() - used
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "rows": result.document["rows"],
        "seconds": seconds,
        "processor": processor,
        "peak_mb": peak,
        "predict": _prediction_rate(arguments.examples, arguments.model),
    }


def _prediction_rate(examples: Path, model: Path) -> float:
    loaded = SavedModel(model)
    inputs = loaded.spec.inputs
    names = [entry.name for entry in inputs]
    batches = Examples(examples).batches("test", names, predicted_batches.batch_rows([loaded.spec]))
    rows, started = 0, 0.0
    for batch in batches:
        tensors = {entry.input: dense_numpy(batch.column(entry.name), entry) for entry in inputs}
        loaded.predict(tensors)["probabilities"].numpy()
        # The first batch compiles nothing that later ones need again.
        if not started:
            started = time.perf_counter()
        else:
            rows += batch.num_rows
    return rows / (time.perf_counter() - started)


def _make_examples(path: Path, rows: int) -> Path:
    path.mkdir()
    random = np.random.default_rng(0)
    writer = None
    for start in range(0, rows, 100_000):
        batch = pa.table(_columns(min(100_000, rows - start), random))
        if writer is None:
            writer = ExamplesWriter(path, batch.schema, ["test"]).__enter__()
        writer.write("test", batch)
    assert writer is not None
    writer.__exit__(None, None, None)
    return path


def _columns(rows: int, random: np.random.Generator) -> dict[str, pa.Array]:
    columns: dict[str, pa.Array] = {
        name: pa.array(random.exponential(5, rows), mask=random.random(rows) < 0.05)
        for name in NUMBERS
    }
    for name in INTEGERS:
        values = random.integers(0, 78, rows)
        columns[name] = pa.array(values, mask=random.random(rows) < 0.05)
    for name, size in TEXTS.items():
        names = pa.array([f"{name} number {index}" for index in range(size)])
        columns[name] = names.take(pa.array(np.minimum(random.zipf(1.4, rows), size) - 1))
    columns[LABEL] = pa.array((random.random(rows) < 0.2).astype(np.int64))
    return columns


def export_model(path: Path) -> None:
    """Export a model about as large as the default one, with weights as they were drawn."""
    tf = import_tensorflow()
    import tf_keras

    inputs = (
        *(ModelInput(name, "float32", False, name) for name in NUMBERS),
        *(ModelInput(name, "int64", False, name) for name in INTEGERS),
        *(ModelInput(name, "string", True, name) for name in TEXTS),
    )
    tables = {
        name: tf.lookup.StaticVocabularyTable(
            tf.lookup.KeyValueTensorInitializer(
                [f"{name} number {index}" for index in range(size)],
                tf.range(size, dtype=tf.int64),
            ),
            num_oov_buckets=1,
        )
        for name, size in TEXTS.items()
    }
    tf_keras.utils.set_random_seed(0)
    embeddings = {
        entry.name: tf_keras.layers.Embedding(TEXTS.get(entry.name, 16) + 1, 8) for entry in inputs
    }
    network = tf_keras.Sequential(
        [tf_keras.layers.Dense(size, activation="relu") for size in (128, 64)]
        + [tf_keras.layers.Dense(1)]
    )

    class Model(tf.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.kept = tables, embeddings, network

        @tf.function(
            input_signature=[
                {e.input: tf.TensorSpec([None], tf.as_dtype(e.dtype), name=e.input) for e in inputs}
            ]
        )
        def serve(self, raw: Any) -> Any:
            parts = []
            for entry in inputs:
                value = raw[entry.input]
                if entry.dtype == "string":
                    place = tables[entry.name].lookup(value)
                else:
                    missing = (
                        tf.math.is_nan(value)
                        if entry.dtype == "float32"
                        else tf.equal(value, entry.missing)
                    )
                    number = tf.where(missing, 0.0, tf.cast(value, tf.float32))
                    flag = tf.cast(missing, tf.float32)
                    parts.append(tf.stack([(number - 20) / 20, flag], axis=1))
                    place = tf.searchsorted(tf.linspace(0.0, 78.0, 16), number)
                parts.append(embeddings[entry.name](place))
            p = tf.sigmoid(tf.squeeze(network(tf.concat(parts, axis=1)), 1))
            return {
                "probabilities": tf.stack([1 - p, p], axis=1),
                "classes": tf.gather(["0", "1"], tf.cast(p >= 0.5, tf.int64)),
            }

    model = Model()
    tf.saved_model.save(model, os.fspath(path), signatures={"serving_default": model.serve})
    ModelSpec("binary", LABEL, ("0", "1"), 0.5, inputs, "sha256:0").save(path)


if __name__ == "__main__":
    main()
