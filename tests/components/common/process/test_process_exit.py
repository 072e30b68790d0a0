"""The end of a program's process, as its caller sees it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import atexit, logging, os, subprocess, sys, tempfile, threading, time
from kfp_tabular.components.common.process.process_exit import without_shutdown

class Torn:
    def __del__(self):
        os.write(1, b"shut down\\n")  # happens in a shutdown of the interpreter only

torn = Torn()
torn.itself = torn
logging.basicConfig(stream=sys.stdout, format="%(message)s", level=logging.INFO)
with without_shutdown():
{body}
"""


def run(body: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a program with this body."""
    indented = "\n".join(f"    {line}" for line in body.splitlines())
    return subprocess.run(
        [sys.executable, "-c", PROGRAM.replace("{body}", indented)],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def path_with(folder: Path) -> str:
    """Return PYTHONPATH with this folder first."""
    return os.pathsep.join([str(folder), *os.environ.get("PYTHONPATH", "").split(os.pathsep)])


def test_ends_at_once_with_everything_written(tmp_path: Path) -> None:
    ended = run(
        f"""
text = open({str(tmp_path / "text")!r}, "w")
text.write("left open")
raw = open({str(tmp_path / "bytes")!r}, "wb")
raw.write(b"left open")
print("printed", end="")
print("to the error stream", end="", file=sys.stderr)
"""
    )

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "printed", "to the error stream")
    assert (tmp_path / "text").read_text() == (tmp_path / "bytes").read_text() == "left open"


def test_threads_are_waited_for_and_exit_functions_called(tmp_path: Path) -> None:
    ended = run(
        f"""
folder = tempfile.TemporaryDirectory(dir={str(tmp_path)!r})
atexit.register(print, "exit function")
threading.Thread(target=lambda: (time.sleep(0.3), print("thread"))).start()
threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
logging.info("work done")
"""
    )

    assert ended.stdout.splitlines() == ["work done", "thread", "exit function"]
    assert (ended.returncode, list(tmp_path.iterdir())) == (0, [])


def test_exit_functions_of_before_the_program_are_called(tmp_path: Path) -> None:
    """Python imports `sitecustomize` first: where an agent that observes a process begins."""
    (tmp_path / "sitecustomize.py").write_text(
        """
import atexit

atexit.register(print, "agent's report", end="")
atexit.register(lambda: 1 / 0)
atexit.register(print, "agent")
"""
    )

    ended = run("atexit.register(print, 'program')\nprint('work')", PYTHONPATH=path_with(tmp_path))

    assert (ended.returncode, ended.stdout) == (0, "work\nprogram\nagent\nagent's report")
    assert "Exception ignored in atexit callback" in ended.stderr
    assert "ZeroDivisionError" in ended.stderr


def test_exit_functions_are_called_once_where_output_cannot_be_written(tmp_path: Path) -> None:
    called = tmp_path / "called"
    ended = run(
        f"""
stream = open("/dev/full", "w")
stream.write("lost")
atexit.register(lambda: open({str(called)!r}, "a").write("once "))
"""
    )

    assert called.read_text() == "once "
    assert ended.stdout == "shut down\n"


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ("raise RuntimeError('a defect')", 1, "RuntimeError: a defect"),
        ("raise SystemExit(2)", 2, ""),
        ("sys.exit('a message')", 1, "a message"),
        ("sys.exit(0)", 0, ""),
        ("os.kill(os.getpid(), 15)", -15, ""),
        ("raise KeyboardInterrupt", -2, "KeyboardInterrupt"),
    ],
)
def test_failures_end_as_always(body: str, code: int, message: str) -> None:
    ended = run(body)

    assert ended.returncode == code
    assert ended.stderr.strip().endswith(message)
    if code != -15:
        assert ended.stdout == "shut down\n"


def test_output_that_cannot_be_written_is_not_silent() -> None:
    program = PROGRAM.replace("{body}", "    print('lost')")
    variables = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-c", program],
            env=variables,
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )

    assert ended.returncode == 120
    assert b"No space left on device" in ended.stderr


def test_a_measured_program_shuts_down() -> None:
    # Coverage writes its data then.
    program = "import coverage\n" + PROGRAM.replace("{body}", "    pass")

    assert subprocess.check_output([sys.executable, "-c", program]) == b"shut down\n"
