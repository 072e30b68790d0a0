"""The folder of a local run: what a run writes there, and who may write to it."""

import fcntl
import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from yaml import YAMLError

from kfp_tabular.components.common import files
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.storage import location
from kfp_tabular.pipelines import spec
from kfp_tabular.pipelines.local.argument_texts import named_texts
from kfp_tabular.pipelines.local.report import run_pages
from kfp_tabular.pipelines.local.report.run_pages import PAGES_FOLDER
from kfp_tabular.pipelines.local.run_record import RECORD_FILE, TIME, RunRecord

SPEC_FILE = "pipeline.yaml"
SUMMARY_FILE = "summary.json"
REPORT_FILE = "report.html"
ARTIFACTS_FOLDER = "artifacts"
LOGS_FOLDER = "logs"
MODELS_FOLDER = "models"
LOCK_FILE = ".run.lock"

_LOGS_BESIDE_TASKS = ("kfp.log", "preload.log")
_OUTPUT_OF_A_TASK = "*/*/executor_output.json"
_REPLACED = (SPEC_FILE, RECORD_FILE, SUMMARY_FILE, REPORT_FILE, PAGES_FOLDER)
"""What a run writes under these names replaces what is there."""

_ATTEMPTS, _PAUSE_SECONDS = 5, 0.1


@contextmanager
def locked(output: Path) -> Iterator[None]:
    """Hold a run's folder for the duration of a run; the lock ends with the process in any case.

    Args:
        output: The folder; it is made where it does not exist.

    Raises:
        UserError: If another run holds it, or it cannot be written to.
    """
    try:
        output.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(output / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise UserError(f"--output {output}: not a writable folder: {error.strerror}.") from error
    try:
        if not _has_taken(descriptor):
            raise UserError(
                f"--output {output}: another run is writing there. Wait for it, or choose another "
                "folder."
            )
        yield
    finally:
        os.close(descriptor)


def _has_taken(descriptor: int) -> bool:
    """Take a lock; tried again, since `is_running` holds it for a moment."""
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(_PAUSE_SECONDS)
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    return False


def is_running(output: Path) -> bool:
    """Return whether a run holds the folder at the moment."""
    try:
        descriptor = os.open(output / LOCK_FILE, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def check_free(output: Path, *, overwrite: bool) -> None:
    """Check that a new run would replace nothing that matters.

    A run of which no task succeeded has no results and is replaced. A folder with other files can
    hold a run, too, as long as none of them has the name of a file that a run writes.

    Args:
        output: The folder that is asked for; it need not exist.
        overwrite: Whether the results of an earlier run may be replaced.

    Raises:
        UserError: If the folder has results and `overwrite` is not set, or has files of the same
            name that no run wrote.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = (Path(folder) / "report.html").write_text("mine", encoding="utf-8")
        ...     check_free(Path(folder), overwrite=True)
        Traceback (most recent call last):
            ...
        kfp_tabular.components.common.errors.UserError: --output ...: it has a 'report.html' that is
        not of a run of kfp-tabular. Choose another folder.
    """
    if is_run(output):
        if not overwrite and _has_results(output):
            raise UserError(
                f"--output {output}: it holds the results of an earlier run. Choose another "
                "folder, or add --overwrite to replace them."
            )
        return
    for name in _REPLACED:
        if (output / name).exists():
            raise UserError(
                f"--output {output}: it has a {name!r} that is not of a run of kfp-tabular. Choose "
                "another folder."
            )


def check_inputs(output: Path, arguments: Mapping[str, Any]) -> None:
    """Check that no argument names something that `clear` would remove.

    Raises:
        UserError: For the first one that does.
    """
    if not is_run(output):
        return
    gone = [Path(os.path.realpath(path)) for path in _written(output)]
    for name, value in named_texts(arguments):
        if any(_reads(value, written) for written in gone):
            raise UserError(
                f"{name}: {value} is of the run in {output}, which this run would replace. Choose "
                "another --output."
            )


def _reads(value: str, written: Path) -> bool:
    """Whether an argument names a file or a folder, or something in it, as path or pattern."""
    try:
        place = location.parse(value)
    except UserError:
        return False
    if not place.is_local or "\0" in value:
        return False
    path = Path(os.path.realpath(place.path))
    if path.is_relative_to(written):
        return True
    if not place.is_pattern:
        return False
    matches = location.matcher(str(path)).fullmatch
    return any(matches(str(found)) for found in (written, *written.rglob("*")))


def clear(output: Path) -> None:
    """Remove what an earlier run wrote, and nothing else. Published models stay."""
    if not is_run(output):
        return
    # The summary first: what is left of an interrupted removal must not pass for results.
    for path in _written(output):
        files.remove(path)
    for folder in (ARTIFACTS_FOLDER, LOGS_FOLDER, PAGES_FOLDER):
        path = output / folder
        if path.is_dir() and not path.is_symlink() and not any(path.iterdir()):
            path.rmdir()


def is_run(output: Path) -> bool:
    """Return whether a folder is that of a run, finished or not."""
    ours = (output / LOCK_FILE, output / LOGS_FOLDER / _LOGS_BESIDE_TASKS[0])
    return (output / SPEC_FILE).is_file() and any(path.is_file() for path in ours)


def read_summary(output: Path) -> Mapping[str, Any] | None:
    """Return a run's summary; None if the run has not ended, or the file is not a summary."""
    try:
        document = json.loads((output / SUMMARY_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) and "tasks" in document else None


def _has_results(output: Path) -> bool:
    summary = read_summary(output)
    if summary is not None and summary.get("status") == "succeeded":
        return True
    return any((output / ARTIFACTS_FOLDER).glob(_OUTPUT_OF_A_TASK))


def _written(output: Path) -> list[Path]:
    """Return what the run in a folder wrote, the summary first and the compiled pipeline last."""
    try:
        compiled = spec.load(output / SPEC_FILE)
        pipeline = str(compiled["pipelineInfo"]["name"])
        tasks = [task for task in spec.tasks(compiled) if task == Path(task).name]
    except (OSError, ValueError, TypeError, LookupError, AttributeError, YAMLError) as error:
        raise UserError(
            f"--output {output}: the {SPEC_FILE} of the run there cannot be read, so what is of "
            "that run is not known. Choose another folder."
        ) from error
    found = [output / SUMMARY_FILE, output / REPORT_FILE]
    found += run_pages.written(output / PAGES_FOLDER, tasks)
    found += _in(output / ARTIFACTS_FOLDER, _artifacts(output, pipeline))
    # After the artifacts, which it names.
    found.append(output / RECORD_FILE)
    logs = (*(f"{task}.log" for task in tasks), *_LOGS_BESIDE_TASKS)
    found += [output / LOGS_FOLDER / name for name in logs]
    return [*(path for path in found if os.path.lexists(path)), output / SPEC_FILE]


def _artifacts(output: Path, pipeline: str) -> str:
    """Return a pattern of the names of a run's folder of artifacts.

    Without a record, as of earlier versions, the pipeline's name tells it.
    """
    try:
        return re.escape(RunRecord.load(output).name)
    except UserError:
        return re.escape(pipeline) + TIME


def _in(folder: Path, pattern: str) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if re.fullmatch(pattern, path.name))
