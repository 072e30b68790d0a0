"""The whole training pipeline by wall clock and peak memory, beside TensorFlow Extended's figures.

    .venvs/author/bin/python tests/benchmarks/bench_pipeline.py --data taxi.csv --copies 1 20 200

The data is repeated to the size asked for: 15,002 rows of Chicago taxi trips once, 20 and 200
times are what TensorFlow Extended 1.21's LocalDagRunner was measured on (2 cores, all in one
process, 1000 training steps of 40 rows, two thirds for training and a third for evaluation; imports
not counted). Wall time here is that of `kfp-tabular run` as a user calls it: compiling, every
interpreter and import, and a process per task.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

TFX_SECONDS = {15_002: 25.0, 300_040: 80.0, 3_000_400: 572.0}
TFX_IMPORT_SECONDS = 9.0

_PROGRAM = Path(sys.executable).with_name("kfp-tabular")


def main() -> None:
    """Measure each size once and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="a CSV file with a header")
    parser.add_argument("--label", default="big_tipper")
    parser.add_argument("--exclude", nargs="*", default=["tips"])
    parser.add_argument("--copies", type=int, nargs="+", default=[1, 20, 200])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        for copies in arguments.copies:
            data = Path(folder) / "data.csv"
            rows = _repeat(arguments.data, copies, data)
            _measure(data, rows, arguments.label, arguments.exclude, Path(folder) / str(copies))


def _repeat(source: Path, copies: int, target: Path) -> int:
    header, _, body = source.read_bytes().partition(b"\n")
    body = body if body.endswith(b"\n") else body + b"\n"
    with target.open("wb") as stream:
        stream.write(header + b"\n")
        for _ in range(copies):
            stream.write(body)
    return body.count(b"\n") * copies


def _measure(data: Path, rows: int, label: str, exclude: list[str], output: Path) -> None:
    columns = [word for column in exclude for word in ("--exclude", column)]
    parameters = ["train_steps=1000", "batch_size=40", 'split_fractions={"train":2,"test":1}']
    command = [str(_PROGRAM), "run", "--no-cache", "--data", str(data), "--label", label, *columns]
    for parameter in parameters:
        command += ["--param", parameter]
    watch = _Memory(output / "logs")
    watch.start()
    started = time.monotonic()
    subprocess.run([*command, "--output", str(output)], check=True)
    seconds = time.monotonic() - started
    watch.stop()
    summary = json.loads((output / "summary.json").read_text())
    print(f"\n{rows:,} rows: {seconds:.1f} s wall, test AUC {summary['metrics'].get('auc', 0):.4f}")
    print(f"  {'task':<24}{'seconds':>9}{'peak MB':>9}")
    for task in summary["tasks"]:
        peak = watch.peaks.get(task["name"], 0) / 1024
        print(f"  {task['name']:<24}{task['seconds']:>9.1f}{peak:>9.0f}")
    if rows in TFX_SECONDS:
        tfx = TFX_SECONDS[rows]
        whole = tfx + TFX_IMPORT_SECONDS
        print(f"  {'TensorFlow Extended':<24}{whole:>9.1f}   {whole / seconds:.1f}x as long")


class _Memory(threading.Thread):
    """Samples the resident memory of task processes, in kB by task; shared pages count fully."""

    def __init__(self, logs: Path) -> None:
        super().__init__(daemon=True)
        self.peaks: dict[str, int] = {}
        self._logs = logs
        self._done = threading.Event()

    def run(self) -> None:
        while not self._done.wait(0.1):
            logs = sorted(self._logs.glob("*-*.log"), key=lambda path: path.stat().st_mtime_ns)
            if logs:
                task = logs[-1].stem
                self.peaks[task] = max([self.peaks.get(task, 0), *self._resident()])

    def stop(self) -> None:
        self._done.set()
        self.join()

    def _resident(self) -> list[int]:
        """Return the largest resident size so far of every process that runs a task now."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if not _runs_task(folder):
                    continue
                lines = (folder / "status").read_text().splitlines()
            except OSError:
                continue  # it has ended meanwhile
            found += [int(line.split()[1]) for line in lines if line.startswith("VmHWM")]
        return found


def _runs_task(process: Path) -> bool:
    """Tell whether a process is a plain interpreter with a task, or was forked for one."""
    command = (process / "cmdline").read_bytes()
    if command.startswith(b"sh\0") or b"shim.py" in command:
        return False
    if b"executor_main" in command:
        return True
    parent = (process / "stat").read_text().rsplit(")", 1)[1].split()[1]
    return (
        b"local.prefork" in command
        and b"local.prefork" in (process.with_name(parent) / "cmdline").read_bytes()
    )


if __name__ == "__main__":
    main()
