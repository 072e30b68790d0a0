import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kfp_tabular.components.common.process.child_process import ChildProcess, last_lines, stop

STUBBORN = """
import signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(60)
"""
OBEDIENT = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
print("ready", flush=True)
time.sleep(60)
"""


def python(program: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", program, *arguments]


def wait_for(log: Path, text: str) -> None:
    deadline = time.monotonic() + 20
    while text not in (log.read_text() if log.exists() else ""):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_output_and_environment() -> None:
    program = "import os, sys; print(os.environ['A']); print('é\\n', file=sys.stderr); sys.exit(3)"
    child = ChildProcess(python(program), {"A": "b", "PYTHONUTF8": "1"})
    assert sorted(child.lines()) == ["", "b", "é"]
    assert child.wait(20) == child.poll() == child.exit_code == 3


def test_a_log_takes_the_place_of_lines(tmp_path: Path) -> None:
    child = ChildProcess(python("print('one'); print('two')"), log=tmp_path / "log")
    assert child.wait(20) == 0
    assert list(child.lines()) == []
    assert last_lines(tmp_path / "log") == ["one", "two"]
    assert last_lines(tmp_path / "log", 1) == ["two"]


def test_a_program_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        ChildProcess([str(tmp_path / "nothing")], log=tmp_path / "log")


def test_waiting_ends(tmp_path: Path) -> None:
    child = ChildProcess(python(OBEDIENT), log=tmp_path / "log")
    with pytest.raises(TimeoutError, match=f"process {child.pid} is running"):
        child.wait(0.05)
    child.kill()
    assert child.wait() == -signal.SIGKILL
    child.terminate()


def test_all_are_asked_before_any_is_killed(tmp_path: Path) -> None:
    programs = {"a": STUBBORN, "b": OBEDIENT, "c": STUBBORN}
    children = {
        name: ChildProcess(python(program), log=tmp_path / name)
        for name, program in programs.items()
    }
    for name in programs:
        wait_for(tmp_path / name, "ready")
    began = time.monotonic()
    killed = stop(list(children.values()), 0.5)
    assert time.monotonic() - began < 30
    assert killed == [children["a"], children["c"]]
    assert [child.exit_code for child in children.values()] == [-9, 143, -9]
    assert stop(list(children.values()), 5) == []


def test_signals_reach_the_childs_children(tmp_path: Path) -> None:
    program = (
        "import subprocess, sys, time\n"
        "inner = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(inner.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    child = ChildProcess(python(program), log=tmp_path / "log")
    wait_for(tmp_path / "log", "\n")
    inner = int((tmp_path / "log").read_text())
    assert is_running(inner)
    stop([child], 5)
    deadline = time.monotonic() + 5
    while is_running(inner):
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_child_ends_with_its_parent(tmp_path: Path, number: signal.Signals) -> None:
    program = (
        "import signal, sys, time\n"
        "from pathlib import Path\n"
        "from kfp_tabular.components.common.process.child_process import ChildProcess\n"
        f"child = ChildProcess(sys.argv[1:], log=Path({str(tmp_path / 'log')!r}),"
        f" death_signal=signal.Signals({int(number)}))\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen(
        python(program, *python(OBEDIENT)), stdout=subprocess.PIPE, text=True, env=os.environ
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        wait_for(tmp_path / "log", "ready")
        assert is_running(pid)
        parent.kill()
    deadline = time.monotonic() + 5
    while is_running(pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_child_is_not_started_for_a_parent_that_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getpid", lambda: 2**22 + 1)
    child = ChildProcess(python("print('ran')"), log=tmp_path / "log", death_signal=signal.SIGKILL)
    assert child.wait(20) == 1
    assert last_lines(tmp_path / "log") == ["the parent process has ended"]


def test_the_end_of_a_long_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"x" * 200_000 + b"\nlast \xff line\n")
    lines = last_lines(log)
    assert lines[-1] == "last � line"
    assert sum(map(len, lines)) <= 65_536
