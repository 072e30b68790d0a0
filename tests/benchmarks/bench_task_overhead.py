"""What a task costs beside its work: start-up, import and shutdown of every task of a training run.

    .venvs/author/bin/python tests/benchmarks/bench_task_overhead.py [--images REGISTRY:TAG]

First `kfp-tabular run` makes real inputs from sample data. Then every task runs again as a cluster
runs it: the compiled spec's own command, with a cold interpreter of its own, in the virtual
environment of its image or, with `--images`, in a container with a read-only root.

A second checkout with environments of its own, and a second `--images`, are compared with the
first: the sides take turns, and the table shows medians over the rounds.

    start-up    from the start of the command until Python runs code
    import      all imports, those of KFP's executor included
    work        the rest, until the outputs are written
    shutdown    from then to the end of the process
    CPU         user and system time of all of it
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from kfp_tabular.components.common.process.tensorflow import ENVIRONMENT

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[1]
PROBE = "KFP_TABULAR_PROBE"
LABEL = "is_fraud"
WRAPPER = (
    'date +%s.%N >"$KFP_TABULAR_PROBE/begin"; "$@"; code=$?; '
    'date +%s.%N >"$KFP_TABULAR_PROBE/end"; times >"$KFP_TABULAR_PROBE/times"; exit $code'
)


@dataclass(frozen=True)
class Call:
    """A task's command, every placeholder resolved, and where its outputs go."""

    name: str
    image: str
    command: Sequence[str]
    environment: Mapping[str, str]
    folder: str


@dataclass(frozen=True)
class Phases:
    """Seconds that one execution of a task took."""

    start_up: float
    imports: float
    work: float
    shutdown: float
    total: float
    cpu: float


@dataclass(frozen=True)
class Side:
    """One of what is compared.

    Attributes:
        name: Its title in the table.
        checkout: The checkout whose environments and compiled spec it uses.
        images: The start of its images' names and their tag; None for virtual environments.
        run: The folder of the run that made its inputs.
        calls: The tasks.
    """

    name: str
    checkout: Path
    images: str | None
    run: Path
    calls: Sequence[Call]

    @property
    def environments(self) -> Path:
        """Where the checkout's virtual environments are."""
        return self.checkout / ".venvs"


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkout", type=Path, action="append", help="default: this one")
    parser.add_argument("--images", action="append", help="such as ghcr.io/kfp-tabular:0.1.0")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--tasks", nargs="*", help="only these; default: all")
    parser.add_argument("--imports", type=int, default=0, help="list so many of the longest")
    parser.add_argument("--work", type=Path, help="keep runs here and use them again")
    parser.add_argument("--record", nargs=2, type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.record:
        record(*arguments.record)
        return
    checkouts = [path.resolve() for path in arguments.checkout or [CHECKOUT]]
    images = arguments.images or [None] * len(checkouts)
    if len(images) != len(checkouts):
        parser.error("give --images once for each --checkout")
    with _work_folder(arguments.work) as work:
        data = _sample_data(work, arguments.rows)
        sides = [
            Side(
                name=chr(ord("A") + number),
                checkout=checkout,
                images=images[number],
                run=work / f"run{number}",
                calls=_recorded(checkout, data, work / f"run{number}"),
            )
            for number, checkout in enumerate(checkouts)
        ]
        _compare(sides, data, arguments)


@contextmanager
def _work_folder(given: Path | None) -> Iterator[Path]:
    if given:
        given.mkdir(parents=True, exist_ok=True)
        yield given.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        yield Path(folder)


def _sample_data(work: Path, rows: int) -> Path:
    data = work / f"transactions-{rows}.csv"
    if not data.exists():
        program = CHECKOUT / ".venvs" / "author" / "bin" / "kfp-tabular"
        command = [program, "sample-data", "--rows", str(rows), "--seed", "7", "--output", data]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return data


def _recorded(checkout: Path, data: Path, run: Path) -> list[Call]:
    """Run the pipeline of a checkout, and return the commands of its tasks."""
    calls = run / "calls.json"
    if not calls.exists():
        python = checkout / ".venvs" / "author" / "bin" / "python"
        command = [python, Path(__file__).resolve(), "--record", data, run]
        subprocess.run(command, check=True, cwd=checkout, stdout=subprocess.DEVNULL)
    return [Call(**call) for call in json.loads(calls.read_text())]


def record(data: Path, run: Path) -> None:
    """Run the training pipeline, and write what its tasks were called with to `calls.json`."""
    from rich.console import Console

    from kfp_tabular.pipelines import registry
    from kfp_tabular.pipelines.configuration import PipelineConfig
    from kfp_tabular.pipelines.environments.location import Environments
    from kfp_tabular.pipelines.local import pipeline_run
    from kfp_tabular.pipelines.local.virtual_environments.environment_runner import (
        VirtualEnvironmentRunner,
    )

    calls = []

    class Starter:
        def __init__(self, starter: Any) -> None:
            self._starter = starter

        def start(self, call: Any) -> Any:
            environment = dict(call.environment)
            calls.append(
                Call(call.name, call.image, list(call.command), environment, str(call.folder))
            )
            return self._starter.start(call)

    class Runner(VirtualEnvironmentRunner):
        @contextmanager
        def opened(self, request: Any) -> Iterator[Any]:
            with super().opened(request) as starter:
                yield Starter(starter)

    outcome = pipeline_run.run(
        registry.find("training"),
        PipelineConfig(),
        {"data_uri": str(data), "label": LABEL, "seed": "7"},
        run,
        Console(stderr=True),
        Runner(Environments.find()),
    )
    if outcome.summary.status != "succeeded":
        sys.exit(f"the run failed: {run}")
    (run / "calls.json").write_text(json.dumps([asdict(call) for call in calls]))


def _compare(sides: Sequence[Side], data: Path, arguments: argparse.Namespace) -> None:
    names = arguments.tasks or [call.name for call in sides[0].calls]
    found: dict[tuple[str, str], list[Phases]] = defaultdict(list)
    imports: dict[str, list[tuple[float, str]]] = {}
    for turn in range(arguments.rounds):
        for name in names:
            # Who goes first changes, since the second finds more files in memory.
            for side in sides if turn % 2 else reversed(sides):
                call = next(call for call in side.calls if call.name == name)
                with tempfile.TemporaryDirectory(prefix="probe-") as probe:
                    _execute(side, call, data, Path(probe))
                    phases, imported = _read(Path(probe), Path(call.folder))
                found[side.name, name].append(phases)
                imports[f"{side.name} {name}"] = imported
                print(f"{turn} {side.name} {name:<22} {_line(phases)}", file=sys.stderr)
    for side in sides:
        where = side.images or str(side.environments)
        print(f"\n{side.name}: {side.checkout}, {where}\n")
        _table([(name, _median(found[side.name, name])) for name in names])
    if arguments.imports:
        for key, entries in imports.items():
            print(f"\n{key}")
            for seconds, module in sorted(entries, reverse=True)[: arguments.imports]:
                print(f"  {seconds:7.3f} {module}")


def _execute(side: Side, call: Call, data: Path, probe: Path) -> None:
    """Run a task on the inputs of the recorded run; its outputs replace the earlier ones."""
    shutil.rmtree(call.folder)
    Path(call.folder).mkdir()
    if call.name == "deploy-model":
        # A model that is deployed already would not be checked again.
        shutil.rmtree(side.run / "models", ignore_errors=True)
    shutil.copy(HERE / "task_probe.py", probe / "sitecustomize.py")
    wrapped = ["sh", "-c", WRAPPER, "sh", *call.command]
    name = call.image.rpartition("/")[2].partition(":")[0]
    settings = {**call.environment, PROBE: str(probe), "PYTHONPATH": str(probe)}
    if side.images:
        registry, _, tag = side.images.rpartition(":")
        mounts = [f"{side.run}:{side.run}", f"{data}:{data}:ro", f"{probe}:{probe}"]
        command = ["docker", "run", "--rm", "--read-only", "--tmpfs", "/tmp"]
        command += ["--network", "none", "--user", f"{os.getuid()}:0"]
        command += [word for mount in mounts for word in ("--volume", mount)]
        command += [word for name, value in settings.items() for word in ("-e", f"{name}={value}")]
        command += [f"{registry}/{name}:{tag}", *wrapped]
        environment = dict(os.environ)
    else:
        path = os.pathsep.join([str(side.environments / name / "bin"), os.environ["PATH"]])
        environment = {**os.environ, **ENVIRONMENT, **settings, "PATH": path}
        environment["PYTHONUNBUFFERED"] = "1"
        command = wrapped
    ended = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    if ended.returncode:
        sys.exit(f"{call.name} failed:\n{ended.stdout.decode()[-4000:]}")


def _read(probe: Path, folder: Path) -> tuple[Phases, list[tuple[float, str]]]:
    begin, ready, end = (float((probe / name).read_text()) for name in ("begin", "python", "end"))
    written = (folder / "executor_output.json").stat().st_mtime
    imports = []
    for line in (probe / "imports").read_text().splitlines():
        began, seconds, module = line.split(" ", 2)
        if float(began) < written:
            imports.append((float(seconds), module))
    importing = sum(seconds for seconds, _ in imports)
    children = (probe / "times").read_text().splitlines()[1].split()
    minutes = [part.removesuffix("s").split("m") for part in children]
    phases = Phases(
        start_up=ready - begin,
        imports=importing,
        work=written - ready - importing,
        shutdown=end - written,
        total=end - begin,
        cpu=sum(60 * float(minute) + float(second) for minute, second in minutes),
    )
    return phases, imports


def _median(phases: Sequence[Phases]) -> Phases:
    return Phases(
        *(
            statistics.median(getattr(entry, field.name) for entry in phases)
            for field in fields(Phases)
        )
    )


def _line(phases: Phases) -> str:
    return " ".join(f"{getattr(phases, field.name):8.2f}" for field in fields(Phases))


def _table(rows: Sequence[tuple[str, Phases]]) -> None:
    print("| task | start-up | import | work | shutdown | total | CPU |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    sums = Phases(
        *(sum(getattr(phases, field.name) for _, phases in rows) for field in fields(Phases))
    )
    for name, phases in [*rows, ("all", sums)]:
        cells = " | ".join(f"{getattr(phases, field.name):.1f}" for field in fields(Phases))
        print(f"| {name} | {cells} |")


if __name__ == "__main__":
    main()
