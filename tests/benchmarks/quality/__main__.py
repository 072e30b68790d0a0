"""Runs the comparison and prints it."""

import argparse
import json
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks.public_tables.installation import ENVIRONMENTS
from tests.benchmarks.quality import page, preparation, results, tested_rows
from tests.benchmarks.quality.catalog import TABLES
from tests.benchmarks.quality.results import Key, Result

LIBRARIES = ("catboost", "lightgbm", "hist-gradient-boosting")
OURS = "kfp-tabular"
_HERE = Path(__file__).parent
_ROOT = _HERE.parents[2]
_LIBRARIES_DEPEND_ON = ("libraries.py", "tables.py", "splits.py", "requirements.txt")
_STEPS = ("prepare", "libraries", "ours", "report")


def main() -> None:
    """Run the steps that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-k", dest="names", nargs="*", default=list(TABLES), help="tables")
    parser.add_argument("--folder", type=Path, required=True, help="keeps tables and results")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", nargs="+", choices=_STEPS, default=_STEPS)
    parser.add_argument(
        "--model-type", nargs="+", default=[""], help="hyperparameter; default: its default"
    )
    parser.add_argument("--libraries", nargs="+", choices=LIBRARIES, default=LIBRARIES)
    parser.add_argument("--threads", type=int, default=2, help="of the libraries")
    parser.add_argument("--markdown", action="store_true", help="print Markdown")
    arguments = parser.parse_args()
    folder: Path = arguments.folder.absolute()
    # All tables with the first seed come before the next one.
    pairs = [(name, seed) for seed in arguments.seeds for name in arguments.names]
    if "prepare" in arguments.steps:
        preparation.write_tables(folder, arguments.names, arguments.seeds)
    if "libraries" in arguments.steps:
        _libraries(folder, pairs, arguments.libraries, arguments.threads)
    if "prepare" in arguments.steps or "ours" in arguments.steps:
        for (name, seed), error in preparation.run_tasks(folder, pairs).items():
            print(f"{name} {seed}: {error}")
            pairs.remove((name, seed))
    if "ours" in arguments.steps:
        for model_type in arguments.model_type:
            _ours(folder, pairs, model_type)
    if "report" in arguments.steps:
        kept = [one for one in results.read(_file(folder)) if (one.table, one.seed) in pairs]
        ours = [_our_name(model_type) for model_type in arguments.model_type]
        print(
            page.write(
                kept,
                arguments.libraries,
                ours,
                standard_error=tested_rows.standard_error(folder, kept),
                markdown=arguments.markdown,
            )
        )


def _libraries(
    folder: Path, pairs: Sequence[tuple[str, int]], models: Sequence[str], threads: int
) -> None:
    code = results.digest_of(*(_HERE / name for name in _LIBRARIES_DEPEND_ON))
    wanted = [(name, seed, model, code) for name, seed in pairs for model in models]
    jobs = [
        (model, name, TABLES[name].document(), seed)
        for name, seed, model, _ in results.missing(wanted, results.read(_file(folder)))
    ]
    python = preparation.environment(folder)
    command = ["env", f"OMP_NUM_THREADS={threads}", str(python)]
    command += [str(_HERE / "libraries.py"), str(folder / "tables")]
    _collect(folder, command, jobs, lambda line: (line["table"], line["seed"], line["model"], code))


def _ours(folder: Path, pairs: Sequence[tuple[str, int]], model_type: str) -> None:
    code = preparation.code("common/prediction", "common/artifacts", "training")
    name = _our_name(model_type)
    wanted = [(table, seed, name, code) for table, seed in pairs]
    jobs = [
        (model_type, table, seed)
        for table, seed, _, _ in results.missing(wanted, results.read(_file(folder)))
    ]
    python = ENVIRONMENTS / "tensorflow" / "bin" / "python"
    commit = _commit()
    command = [str(python), "-m", "tests.benchmarks.quality.ours", str(folder / "tables")]
    _collect(
        folder,
        command,
        jobs,
        lambda line: (line["table"], line["seed"], name, code),
        made_with=f"kfp-tabular {commit}",
    )


def _commit() -> str:
    """Return the commit of the components; with a plus if they were changed since."""
    shown = [
        subprocess.run(["git", *asked], cwd=_ROOT, stdout=subprocess.PIPE, text=True, check=True)
        for asked in (
            ["rev-parse", "--short", "HEAD"],
            ["status", "--porcelain", "--", "components"],
        )
    ]
    return shown[0].stdout.strip() + ("+" if shown[1].stdout.strip() else "")


def _our_name(model_type: str) -> str:
    return f"{OURS} {model_type}".strip()


def _collect(
    folder: Path,
    command: list[str],
    jobs: Sequence[object],
    key: Callable[[dict[str, Any]], Key],
    made_with: str = "",
) -> None:
    """Run jobs in a process, and keep each result as it comes.

    Args:
        folder: The benchmark's folder.
        command: The command, which gets the jobs as JSON and prints JSON lines.
        jobs: What to do.
        key: Returns a line's key.
        made_with: What the results were made with, where lines do not tell.
    """
    if not jobs:
        return
    with subprocess.Popen(
        [*command, json.dumps(jobs)], cwd=_ROOT, stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        for text in running.stdout:
            if text.startswith("{"):
                line = json.loads(text)
                result = Result(
                    *key(line),
                    error=line.get("error", ""),
                    values=line.get("values", {}),
                    made_with=line.get("made_with", made_with),
                )
                results.append(_file(folder), result)
                found = result.error or {n: round(v, 4) for n, v in result.values.items()}
                print(result.table, result.seed, result.model, found, flush=True)
    if running.returncode:
        print(f"{' '.join(command[:3])} ended with {running.returncode}; run again to go on")


def _file(folder: Path) -> Path:
    return folder / "results.jsonl"


if __name__ == "__main__":
    main()
