"""Evaluation beside a champion: what DeLong, McNemar, paired resamples and two models cost.

    .venvs/tensorflow/bin/python -m tests.benchmarks.bench_challenger --data taxi.csv \
        --copies 200 --model model/1 --champion champion/1 --repeat 3

The data is repeated to the size asked for, and all of it is evaluated: 15,002 rows of Chicago taxi
trips 200 times are 3 million rows. One model and two are evaluated in turns, each in a process of
its own, whose imports are not counted; a ratio is that of a pair, and the median of them counts.
Explanations, which are of one model only, are left out, and all other charts are drawn.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks.bench_pipeline import repeat_csv

LABEL = "big_tipper"
_MIB = 1024


def main() -> None:
    """Print a table with a line for one model and one for two."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="a CSV file with a header")
    parser.add_argument("--copies", type=int, default=200)
    parser.add_argument("--model", type=Path, required=True, help="a model artifact")
    parser.add_argument("--champion", type=Path, required=True, help="another one")
    parser.add_argument("--entity-columns", nargs="*", default=[])
    parser.add_argument("--slice-columns", nargs="*", default=[])
    parser.add_argument("--repeat", type=int, default=3, help="pairs")
    parser.add_argument("--folder", type=Path, help="where data is written; default: /tmp")
    parser.add_argument("--single", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--ingest", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.ingest:
        _ingest(arguments.ingest)
        return
    if arguments.single:
        print(json.dumps(_measure(arguments)))
        return
    with tempfile.TemporaryDirectory(prefix="bench-", dir=arguments.folder) as name:
        folder = Path(name)
        repeat_csv(arguments.data, arguments.copies, folder / "data.csv")
        _run([*sys.argv[1:], "--ingest", name])
        (folder / "data.csv").unlink()
        command = [*sys.argv[1:], "--single", name]
        # In turns, so that a busy moment of the machine does not favor one side.
        pairs = [
            (_result([*command, "--alone"]), _result(command)) for _ in range(arguments.repeat)
        ]
    print(f"{'':<12}{'rows':>12}{'seconds':>10}{'CPU s':>10}{'peak MB':>10}")
    for name, runs in zip(("one model", "two models"), zip(*pairs, strict=True), strict=True):
        found = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        print(
            f"{name:<12}{found['rows']:>12,.0f}{found['seconds']:>10.1f}"
            f"{found['processor']:>10.1f}{found['peak_mb']:>10,.0f}"
        )
    for key in ("seconds", "processor"):
        ratios = [two[key] / one[key] for one, two in pairs]
        print(f"ratio of {key}: {statistics.median(ratios):.2f}, each {ratios}")


def _run(arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.benchmarks.bench_challenger", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)


def _result(arguments: Sequence[str]) -> Any:
    return json.loads(_run(arguments).stdout.splitlines()[-1])


def _ingest(folder: Path) -> None:
    from kfp_tabular.components.data_ingestion import ingest
    from kfp_tabular.components.data_ingestion.options import IngestionOptions, SplitOptions

    options = IngestionOptions(
        str(folder / "data.csv"),
        label=LABEL,
        split=SplitOptions(split_method="row", split_fractions={"test": 1.0}),
    )
    outputs = (folder / name for name in ("examples", "rejected", "summary.md"))
    ingest.run(ingest.IngestionRequest(options, *outputs))


def _measure(arguments: argparse.Namespace) -> dict[str, float]:
    from kfp_tabular.components.common.process.tensorflow import import_tensorflow

    import_tensorflow()
    import pyarrow.compute  # noqa: F401 - its import is not part of the stage

    from kfp_tabular.components.evaluation import evaluate
    from kfp_tabular.components.evaluation.options import EvaluationOptions

    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        out = Path(folder)
        request = evaluate.EvaluationRequest(
            examples=arguments.single / "examples",
            model=arguments.model,
            evaluation=out / "evaluation",
            golden_examples=out / "golden",
            report=out / "report.html",
            baseline_model=None if arguments.alone else arguments.champion,
            options=EvaluationOptions(
                split="test",
                explanations=False,
                entity_columns=arguments.entity_columns,
                slice_columns=arguments.slice_columns,
            ),
        )
        started, used = time.perf_counter(), time.process_time()
        rows = evaluate.run(request).document["rows"]
        seconds, processor = time.perf_counter() - started, time.process_time() - used
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _MIB
    return {"rows": rows, "seconds": seconds, "processor": processor, "peak_mb": peak}


if __name__ == "__main__":
    main()
