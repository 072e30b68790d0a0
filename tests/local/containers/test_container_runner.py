"""The runner with containers: real images, real failures, real signals.

`make images-test` runs it.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kfp import compiler, dsl

from kfp_tabular.components.common import images
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.pipelines import spec
from kfp_tabular.pipelines.local.containers.container_runner import ContainerRunner
from kfp_tabular.pipelines.local.containers.engine import Engine
from kfp_tabular.pipelines.local.execution import spec_runner
from kfp_tabular.pipelines.local.execution.task_launcher import TaskResult
from kfp_tabular.pipelines.local.execution.task_outputs import read_outputs

pytestmark = [
    pytest.mark.images,
    pytest.mark.skipif(
        not os.environ.get("KFP_TABULAR_TEST_IMAGES"),
        reason="KFP_TABULAR_TEST_IMAGES is unset; make images-test builds the images and sets it",
    ),
    pytest.mark.timeout(200),
]


@dsl.component(base_image=images.LAUNCHER, install_kfp_package=False)
def look(data: dsl.Output[dsl.Dataset], data_uri: str, mode: str) -> str:
    import json
    import os
    import socket
    import time
    from pathlib import Path

    from kfp_tabular.components.common.errors import UserError, reported_to_user

    def writable(folder: str) -> bool:
        try:
            (Path(folder) / "probe").write_text("")
        except OSError:
            return False
        return True

    def connected() -> bool:
        try:
            socket.create_connection(("192.0.2.1", 9), 0.2)
        except TimeoutError:
            return True
        except OSError:
            return False
        return True

    Path(data.path).mkdir(parents=True)
    (Path(data.path) / "file").write_text("x")
    with reported_to_user():
        if mode == "user error":
            raise UserError("column 'a' is\nnot there.")
        if mode == "failure":
            raise ValueError("broken")
        if mode == "at once":
            os._exit(3)
        if mode == "killed":
            os.kill(os.getpid(), 9)
        if mode == "wait":
            print("waiting", flush=True)
            time.sleep(120)
    return json.dumps(
        {
            "uid": os.getuid(),
            "writable": [f for f in ("/", "/opt", "/home", "/tmp", "/etc") if writable(f)],
            "network": connected(),
            "data": Path(data_uri).read_text() if data_uri.startswith("/") else "",
            "data is writable": writable(str(Path(data_uri).parent)),
            "outside": any(Path(p).exists() for p in ("/work", "/run/docker.sock")),
        }
    )


@dsl.pipeline(name="look-around")
def look_around(data_uri: str = "", mode: str = "") -> None:
    look(data_uri=data_uri, mode=mode)


class Lines:
    """A listener that records what was printed."""

    def __init__(self) -> None:
        self.printed_lines: list[str] = []

    def started(self, name: str) -> None: ...

    def printed(self, name: str, line: str) -> None:
        self.printed_lines.append(line)

    def finished(self, result: TaskResult) -> None: ...


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("spec") / "pipeline.yaml"
    compiler.Compiler().compile(look_around, str(path))
    return path


@pytest.fixture
def task_runner() -> Iterator[ContainerRunner]:
    engine = Engine.find()
    before = _containers(engine)
    yield ContainerRunner(engine)
    assert _containers(engine) <= before


def _containers(engine: Engine) -> set[str]:
    command = [
        engine.program,
        "ps",
        "--all",
        "--filter=name=kfp-tabular-look",
        "--format={{.Names}}",
    ]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


def _run(
    task_runner: ContainerRunner, compiled: Path, output: Path, **arguments: object
) -> TaskResult:
    (result,) = spec_runner.run_spec(compiled, arguments, output, Lines(), task_runner)
    return result


def test_a_task_sees_no_more_than_it_needs(
    task_runner: ContainerRunner, compiled: Path, tmp_path: Path
) -> None:
    import json

    data = tmp_path / "data/rows.csv"
    data.parent.mkdir()
    data.write_text("rows")
    data.chmod(0o644)

    result = _run(task_runner, compiled, tmp_path / "out", data_uri=str(data))

    assert result.error == ""
    outputs = read_outputs(result.folder, spec.component(spec.load(compiled), "look"))
    seen = json.loads(outputs.parameters["Output"])
    assert seen.pop("uid") != 0
    assert seen == {
        "writable": ["/tmp"],
        "network": False,
        "data": "rows",
        "data is writable": False,
        "outside": False,
    }
    assert (outputs.artifacts["data"].path / "file").read_text() == "x"
    assert {path.lstat().st_uid for path in (tmp_path / "out").rglob("*")} == {os.getuid()}


@pytest.mark.parametrize(
    ("mode", "code", "error", "by_user"),
    [
        ("user error", 2, "column 'a' is not there.", True),
        ("failure", 1, "ValueError: broken (exit code 1)", False),
        ("at once", 3, "(exit code 3)", False),
        ("killed", 137, "(exit code 137)", False),
    ],
)
def test_a_failed_task_reports_the_reason(
    task_runner: ContainerRunner,
    compiled: Path,
    tmp_path: Path,
    mode: str,
    code: int,
    error: str,
    by_user: bool,
) -> None:
    result = _run(task_runner, compiled, tmp_path, mode=mode)

    assert result.exit_code == code
    assert error in result.error
    assert result.user_error is by_user
    assert {path.lstat().st_uid for path in tmp_path.rglob("*")} == {os.getuid()}


def test_an_image_that_is_nowhere_fails_before_anything_runs(
    task_runner: ContainerRunner, tmp_path: Path
) -> None:
    # A registry with a port, and no tag: what kfp's own runner takes for an image with a tag.
    @dsl.component(base_image="localhost:1/team/nowhere", install_kfp_package=False)
    def stray() -> str:
        return ""

    @dsl.pipeline(name="stray")
    def pipeline() -> None:
        stray()

    path = tmp_path / "pipeline.yaml"
    compiler.Compiler().compile(pipeline, str(path))

    with pytest.raises(UserError, match=r"localhost:1/team/nowhere.*make images"):
        spec_runner.run_spec(path, {}, tmp_path / "run", Lines(), task_runner)
    assert not (tmp_path / "run").exists()


_PROGRAM = """
import signal, sys
from pathlib import Path
from kfp_tabular.pipelines.local.execution import spec_runner
from kfp_tabular.pipelines.local.containers.container_runner import ContainerRunner
from kfp_tabular.pipelines.local.containers.engine import Engine

def stop(number, frame):
    raise KeyboardInterrupt

signal.signal(signal.SIGTERM, stop)

class Loud:
    def started(self, name): pass
    def printed(self, name, line):
        if line.startswith("waiting"):
            print(line, file=sys.stderr, flush=True)
    def finished(self, result): pass

spec_runner.run_spec(Path(sys.argv[1]), {"mode": "wait"}, Path(sys.argv[2]), Loud(),
                     ContainerRunner(Engine.find()))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_nothing_keeps_running_once_the_run_is_gone(
    task_runner: ContainerRunner, compiled: Path, tmp_path: Path, number: signal.Signals
) -> None:
    command = [sys.executable, "-c", _PROGRAM, str(compiled), str(tmp_path / "run")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        assert any(line.startswith("waiting") for line in process.stderr)
        running = _containers(task_runner.engine)
        assert running
        started = time.monotonic()
        process.send_signal(number)
        # It ends because it was told to, not because it took too long.
        assert "is killed" not in process.stderr.read()
        process.wait(30)
    while _containers(task_runner.engine) & running and time.monotonic() < started + 20:
        time.sleep(0.1)
    assert not _containers(task_runner.engine) & running
