"""Runs the cases and prints what is not right."""

import argparse
import concurrent.futures
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.benchmarks.real_tables import dates, dialects, labels, lookalikes, numbers, sources
from tests.benchmarks.real_tables.case import CASES, Case
from tests.benchmarks.real_tables.outcome import Outcome

# Importing a subject registers its cases.
_SUBJECTS = (dates, dialects, labels, lookalikes, numbers, sources)

_ENVIRONMENTS = Path(sys.executable).parents[2]


def main() -> int:
    """Run the chosen cases; return how many are not right."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-k", dest="parts", nargs="*", default=[""], help="parts of names")
    parser.add_argument("-j", dest="jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--folder", type=Path, help="keep data and runs here")
    parser.add_argument("--verbose", action="store_true", help="print the findings of each run")
    arguments = parser.parse_args()
    chosen = [case for case in CASES.values() if any(part in case.name for part in arguments.parts)]
    with tempfile.TemporaryDirectory(prefix="real-tables-") as scratch:
        folder = arguments.folder or Path(scratch)
        wrong = 0
        with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
            for lines in pool.map(lambda case: _judge(case, folder, arguments.verbose), chosen):
                print("\n".join(lines), flush=True)
                wrong += len(lines) > 1 and lines[0].startswith("WRONG")
    print(f"{len(chosen) - wrong} of {len(chosen)} cases are right")
    return wrong


def _judge(case: Case, folder: Path, verbose: bool) -> list[str]:
    started = time.monotonic()
    outcome = _run(case, folder / case.name)
    problems = [problem for check in case.expectations if (problem := check(outcome))]
    word = "WRONG" if problems else "right"
    lines = [f"{word} {case.name} ({time.monotonic() - started:.0f} s)"]
    lines += [f"    {problem}" for problem in problems]
    if outcome.code and problems:
        lines += [f"    | {line}" for line in outcome.console.strip().splitlines()[-3:]]
    if verbose:
        lines += [f"    {entry['severity']}: {entry['message']}" for entry in outcome.findings]
    return lines


def _run(case: Case, folder: Path) -> Outcome:
    folder.mkdir(parents=True, exist_ok=True)
    data, output = case.write(folder), folder / "run"
    program = _ENVIRONMENTS / "author" / "bin" / "kfp-tabular"
    command = [str(program), "run", "--data", str(data), "--label", case.label]
    command += [*case.arguments, "--output", str(output)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    return Outcome(ended.returncode, ended.stdout + ended.stderr, output)


if __name__ == "__main__":
    sys.exit(main())
