"""Each data step on a machine's threads: speed, CPU time and memory, by the number of rows.

    .venvs/author/bin/python -m tests.benchmarks.bench_folds --data taxi.csv --copies 200 2000
    .venvs/author/bin/python -m tests.benchmarks.bench_folds --data taxi.csv --copies 200 \
        --against ../checkout-of-another-commit --repeat 3

The data is repeated to the sizes asked for: 15,002 rows of Chicago taxi trips 200 and 2,000 times
are 3 and 30 million rows, two thirds for training and one for the test that is evaluated. Each step
runs in a process of its own, whose imports are not counted. With `--against`, the steps of both
checkouts run in turns in this one's environments; a ratio is the other's CPU time over this one's,
of the medians: above 1, this one is faster. Without `--model`, `kfp-tabular run` trains one on the
data as it is. 30 million rows need 6 GB in `--folder`, which are removed at the end.
"""

import argparse
import shutil
import statistics
import tempfile
from pathlib import Path

from tests.benchmarks.bench_pipeline import repeat_csv
from tests.benchmarks.fold_runs import Side, package_of, trained_model
from tests.benchmarks.fold_steps import STEPS


def main() -> None:
    """Print a table with a line for each size and step."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="a CSV file with a header")
    parser.add_argument("--copies", type=int, nargs="+", default=[200, 2000])
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=STEPS)
    parser.add_argument("--threads", type=int, default=0, help="0: one per processor")
    parser.add_argument("--against", type=Path, help="a checkout of another version")
    parser.add_argument("--repeat", type=int, default=1, help="runs of each step; medians count")
    parser.add_argument("--model", type=Path, help="a model artifact for evaluate")
    parser.add_argument("--folder", type=Path, help="where data is written; default: /tmp")
    parser.add_argument("--plain", action="store_true", help="evaluate without explanations")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-", dir=arguments.folder) as name:
        work = Path(name)
        sides = [Side("here", {"engine": "local", "threads": arguments.threads})]
        if arguments.against:
            sides.append(Side("against", package=package_of(arguments.against, work / "package")))
        model = arguments.model or trained_model(arguments.data, work / "training")
        print(
            f"{'rows':>12} {'step':<10}{'version':<9}{'seconds':>9}{'CPU s':>9}{'rows/s':>12}"
            f"{'rows/CPU s':>12}{'peak MB':>9}{'ratio':>7}",
            flush=True,
        )
        for copies in arguments.copies:
            folder = work / str(copies)
            folder.mkdir()
            repeat_csv(arguments.data, copies, folder / "data.csv")
            for step in arguments.steps:
                _measure(step, sides, folder, model, arguments)
            shutil.rmtree(folder)


def _measure(
    step: str, sides: list[Side], folder: Path, model: Path, arguments: argparse.Namespace
) -> None:
    """Run a step on each side in turns, and print a line for each side."""
    more = ["--plain"] if arguments.plain else []
    if step == "predict":
        # Versions that it would be compared with have no batch prediction.
        sides = [side for side in sides if side.package is None]
    found: dict[str, list[dict[str, float]]] = {side.name: [] for side in sides}
    for _ in range(arguments.repeat):
        for side in sides:
            place = folder / side.name
            found[side.name] += side.run(step, place, folder / "data.csv", model, more)
    medians = {
        name: {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        for name, runs in found.items()
    }
    for name, median in medians.items():
        rows = median["rows"]
        ratio = median["processor"] / medians["here"]["processor"]
        print(
            f"{rows:>12,.0f} {step:<10}{name:<9}{median['seconds']:>9.1f}"
            f"{median['processor']:>9.2f}{rows / median['seconds']:>12,.0f}"
            f"{rows / median['processor']:>12,.0f}"
            f"{max(run['peak_mb'] for run in found[name]):>9,.0f}{ratio:>7.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
