"""Prepares tables: the CSV file with its split, and everything that comes before training."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.benchmarks.public_tables import installation, tasks
from tests.benchmarks.quality import results
from tests.benchmarks.quality.catalog import TABLES

SPLIT = "benchmark_split"
_HERE = Path(__file__).parent
_COMPONENTS = _HERE.parents[2] / "components"
_BEFORE_TRAINING = ("common/values", "common/statistics", "data_ingestion", "feature_engineering")


def environment(folder: Path) -> Path:
    """Return the Python of the libraries' environment."""
    wanted = ("--requirements", str(_HERE / "requirements.txt"))
    return installation.python_with(folder / "environment", wanted)


def code(*more: str) -> str:
    """Return a digest of the code that makes the features, and of more folders of components."""
    return results.digest_of(*(_COMPONENTS / part for part in (*_BEFORE_TRAINING, *more)))


def write_tables(folder: Path, names: Sequence[str], seeds: Sequence[int]) -> None:
    """Write `<folder>/tables/<name>/seed<seed>/data.csv` where it does not exist."""
    exported, tables = folder / "exported", folder / "tables"
    exported.mkdir(parents=True, exist_ok=True)
    python = environment(folder)
    wanted: dict[str, list[object]] = {}
    for name in names:
        absent = [seed for seed in seeds if not (tables / name / f"seed{seed}/data.csv").exists()]
        if absent:
            wanted[name] = [TABLES[name].document(), absent]
    if wanted:
        installation.export(python, exported, {name: TABLES[name].source for name in wanted})
        script = _HERE / "tables.py"
        subprocess.run([python, script, exported, tables, json.dumps(wanted)], check=True)


def run_tasks(folder: Path, pairs: Sequence[tuple[str, int]]) -> Mapping[tuple[str, int], str]:
    """Ingest, validate and transform where the code changed; return errors by table and seed."""
    version = code()
    places = {pair: folder / "tables" / pair[0] / f"seed{pair[1]}" for pair in pairs}
    open_ = {pair: place for pair, place in places.items() if _version(place) != version}
    failed: dict[tuple[str, int], str] = {}
    for stage in tasks.STAGES:
        inputs = {
            f"{name}/{seed}": tasks.TaskInput(
                name=f"{name}/{seed}",
                folder=str(place),
                data=str(place / "data.csv"),
                label=TABLES[name].label,
                task=TABLES[name].task,
                split_column=SPLIT,
            )
            for (name, seed), place in open_.items()
            if (name, seed) not in failed
        }
        for line in tasks.run(stage, list(inputs.values())):
            name, _, seed = str(line["table"]).partition("/")
            print(f"{name} {seed} {stage}: {line['seconds']} s", flush=True)
            for severity, found, text in line["findings"]:
                if severity == "error" and found == "failed":
                    failed[name, int(seed)] = f"{stage}: {text}"
    for pair, place in open_.items():
        if pair not in failed:
            (place / "version").write_text(version, encoding="utf-8")
    return failed


def _version(place: Path) -> str:
    file = place / "version"
    return file.read_text(encoding="utf-8") if file.exists() else ""
