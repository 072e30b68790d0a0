"""The data steps beside what a user would pick instead: Spark ML, and TFDV and TFT on Beam.

    .venvs/author/bin/python -m tests.benchmarks.bench_alternatives --data taxi.csv --copies 20 200

The data is repeated to the sizes asked for. The same work on the same two cores, each in a process
of its own (`fold_steps.py`, `alternative_steps.py`): statistics of a CSV file, and features of it.
Our side reads the file too: ingestion is part of both. Beam is its direct runner, and Prism where
`make prism` has built it. Seconds are without imports and the start of Spark's Java, which have a
column of their own. CPU time is that of all processes.
"""

import argparse
import json
import os
import subprocess
import tempfile
from pathlib import Path

from kfp_tabular.pipelines.environments.location import Environments, default_folder
from tests.benchmarks.bench_pipeline import repeat_csv
from tests.benchmarks.fold_runs import Side

_STEPS = Path(__file__).with_name("alternative_steps.py")
STATISTICS, FEATURES = "statistics", "features"
_ON_PRISM = "-prism"
ALTERNATIVES = {
    "spark-summary": (STATISTICS, "tensorflow"),
    "tfdv-beam": (STATISTICS, "tfdv"),
    "spark-ml": (FEATURES, "tensorflow"),
    "tft-beam": (FEATURES, "tensorflow"),
    "tfdv-prism": (STATISTICS, "tfdv"),
    "tft-prism": (FEATURES, "tensorflow"),
}
"""What it makes, and the environment that it runs in."""


def main() -> None:
    """Print a table with a line for each size and way."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="a CSV file with a header")
    parser.add_argument("--copies", type=int, nargs="+", default=[20])
    parser.add_argument("--kinds", nargs="*", choices=ALTERNATIVES, default=list(ALTERNATIVES))
    parser.add_argument("--folder", type=Path, help="where data is written; default: /tmp")
    arguments = parser.parse_args()
    print(
        f"{'rows':>12} {'work':<12}{'way':<16}{'start s':>9}{'seconds':>9}{'CPU s':>9}"
        f"{'rows/s':>12}",
        flush=True,
    )
    for copies in arguments.copies:
        with tempfile.TemporaryDirectory(prefix="bench-", dir=arguments.folder) as name:
            work = Path(name)
            data = work / "data.csv"
            rows = repeat_csv(arguments.data, copies, data)
            _ours(rows, data, work)
            for kind in arguments.kinds:
                if kind.endswith(_ON_PRISM) and not _prism().exists():
                    print(f"{kind}: no {_prism()}; make prism", flush=True)
                    continue
                made, environment = ALTERNATIVES[kind]
                _print(rows, made, kind, _run(kind, environment, data, work / kind))


def _ours(rows: int, data: Path, work: Path) -> None:
    side = Side("kfp-tabular", {"engine": "local", "threads": 2})
    runs = {
        step: side.run(step, work / "ours", data, work)[0]
        for step in ("ingest", "validate", "transform")
    }
    for made, steps in (
        (STATISTICS, ("ingest", "validate")),
        (FEATURES, ("ingest", "transform")),
    ):
        total = {
            key: sum(runs[step][key] for step in steps)
            for key in ("seconds", "processor", "imports_seconds")
        }
        total["start_seconds"] = total.pop("imports_seconds")
        _print(rows, made, side.name, total)


def _run(kind: str, environment: str, data: Path, folder: Path) -> dict[str, float]:
    python = default_folder() / environment / "bin" / "python"
    variables = dict(os.environ)
    home = Environments(default_folder()).spark_home()
    if home is not None:
        variables.setdefault("SPARK_HOME", str(home))
    what = kind.replace(_ON_PRISM, "-beam")
    command = [str(python), str(_STEPS), what, "--data", str(data), "--folder", str(folder)]
    if kind.endswith(_ON_PRISM):
        command += ["--prism", str(_prism())]
    done = subprocess.run(command, env=variables, stdout=subprocess.PIPE, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _prism() -> Path:
    return default_folder() / "prism" / "bin" / "prism"


def _print(rows: int, made: str, way: str, found: dict[str, float]) -> None:
    print(
        f"{rows:>12,} {made:<12}{way:<16}{found['start_seconds']:>9.1f}{found['seconds']:>9.1f}"
        f"{found['processor']:>9.1f}{rows / found['seconds']:>12,.0f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
