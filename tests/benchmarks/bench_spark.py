"""The data steps on a standalone Spark cluster beside threads, on the same cores of this machine.

    .venvs/author/bin/python -m tests.benchmarks.bench_spark --data taxi.csv --copies 200

The data is repeated to the size asked for. The steps run with threads, then on a cluster of one
worker with two cores, of one worker with one core, and of two workers with one core each;
`--repeat` takes turns. Each step runs `--rounds` times on the same Spark. The first run includes
what Java and Python load only once, such as imports of the task and of executors; later runs have a
line of their own, with a plus. The start of Spark (JVM and executors) is a column and not in the
rate. CPU time is that of all processes, the cluster's too. Without `--model`, `kfp-tabular run`
trains one on the data.
"""

import argparse
import os
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kfp_tabular.components.common.processing.spark import installation
from kfp_tabular.pipelines.environments.location import Environments, default_folder
from tests import spark_cluster
from tests.benchmarks.bench_pipeline import repeat_csv
from tests.benchmarks.fold_runs import Side, trained_model
from tests.benchmarks.fold_steps import STEPS

THREADS = "threads"
PLACES = {THREADS: (0, 2), "1 x 2": (1, 2), "1 x 1": (1, 1), "2 x 1": (2, 1)}
"""Workers and cores of each, by the name in the table."""


def main() -> None:
    """Print a table with a line per step and place."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="a CSV file with a header")
    parser.add_argument("--copies", type=int, default=200)
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=STEPS)
    parser.add_argument("--places", nargs="+", choices=PLACES, default=list(PLACES))
    parser.add_argument("--repeat", type=int, default=1, help="turns")
    parser.add_argument("--rounds", type=int, default=2, help="runs on the same Spark")
    parser.add_argument("--model", type=Path, help="a model artifact for evaluate")
    parser.add_argument("--folder", type=Path, help="where data is written; default: /tmp")
    arguments = parser.parse_args()
    installation.require(Environments(default_folder()).spark_home())
    found: dict[tuple[str, str], list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory(prefix="bench-", dir=arguments.folder) as name:
        work = Path(name)
        model = arguments.model or trained_model(arguments.data, work / "training")
        data = work / "data.csv"
        repeat_csv(arguments.data, arguments.copies, data)
        print(
            f"{'step':<10}{'place':<9}{'start s':>9}{'seconds':>9}{'imports s':>10}{'rows/s':>12}"
            f"{'of threads':>11}{'CPU s':>8}{'ratio':>7}",
            flush=True,
        )
        for _ in range(arguments.repeat):
            for place in arguments.places:
                with _side(place, work) as side:
                    for step in arguments.steps:
                        more = ["--rounds", str(arguments.rounds)]
                        runs = side.run(step, work / "steps", data, model, more)
                        for run, later in zip(runs, _names(len(runs)), strict=True):
                            found.setdefault((f"{step}{later}", place), []).append(run)
                        for later in dict.fromkeys(_names(len(runs))):
                            _print(f"{step}{later}", place, found)


@contextmanager
def _side(place: str, work: Path) -> Iterator[Side]:
    workers, cores = PLACES[place]
    if not workers:
        yield Side(place, {"engine": "local", "threads": cores}, root=os.getpid())
        return
    with (
        tempfile.TemporaryDirectory(prefix="cluster-", dir=work) as folder,
        spark_cluster.running(Path(folder), workers, cores) as cluster,
    ):
        yield Side(place, cluster.document(), root=os.getpid())


def _names(rounds: int) -> list[str]:
    return ["", *["+"] * (rounds - 1)]


def _print(step: str, place: str, found: dict[tuple[str, str], list[dict[str, float]]]) -> None:
    """Print the median of what a step took in a place so far."""

    def median(key: str, place: str = place) -> float:
        runs = found.get((step, place), [])
        return statistics.median(run[key] for run in runs) if runs else float("nan")

    # Later runs import nothing.
    kinds = [""] if step.endswith("+") else ["", "imports_"]

    def whole(place: str) -> float:
        return sum(median(f"{kind}seconds", place) for kind in kinds)

    def processor(place: str) -> float:
        return sum(median(f"{kind}processor", place) for kind in kinds)

    print(
        f"{step:<10}{place:<9}{median('start_seconds'):>9.1f}{median('seconds'):>9.1f}"
        f"{median('imports_seconds'):>10.1f}{median('rows') / whole(place):>12,.0f}"
        f"{whole(THREADS) / whole(place):>11.2f}{processor(place):>8.1f}"
        f"{processor(THREADS) / processor(place):>7.2f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
