"""One data step in a process of its own, for `bench_folds.py`; prints what it took as JSON.

    python fold_steps.py STEP --folder WORK --data data.csv --processing '{"engine": "local"}'

Imports and the start of the engine are counted on their own. It runs the code that
`PYTHONPATH` names, so `bench_folds.py` can compare two versions. The memory is the peak of this
process alone, CPU time that of its descendants too.
"""

import argparse
import contextlib
import json
import os
import resource
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

LABEL = "big_tipper"
EXCLUDED = ("tips",)
STEPS = ("ingest", "validate", "transform", "evaluate", "predict")
TASKS = {
    "ingest": "ingest-data",
    "validate": "validate-data",
    "transform": "transform-features",
    "evaluate": "evaluate-model",
    "predict": "",
}


def main() -> None:
    """Run a step and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("--folder", type=Path, required=True, help="with what steps write")
    parser.add_argument("--data", type=Path, required=True, help="the CSV file")
    parser.add_argument("--model", type=Path, help="a model artifact, for evaluate")
    parser.add_argument("--processing", type=json.loads, default={}, help="a document")
    parser.add_argument("--rounds", type=int, default=1, help="runs on the same engine")
    parser.add_argument("--plain", action="store_true", help="evaluate without explanations")
    parser.add_argument("--root", type=int, default=os.getpid(), help="whose CPU time counts")
    arguments = parser.parse_args()
    watch = Watch(arguments.root)
    run = _step(arguments)
    imports = watch.lap("imports")
    with _engine(arguments) as opened:
        start = watch.lap("start")
        for _ in range(arguments.rounds):
            rows = run(opened)
            found = {"rows": rows, **watch.lap(), **imports, **start}
            found["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(json.dumps(found), flush=True)


class Watch:
    """Takes the time since the last lap: seconds, and CPU time of a process and its children."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._last = time.perf_counter(), processor_seconds(root)

    def lap(self, what: str = "") -> dict[str, float]:
        now = time.perf_counter(), processor_seconds(self._root)
        seconds, processor = (after - before for after, before in zip(now, self._last, strict=True))
        self._last = now
        prefix = f"{what}_" if what else ""
        return {f"{prefix}seconds": seconds, f"{prefix}processor": processor}


def processor_seconds(root: int) -> float:
    """Return the CPU time of a process and its descendants so far."""
    ticks: dict[int, int] = {}
    parents: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            parents[int(entry.name)] = int(fields[1])
            # With those of children that it waited for.
            ticks[int(entry.name)] = sum(map(int, fields[11:15]))
    mine, grew = {root}, True
    while grew:
        more = {process for process, parent in parents.items() if parent in mine} - mine
        grew = bool(more)
        mine |= more
    return sum(ticks.get(process, 0) for process in mine) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def _engine(arguments: argparse.Namespace) -> Iterator[Any]:
    if not arguments.processing:
        # An older version has no engines.
        yield None
        return
    from kfp_tabular.components.common.processing import engines

    with engines.opened(arguments.processing, TASKS[arguments.step]) as opened:
        yield opened


def _step(arguments: argparse.Namespace) -> Callable[[Any], int]:
    """Import what a step needs, and return the function that runs it and returns its rows."""
    makers = {
        "ingest": _ingest,
        "validate": _validate,
        "transform": _transform,
        "evaluate": _evaluate,
        "predict": _predict,
    }
    return makers[arguments.step](arguments)


def _ingest(arguments: argparse.Namespace) -> Callable[[Any], int]:
    import pyarrow.csv
    import pyarrow.parquet  # noqa: F401 - its import does not count

    from kfp_tabular.components.data_ingestion import ingest
    from kfp_tabular.components.data_ingestion.options import IngestionOptions, SplitOptions

    def run(opened: Any) -> int:
        options = IngestionOptions(
            str(arguments.data),
            label=LABEL,
            split=SplitOptions(split_fractions={"train": 2, "test": 1}),
        )
        request = ingest.IngestionRequest(
            options,
            _emptied(arguments.folder / "examples"),
            _emptied(arguments.folder / "rejected"),
            arguments.folder / "ingestion.md",
        )
        given = (opened.engine, opened.shards_uri) if opened else ()
        return sum(ingest.run(request, *given).rows.values())

    return run


def _validate(arguments: argparse.Namespace) -> Callable[[Any], int]:
    from kfp_tabular.components.common.statistics import lean_tfdv
    from kfp_tabular.components.data_validation import validate
    from kfp_tabular.components.data_validation.options import ValidationOptions

    lean_tfdv.load()

    def run(opened: Any) -> int:
        folder = arguments.folder
        request = validate.ValidationRequest(
            examples=folder / "examples",
            schema=_emptied(folder / "schema"),
            statistics=_emptied(folder / "statistics"),
            anomalies=_emptied(folder / "anomalies"),
            report=folder / "validation.html",
            options=ValidationOptions(label=LABEL),
        )
        validate.run(request, *([opened.engine] if opened else []))
        return _rows(folder)

    return run


def _transform(arguments: argparse.Namespace) -> Callable[[Any], int]:
    from kfp_tabular.components.common.process.tensorflow import import_tensorflow

    import_tensorflow()
    import tensorflow_transform  # noqa: F401 - its import does not count

    from kfp_tabular.components.feature_engineering import transform
    from kfp_tabular.components.feature_engineering.options import TransformOptions

    def run(opened: Any) -> int:
        folder = arguments.folder
        request = transform.TransformRequest(
            options=TransformOptions(label=LABEL, exclude=list(EXCLUDED)),
            examples=folder / "examples",
            schema=folder / "schema",
            transform_graph=_emptied(folder / "graph"),
            transformed_examples=_emptied(folder / "transformed"),
            summary=folder / "transform.md",
        )
        given = (opened.engine, opened.shards_uri) if opened else ()
        return sum(transform.run(request, *given).rows.values())

    return run


def _evaluate(arguments: argparse.Namespace) -> Callable[[Any], int]:
    from kfp_tabular.components.common.process.tensorflow import import_tensorflow

    import_tensorflow()
    import pyarrow.compute  # noqa: F401 - its import does not count

    from kfp_tabular.components.evaluation import evaluate
    from kfp_tabular.components.evaluation.options import EvaluationOptions

    def run(opened: Any) -> int:
        folder = arguments.folder
        request = evaluate.EvaluationRequest(
            examples=folder / "examples",
            model=arguments.model,
            evaluation=_emptied(folder / "evaluation"),
            golden_examples=_emptied(folder / "golden"),
            report=folder / "evaluation.html",
            options=EvaluationOptions(explanations=not arguments.plain),
        )
        evaluated = evaluate.run(request, *([opened.engine] if opened else []))
        return int(evaluated.document["rows"])

    return run


def _predict(arguments: argparse.Namespace) -> Callable[[Any], int]:
    from kfp_tabular.components.common.process.tensorflow import import_tensorflow_runtime

    import_tensorflow_runtime()
    import pyarrow.csv  # noqa: F401 - its import does not count

    from kfp_tabular.components.batch_prediction import predict
    from kfp_tabular.components.batch_prediction.options import BatchPredictionOptions

    def run(opened: Any) -> int:
        request = predict.BatchPredictionRequest(
            BatchPredictionOptions(str(arguments.data), str(arguments.model)),
            _emptied(arguments.folder / "predictions"),
            _emptied(arguments.folder / "unpredicted"),
            arguments.folder / "predictions.html",
        )
        given = (opened.engine, opened.shards_uri) if opened else ()
        return int(predict.run(request, *given).facts.predicted)

    return run


def _rows(folder: Path) -> int:
    from kfp_tabular.components.common.artifacts.examples import Examples

    return sum(Examples(folder / "examples").rows().values())


def _emptied(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    return folder


if __name__ == "__main__":
    main()
