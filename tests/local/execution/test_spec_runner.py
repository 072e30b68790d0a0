"""The local runner on real pipelines of small components, in the real environments."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from kfp import compiler, dsl

from kfp_tabular.components.common import images
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.pipelines import spec
from kfp_tabular.pipelines.environments.location import Environments, image_name
from kfp_tabular.pipelines.local.execution import spec_runner
from kfp_tabular.pipelines.local.execution.task_launcher import TaskResult
from kfp_tabular.pipelines.local.execution.task_outputs import read_outputs
from kfp_tabular.pipelines.local.virtual_environments.environment_runner import (
    VirtualEnvironmentRunner,
)

OWN_INTERPRETERS = True


@dsl.component(base_image=images.LAUNCHER, install_kfp_package=False)
def produce(data: dsl.Output[dsl.Dataset], number: int) -> bool:
    import sys
    from pathlib import Path

    Path(data.path).write_text(sys.prefix)
    data.metadata["rows"] = 3
    return number > 1


@dsl.component(base_image=images.SERVING, install_kfp_package=False)
def consume(data: dsl.Input[dsl.Dataset], mode: str) -> str:
    import os
    import sys
    import time
    from pathlib import Path

    from kfp_tabular.components.common.errors import UserError, reported_to_user

    print("preloaded:", "tensorflow" in sys.modules)
    with reported_to_user():
        if mode == "user error":
            raise UserError("column 'a' is\nnot there.")
        if mode == "failure":
            raise ValueError("broken")
        if mode == "killed":
            os.kill(os.getpid(), 9)
        if mode == "wait":
            print("waiting", os.getpid(), flush=True)
            time.sleep(60)
    return f"{Path(data.path).read_text()} {sys.prefix} {data.metadata['rows']:.0f}"


@dsl.pipeline(name="two-images")
def two_images(number: int = 2, mode: str = "") -> None:
    produced = produce(number=number)
    with dsl.If(produced.outputs["Output"] == True):  # noqa: E712
        consume(data=produced.outputs["data"], mode=mode)


class Recorder:
    """A listener that records events."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def started(self, name: str) -> None:
        self.lines.append(f"started {name}")

    def printed(self, name: str, line: str) -> None:
        pass

    def finished(self, result: TaskResult) -> None:
        self.lines.append(f"finished {result.name}")


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("spec") / "pipeline.yaml"
    compiler.Compiler().compile(two_images, str(path))
    return path


def _run(compiled: Path, output: Path, **arguments: object) -> list[TaskResult]:
    return spec_runner.run_spec(
        compiled, arguments, output, Recorder(), VirtualEnvironmentRunner(Environments.find())
    )


def test_each_task_runs_in_the_environment_of_its_image(compiled: Path, tmp_path: Path) -> None:
    recorder = Recorder()
    environments = Environments.find()

    results = spec_runner.run_spec(
        compiled, {}, tmp_path, recorder, VirtualEnvironmentRunner(environments)
    )

    assert [result.exit_code for result in results] == [0, 0]
    assert recorder.lines == [
        "started produce",
        "finished produce",
        "started consume",
        "finished consume",
    ]
    component = spec.component(spec.load(compiled), "consume")
    value = read_outputs(results[1].folder, component).parameters["Output"]
    venvs = environments.folder
    assert value == f"{venvs / 'launcher'} {venvs / 'serving'} 3"
    # The interpreter had TensorFlow before the task began, and is gone with the run.
    assert "preloaded: True" in (tmp_path / "logs" / "consume.log").read_text()


def test_warnings_of_kfp_go_to_its_log(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    @dsl.pipeline(name="with-limits")
    def with_limits() -> None:
        produce(number=1).set_memory_limit("1G")

    path = tmp_path / "pipeline.yaml"
    compiler.Compiler().compile(with_limits, str(path))

    (result,) = _run(path, tmp_path)

    assert result.succeeded
    assert "'memory_limit'" in (tmp_path / "logs" / "kfp.log").read_text()
    assert "memory_limit" not in capfd.readouterr().err


def test_artifacts_are_found_with_type_and_metadata(compiled: Path, tmp_path: Path) -> None:
    (result,) = _run(compiled, tmp_path, number=1)

    outputs = read_outputs(result.folder, spec.component(spec.load(compiled), "produce"))

    artifact = outputs.artifacts["data"]
    assert (artifact.type, artifact.metadata) == ("Dataset", {"rows": 3})
    assert artifact.path.is_file()
    assert outputs.parameters == {"Output": False}


@pytest.mark.parametrize(
    ("mode", "code", "error", "by_user"),
    [
        ("user error", 2, "column 'a' is not there.", True),
        ("failure", 1, "ValueError: broken (exit code 1)", False),
        ("killed", 137, "(exit code 137)", False),
    ],
)
def test_a_failed_task_reports_the_reason(
    compiled: Path, tmp_path: Path, mode: str, code: int, error: str, by_user: bool
) -> None:
    result = _run(compiled, tmp_path, mode=mode)[-1]

    assert result.exit_code == code
    assert error in result.error
    assert result.user_error is by_user


def test_an_image_without_environment_fails_before_anything_runs(tmp_path: Path) -> None:
    @dsl.component(base_image="registry:5000/team/nowhere:1", install_kfp_package=False)
    def stray() -> str:
        return ""

    @dsl.pipeline(name="stray")
    def pipeline() -> None:
        stray()

    path = tmp_path / "pipeline.yaml"
    compiler.Compiler().compile(pipeline, str(path))

    with pytest.raises(UserError, match="nowhere.*make setup"):
        _run(path, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("ghcr.io/kfp-tabular/tensorflow:0.1.0", "tensorflow"),
        ("localhost:5000/tfdv", "tfdv"),
        ("serving@sha256:abc", "serving"),
        ("registry:5000/a/b/launcher:1@sha256:abc", "launcher"),
    ],
)
def test_image_names(image: str, name: str) -> None:
    assert image_name(image) == name


_PROGRAM = """
import signal, sys
from pathlib import Path
from kfp_tabular.pipelines.local.execution import spec_runner
from kfp_tabular.pipelines.environments.location import Environments
from kfp_tabular.pipelines.progress import Progress
from kfp_tabular.pipelines.local.virtual_environments.environment_runner import (
    VirtualEnvironmentRunner,
)
from rich.console import Console

def stop(number, frame):
    raise KeyboardInterrupt

signal.signal(signal.SIGTERM, stop)
class Loud(Progress):
    def printed(self, name, line):
        if line.startswith("waiting"):
            print(line, file=sys.stderr, flush=True)

with Loud([], Console(stderr=True)) as progress:
    spec_runner.run_spec(Path(sys.argv[1]), {"mode": "wait"}, Path(sys.argv[2]), progress,
                         VirtualEnvironmentRunner(Environments.find()))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_keeps_running_once_the_run_is_gone(
    compiled: Path, tmp_path: Path, number: signal.Signals
) -> None:
    marker = str(tmp_path / "run")
    command = [sys.executable, "-c", _PROGRAM, str(compiled), marker]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        task = next(int(line.split()[1]) for line in process.stderr if line.startswith("waiting"))
        assert _alive(task)
        process.send_signal(number)
        process.wait(30)
    if number == signal.SIGKILL:
        # The runner had no chance to clean up, but the task goes when its caller does.
        for pid in _processes(marker):
            os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 20
    while (_processes(marker) or _alive(task)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _processes(marker)
    assert not _alive(task)


def _alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def _processes(marker: str) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if marker.encode() in command and int(folder.name) != os.getpid():
            found.append(int(folder.name))
    return found


def test_an_interrupted_run_is_summed_up(tmp_path: Path) -> None:
    data = tmp_path / "data.csv"
    data.write_text("a,label\n" + "1,0\n2,1\n" * 50)
    program = Path(sys.executable).with_name("kfp-tabular")
    command = [str(program), "run", "--data", str(data), "--label", "label"]
    with subprocess.Popen([*command, "--output", str(tmp_path)], stderr=subprocess.PIPE) as process:
        while not (tmp_path / "logs" / "ingest-data.log").exists():
            assert process.poll() is None
            time.sleep(0.01)
        process.terminate()
        assert process.wait(30) == 1
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["status"] == "stopped"
    assert summary["tasks"][0]["status"] == "stopped"
    assert {task["status"] for task in summary["tasks"][1:]} == {"skipped"}
