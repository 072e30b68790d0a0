"""Why a task failed, from the log of its pod."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from kfp_tabular.components.common.errors import USER_ERROR_EXIT_CODE, find_user_error

# The launcher's message about the task's process, such as `exit status 2` or `signal: killed`.
_ENDED = re.compile(
    r"(?:Component failed to execute successfully|failed to execute component): (.*)"
)
_EXIT_STATUS = re.compile(r"exit status (\d+)$")
_DRIVER = re.compile(r"\] (?:KFP driver|driver): (.+)")
_TRACEBACK = "Traceback (most recent call last):"
_KILLED = ("signal: killed", "exit status 137")
_SIGNAL = re.compile(r"^signal: (.+)")
_TWICE = "two tasks have the same task name"
# Escape sequences and other control characters would act on the terminal, and characters that
# change the direction of text would hide what stands there.
_CONTROL = re.compile(
    r"(?:\x1b\[|\x9b)[0-9;?]*[ -/]*[@-~]"
    r"|(?:\x1b\]|\x9d)[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)"
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]"
)


@dataclass(frozen=True)
class FailureReason:
    """The reason of a failure.

    Attributes:
        text: One line.
        is_user_error: Whether the input or the configuration is at fault, so that a retry fails
            as well.
    """

    text: str
    is_user_error: bool = False


def find_reason(log: Sequence[str], *, only_if_failed: bool = False) -> FailureReason | None:
    """Return the reason that the log of a task's or a driver's pod gives; None if it gives none.

    Args:
        log: The lines of the log.
        only_if_failed: Whether the log must show that the pod failed, since nothing else does.

    Example:
        >>> find_reason([
        ...     "[KFP Executor ERROR]: kfp-tabular: error: houses.csv has no rows.",
        ...     "E1129 launcher_v2.go:449] Component failed to execute successfully: exit status 2",
        ... ])
        FailureReason(text='houses.csv has no rows.', is_user_error=True)
    """
    lines = [_CONTROL.sub("", line).rstrip() for line in log]
    ends = [match.group(1) for match in map(_ENDED.search, lines) if match]
    end = ends[0] if ends else ""
    message = find_user_error(lines)
    # A task may quote the log of a worker that ended with a user error.
    if message and (not end or _exit_status(end) == USER_ERROR_EXIT_CODE):
        return FailureReason(shown(message), is_user_error=True)
    if only_if_failed and not end and not _of_driver(lines):
        return None
    text = _of_driver(lines) or _of_kill(end) or _of_traceback(lines) or _of_launcher(lines, end)
    return FailureReason(shown(text)) if text else None


def _exit_status(end: str) -> int | None:
    found = _EXIT_STATUS.search(end)
    return int(found.group(1)) if found else None


def _of_driver(lines: Sequence[str]) -> str:
    for line in reversed(lines):
        found = _DRIVER.search(line)
        if not found:
            continue
        text = f"Kubeflow's driver failed: {found.group(1)}"
        if _TWICE in text:
            text += (
                ". A driver before it was started twice, after which Kubeflow Pipelines cannot "
                "continue a run: submit it again."
            )
        return text
    return ""


def _of_kill(end: str) -> str:
    if not end.endswith(_KILLED):
        return ""
    return (
        f"the process was killed ({end}), most often because it ran out of memory: give the task "
        "more 'memory' in the configuration."
    )


def _of_traceback(lines: Sequence[str]) -> str:
    """Return the exception of the last traceback: the first line after its indented ones.

    Each line may begin like the first one, with the name of a worker or the frame that Python draws
    around a group of exceptions.
    """
    starts = [number for number, line in enumerate(lines) if line.endswith(_TRACEBACK)]
    if not starts:
        return ""
    prefix = lines[starts[-1]].removesuffix(_TRACEBACK)
    for line in lines[starts[-1] + 1 :]:
        if _ENDED.search(line):
            break
        text = line.removeprefix(prefix)
        if text and not text[0].isspace():
            return text
    return ""


def _of_launcher(lines: Sequence[str], end: str) -> str:
    """Return the launcher's error; with the last line before it, where the task's process ended."""
    if not end:
        return ""
    signal = _SIGNAL.search(end)
    if not signal and not _EXIT_STATUS.search(end):
        return f"Kubeflow's launcher failed: {end}"
    if signal:
        end = f"the process ended by a signal, {signal.group(1)}"
    first = next(number for number, line in enumerate(lines) if _ENDED.search(line))
    last = next((line for line in reversed(lines[:first]) if line), "")
    return f"{end}; its last line is: {last}" if last else end


def shown(text: str, most: int = 2000) -> str:
    """Return a text of a log as one line for the terminal, of at most so many characters.

    Example:
        >>> shown(f"{chr(27)}[31mloss   is nan", 7)
        'loss is...'
    """
    line = " ".join(_CONTROL.sub("", text).split())
    return line if len(line) <= most else f"{line[:most]}..."
