"""The input pipeline of training: rows per second into batches, and peak memory.

    .venvs/tensorflow/bin/python tests/benchmarks/bench_training_input.py --rows 300000 3000000

Rows are made like the transformed taxi data: 16 float32 and 16 int64 columns and a label, in
zstd-compressed Parquet. Each size runs in a process of its own; interpreter start and imports are
not counted. `first` is the time to the first batch; `cpu` is user and system time of the process.
With `--steps N`, that many steps are trained on them too, tracing included.
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

import numpy as np
import pyarrow as pa

from kfp_tabular.components.common.artifacts.examples import Examples, ExamplesWriter
from kfp_tabular.components.common.artifacts.hyperparameters import Hyperparameters
from kfp_tabular.components.common.artifacts.supervised_task import Task
from kfp_tabular.components.training.input.packed_rows import Categorical, ColumnLayout
from kfp_tabular.components.training.input.parquet_reader import Reader, worker_share
from kfp_tabular.components.training.input.shuffling import TrainingInput

NUMBERS, CODES = 16, 16
SIZES = (7, 30, 46, 58, 13, 25, 8, 32, 32, 29, 28, 30, 29, 23, 24, 28)
TASK = Task("binary", "label", ("0", "1"), (1, 1))
LAYOUT = ColumnLayout(
    "label",
    tuple(f"number_{index}" for index in range(NUMBERS)),
    tuple(Categorical(f"code_{index}", 0, size) for index, size in enumerate(SIZES)),
)


def main() -> None:
    """Measure each size and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[300_000, 3_000_000])
    parser.add_argument("--batch-size", type=int, default=4096)
    parser.add_argument("--passes", type=int, default=2)
    parser.add_argument("--steps", type=int, default=0)
    parser.add_argument("--single", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.single:
        print(json.dumps(_measure(arguments)))
        return
    names = ("first, s", "rows/s", "rows/cpu s", "steps, s", "peak MB")
    print(f"{'rows':>10}" + "".join(f"{name:>13}" for name in names))
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        for rows in arguments.rows:
            path = Path(folder) / str(rows)
            subprocess.run(
                [sys.executable, "-c", _MAKE, __file__, str(path), str(rows)], check=True
            )
            flags = ["--batch-size", str(arguments.batch_size), "--passes", str(arguments.passes)]
            flags += ["--steps", str(arguments.steps), "--single", str(path)]
            found = subprocess.run(
                [sys.executable, __file__, *flags], check=True, stdout=subprocess.PIPE
            )
            values = json.loads(found.stdout)
            print(f"{rows:>10,}" + "".join(f"{values[name]:>13,.2f}" for name in names))


def make_rows(path: Path, rows: int) -> None:
    """Write transformed examples, in row groups of 65,536 rows as transform_features does."""
    random = np.random.default_rng(0)
    path.mkdir()
    schema = pa.schema(
        [
            *((name, pa.float32()) for name in LAYOUT.numeric),
            *((column.name, pa.int64()) for column in LAYOUT.categorical),
            ("label", pa.int64()),
        ]
    )
    with ExamplesWriter(path, schema, ["train"]) as writer:
        for start in range(0, rows, 65_536):
            count = min(65_536, rows - start)
            # As many distinct values as a fare or a coordinate has.
            numbers = random.normal(size=5000).astype(np.float32)
            columns = [random.choice(numbers, count) for _ in LAYOUT.numeric]
            columns += [random.integers(0, size, count) for size in SIZES]
            columns.append(random.integers(0, 2, count))
            writer.write("train", pa.record_batch(columns, schema=schema))


_MAKE = (
    "import runpy, sys, pathlib; "
    "runpy.run_path(sys.argv[1])['make_rows'](pathlib.Path(sys.argv[2]), int(sys.argv[3]))"
)


def _measure(arguments: argparse.Namespace) -> dict[str, float]:
    files = Examples(arguments.single).require("train")
    share = worker_share(files)
    batches = arguments.passes * sum(row_range.rows for row_range in share) // arguments.batch_size
    reader = Reader(LAYOUT, TASK)
    started, cpu = time.perf_counter(), sum(os.times()[:2])
    with TrainingInput(reader, share, seed=0, row_bytes=LAYOUT.row_bytes) as stream:
        stream.take(arguments.batch_size)
        first = time.perf_counter() - started
        for _ in range(batches - 1):
            stream.take(arguments.batch_size)
    seconds, cpu = time.perf_counter() - started, sum(os.times()[:2]) - cpu
    rows = batches * arguments.batch_size
    return {
        "first, s": first,
        "rows/s": rows / seconds,
        "rows/cpu s": rows / cpu,
        "steps, s": _train(arguments, reader) if arguments.steps else float("nan"),
        "peak MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def _train(arguments: argparse.Namespace, reader: Reader) -> float:
    from kfp_tabular.components.common.process.tensorflow import import_tensorflow
    from kfp_tabular.components.training.loop import training_steps
    from kfp_tabular.components.training.loop.schedule import plan
    from kfp_tabular.components.training.model import ModelContext, architectures

    tensorflow = import_tensorflow()
    hyperparameters = Hyperparameters(
        model_type="dnn",
        hidden_units="256,128",
        batch_size=arguments.batch_size,
        train_steps=arguments.steps,
    )
    share = worker_share(Examples(arguments.single).require("train"))
    started = time.perf_counter()
    rows = sum(row_range.rows for row_range in share)
    context = ModelContext(
        "binary", 1, LAYOUT.numeric, LAYOUT.categorical, hyperparameters, 0, (0.0,), rows
    )
    schedule = plan(hyperparameters, rows)
    runner = training_steps.TrainingSteps(
        tensorflow.distribute.get_strategy(),
        architectures.build(context),
        training_steps.make_optimizer(hyperparameters, arguments.steps),
        kind="binary",
        class_weights=None,
        schedule=schedule,
        local_replicas=1,
        layout=LAYOUT,
    )
    with TrainingInput(reader, share, seed=0, row_bytes=LAYOUT.row_bytes) as stream:
        for start in range(0, arguments.steps, schedule.steps_per_call):
            steps = min(schedule.steps_per_call, arguments.steps - start)
            runner.train(stream.take(steps * schedule.batch))
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
