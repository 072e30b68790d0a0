"""The driver of a SparkApplication: runs the component of the task that made the application.

Spark starts it as `driver --properties-file FILE --class ... local://... --request=URI`: what its
own image would pass to `spark-submit`. This program needs the file and the request; pyspark starts
Java with them once the component opens its engine. So bad input ends it before, and its exit code
is the component's.
"""

import argparse
import json
import logging
import os
import shlex
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

from kfp_tabular.components.common import storage
from kfp_tabular.components.common.artifacts.examples import remote_examples
from kfp_tabular.components.common.errors import UserError, reported_to_user
from kfp_tabular.components.common.process.process_exit import without_shutdown
from kfp_tabular.components.common.process.termination import TERMINATED_EXIT_CODE
from kfp_tabular.components.common.processing.spark.spark_context import SUBMIT_ARGUMENTS
from kfp_tabular.components.common.spark_task import plan as plans
from kfp_tabular.components.common.spark_task.task_request import StagedTask, TaskRequest
from kfp_tabular.components.common.storage import Folder, job_directory
from kfp_tabular.components.common.task import task_process

_BIND_ADDRESS = "SPARK_DRIVER_BIND_ADDRESS"

_logger = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the driver to its end.

    Args:
        arguments: As Spark passes them; those of the process if None.

    Raises:
        SystemExit: With code 2 for bad input or configuration.
    """
    submitted, own = split(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--request", required=True, help="URI of the request")
    given = parser.parse_args(own)
    # The first process of a container ignores signals that it does not handle.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED_EXIT_CODE))
    os.environ[SUBMIT_ARGUMENTS] = submit_arguments(submitted, os.environ)
    task_process.start_logging()
    with reported_to_user():
        run(given.request)


def split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the arguments for `spark-submit`, and those of this program.

    Example:
        >>> split(["driver", "--properties-file", "/p", "local:///d.py", "--request=u"])
        (['--properties-file', '/p'], ['--request=u'])
    """
    program = next((index for index, text in enumerate(arguments) if text.startswith("local:")), -1)
    before, own = list(arguments[:program]) if program >= 0 else [], list(arguments[program + 1 :])
    submitted = []
    for flag, value in pairwise(before):
        if flag == "--properties-file":
            submitted = [flag, value]
    return submitted, own


def submit_arguments(submitted: Sequence[str], environment: Mapping[str, str]) -> str:
    """Return what pyspark starts Java with.

    Example:
        >>> submit_arguments(["--properties-file", "/p"], {"SPARK_DRIVER_BIND_ADDRESS": "10.0.0.7"})
        '--properties-file /p --deploy-mode client --conf spark.driver.bindAddress=10.0.0.7 ...'
    """
    address = environment.get(_BIND_ADDRESS)
    bound = ["--conf", f"spark.driver.bindAddress={address}"] if address else []
    return shlex.join([*submitted, "--deploy-mode", "client", *bound, "pyspark-shell"])


def run(uri: str) -> None:
    """Run the component of a request, and publish what it makes, also where it fails.

    Args:
        uri: The request.

    Raises:
        UserError: As the component raises it, or an artifact cannot be read or written.
    """
    prefix, _, name = uri.rpartition("/")
    request = TaskRequest.from_json(job_directory.read_text(prefix, name))
    with tempfile.TemporaryDirectory(prefix="kfp-tabular-driver-") as folder:
        task = StagedTask(request, Path(folder))
        _stage(task)
        with _published(task, prefix):
            task_process.execute(request.component, task.executor_input())
        job_directory.write_text(prefix, plans.OUTPUT, _output(task))


def _output(task: StagedTask) -> str:
    # KFP's executor writes nothing where there is nothing to say.
    path = task.output_file
    found: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    return json.dumps(found, ensure_ascii=False)


def _stage(task: StagedTask) -> None:
    """Bring inputs here: of examples the manifest, since executors stream their shards."""
    for name, path in task.inputs.items():
        uri = task.request.inputs[name]
        folder = Folder(uri)
        if remote_examples.read_manifest(folder) is not None:
            remote_examples.stage(folder, path)
        else:
            job_directory.fetch(uri, path)
        _logger.info("%s: %s", name, uri)


@contextmanager
def _published(task: StagedTask, prefix: str) -> Iterator[None]:
    """Upload the outputs after the block, also if it raises."""
    try:
        yield
    except Exception:
        try:
            _publish(task, prefix)
        except UserError as error:
            _logger.warning("outputs of the failed task are not kept: %s", error)
        raise
    _publish(task, prefix)


def _publish(task: StagedTask, prefix: str) -> None:
    for name, path in task.outputs.items():
        if path.is_file() or (path.is_dir() and any(path.iterdir())):
            storage.upload(path, f"{prefix}/{plans.ARTIFACTS}/{name}")


if __name__ == "__main__":
    with without_shutdown():
        main()
