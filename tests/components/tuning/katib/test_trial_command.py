"""A trial's arguments pass Katib, Kubernetes and a real shell unchanged, whatever they contain."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfp_tabular.components.tuning.katib import trial_command
from tests.components.tuning.katib import pods

ECHO = "import json, sys; print(json.dumps(sys.argv[1:]))"
VARIABLES = {"HOME": "/expanded/by/the/kubelet"}

words = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=20
).filter(lambda word: not trial_command.problem(word))


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        pods.started(command, VARIABLES), capture_output=True, text=True, timeout=20, check=False
    )


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize(
    "word",
    [
        "--x=a b",
        '--x=it\'s "quoted"',
        "--x=$HOME $(HOME) $$(HOME) $$ `id` ${HOME}",
        "--x=a;b && c || d > e < f | g & # h",
        "--x=*?[a-z]{1,2}~ \\n \\",
        "--x=Theatre \u0130zmir \u4e2d",
        "--x=",
        "",
    ],
)
def test_awkward_words_arrive(tmp_path: Path, word: str, early_stopping: bool) -> None:
    command = trial_command.script([sys.executable, "-c", ECHO, word], ["--rate=0.5"])
    # The pod that reports.
    done = run(pods.wrapped(command, early_stopping, str(tmp_path)))
    assert json.loads(done.stdout) == [word, "--rate=0.5"], done.stderr
    assert done.returncode == 0
    # Katib's mark that the training has ended: `<process id>.pid`.
    assert [file.read_text() for file in tmp_path.iterdir()] == ["completed\n"]
    # All others.
    assert json.loads(run(command).stdout) == [word, "--rate=0.5"]


@settings(max_examples=40, deadline=None)
@given(st.lists(words, max_size=4))
def test_any_words_arrive(given_words: list[str]) -> None:
    command = trial_command.script([sys.executable, "-S", "-c", ECHO, *given_words])
    assert json.loads(run(command).stdout) == given_words


def test_why_the_words_are_in_a_script() -> None:
    # As words of their own they do not survive: Katib joins them unquoted.
    command = [sys.executable, "-c", ECHO.replace(" ", "\t"), "--x=a b"]
    done = run(pods.wrapped(command, early_stopping=False, directory="/nowhere"))
    assert done.returncode != 0


@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_failure_is_seen(tmp_path: Path, early_stopping: bool) -> None:
    command = trial_command.script([sys.executable, "-c", "raise SystemExit(2)"])
    done = run(pods.wrapped(command, early_stopping, str(tmp_path)))
    # With rules for early stopping Katib's own script hides the exit code.
    assert done.returncode == (1 if early_stopping else 2)
    assert not list(tmp_path.iterdir())


def test_an_early_stopped_trial_ends_well(tmp_path: Path) -> None:
    # The collector marks the shell's process and terminates its only child.
    program = (
        "import os, signal, pathlib\n"
        f"pathlib.Path({str(tmp_path)!r}, f'{{os.getppid()}}.pid').write_text('early-stopped')\n"
        "os.kill(os.getpid(), signal.SIGTERM)\n"
    )
    command = trial_command.script([sys.executable, "-c", f"exec({program!r})"])
    done = run(pods.wrapped(command, early_stopping=True, directory=str(tmp_path)))
    assert done.returncode == 0, done.stderr
    assert "Early Stopped" in done.stdout


@pytest.mark.parametrize("word", ["a\nb", "a\0b", "\x1b[31m", "${trialParameters.epochs}"])
def test_what_cannot_arrive_is_a_problem(word: str) -> None:
    assert trial_command.problem(word)


@pytest.mark.parametrize("value", ["a b", "it's", '"', "\\", "$x", "`x`", "a;b", "(", "*", "", "~"])
def test_a_searched_value_must_need_no_quotes(value: str) -> None:
    assert not trial_command.SEARCHED_VALUE.fullmatch(value)


def test_searched_values_arrive() -> None:
    for value in ("0.5", "1e-05", "128,64", "wide_and_deep", "-1", "a.b:c/d=e@f%g+h"):
        assert trial_command.SEARCHED_VALUE.fullmatch(value)
        command = trial_command.script([sys.executable, "-c", ECHO], [f"--x={value}"])
        assert json.loads(run(command).stdout) == [f"--x={value}"]
