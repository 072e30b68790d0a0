"""The whole training pipeline by wall clock and peak memory, beside TensorFlow Extended's figures.

    .venvs/author/bin/python tests/benchmarks/bench_pipeline.py --data taxi.csv --copies 1 20 200

The data is repeated to the size asked for: 15,002 rows of Chicago taxi trips once, 20 and 200
times are what TensorFlow Extended 1.21's LocalDagRunner was measured on (2 cores, all in one
process, 1000 training steps of 40 rows, two thirds for training and a third for evaluation; imports
not counted). Wall time here is that of `kfp-tabular run` as a user calls it: compiling, every
interpreter and import, and a process per task. CPU time is sampled ten times a second; that of a
task is without the imports of the process that it was forked from.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

TFX_SECONDS = {15_002: 25.0, 300_040: 80.0, 3_000_400: 572.0}
TFX_IMPORT_SECONDS = 9.0

_FORK_SERVER = b"virtual_environments.fork_server"
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
            rows = repeat_csv(arguments.data, copies, data)
            _measure(data, rows, arguments.label, arguments.exclude, Path(folder) / str(copies))


def repeat_csv(source: Path, copies: int, target: Path) -> int:
    """Write a CSV file with the rows of another so many times, and return their number."""
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
    watch = _Watch(output / "logs")
    watch.start()
    started = time.monotonic()
    subprocess.run([*command, "--output", str(output)], check=True)
    seconds = time.monotonic() - started
    watch.stop()
    summary = json.loads((output / "summary.json").read_text())
    auc, used = summary["metrics"].get("auc", 0), watch.processor_seconds()
    print(f"\n{rows:,} rows: {seconds:.1f} s wall, {used:.1f} s CPU, test AUC {auc:.4f}")
    print(f"  {'task':<24}{'seconds':>9}{'CPU s':>9}{'peak MB':>9}")
    for task in summary["tasks"]:
        peak = watch.peaks.get(task["name"], 0) / 1024
        used = watch.processor_seconds(task["name"])
        print(f"  {task['name']:<24}{task['seconds']:>9.1f}{used:>9.1f}{peak:>9.0f}")
    if rows in TFX_SECONDS:
        tfx = TFX_SECONDS[rows]
        whole = tfx + TFX_IMPORT_SECONDS
        print(f"  {'TensorFlow Extended':<24}{whole:>9.1f}   {whole / seconds:.1f}x as long")


class _Watch(threading.Thread):
    """Samples the processes of a run: peak memory in kB by task, CPU time by task and of all."""

    def __init__(self, logs: Path) -> None:
        super().__init__(daemon=True)
        self.peaks: dict[str, int] = {}
        self._ticks: dict[str, tuple[str, int]] = {}
        self._logs = logs
        self._done = threading.Event()

    def run(self) -> None:
        while not self._done.wait(0.1):
            logs = sorted(self._logs.glob("*-*.log"), key=lambda path: path.stat().st_mtime_ns)
            self._sample(logs[-1].stem if logs else "")

    def stop(self) -> None:
        self._done.set()
        self.join()

    def processor_seconds(self, task: str | None = None) -> float:
        """Return the CPU time of a task's processes, or of all."""
        ticks = sum(ticks for name, ticks in self._ticks.values() if task in (None, name))
        return ticks / os.sysconf("SC_CLK_TCK")

    def _sample(self, task: str) -> None:
        """Take the largest resident size so far, and the CPU time, of every process."""
        for process in _descendants(os.getpid()):
            try:
                runs_task = _runs_task(process)
                lines = (process / "status").read_text().splitlines()
                times = _stat(process)[11:13]
            except OSError:
                continue  # it has ended meanwhile
            # One that has just ended has no command line any more.
            name = task if runs_task else self._ticks.get(process.name, ("", 0))[0]
            self._ticks[process.name] = (name, sum(map(int, times)))
            peaks = [int(line.split()[1]) for line in lines if line.startswith("VmHWM")]
            if runs_task:
                self.peaks[task] = max([self.peaks.get(task, 0), *peaks])


def _descendants(process: int) -> list[Path]:
    children: dict[str, list[Path]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            children.setdefault(_stat(folder)[1], []).append(folder)
    found = children.get(str(process), [])
    for folder in found:
        found += children.get(folder.name, [])
    return found


def _stat(process: Path) -> list[str]:
    """Return the fields of a process from its state on; the second is its parent."""
    return (process / "stat").read_text().rsplit(")", 1)[1].split()


def _runs_task(process: Path) -> bool:
    """Tell whether a process is a plain interpreter with a task, or was forked for one."""
    command = (process / "cmdline").read_bytes()
    if command.startswith(b"sh\0") or b"shim.py" in command:
        return False
    if b"executor_main" in command:
        return True
    parent = process.with_name(_stat(process)[1])
    return _FORK_SERVER in command and _FORK_SERVER in (parent / "cmdline").read_bytes()


if __name__ == "__main__":
    main()
