"""Starts and stops Spark's driver."""

import logging
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.processing import sigterm
from kfp_tabular.components.common.processing.kubernetes_settings import KubernetesSettings
from kfp_tabular.components.common.processing.processing_settings import (
    KUBERNETES_MASTER,
    SparkSettings,
)
from kfp_tabular.components.common.processing.spark import executor_settings, installation
from kfp_tabular.components.common.processing.spark.executor_settings import JAVA_OPTIONS

if TYPE_CHECKING:
    from pyspark import SparkContext

SUBMIT_ARGUMENTS = "PYSPARK_SUBMIT_ARGS"
"""The variable by which the driver of a SparkApplication gets what was submitted."""

_DAEMON = "kfp_tabular.components.common.processing.spark.python_daemon"
_LOGGING = Path(__file__).parent / "log4j2.properties"
_SECONDS_TO_CONNECT = 10.0
_SECONDS_BETWEEN_LOOKS = 0.1
_SECONDS_TO_END = 30.0
_NEVER = str(1 << 30)
_SUBMITTED = (
    "spark.app.name",
    "spark.master",
    "spark.executor.memory",
    "spark.driver.memory",
)

_logger = logging.getLogger(__name__)


@contextmanager
def opened(settings: SparkSettings, name: str) -> Iterator["SparkContext"]:
    """Start a driver, and stop it with everything that it started.

    SIGTERM ends the block, and with it the driver's jobs on the cluster.

    Args:
        settings: Where and how Spark runs.
        name: The application's name.

    Raises:
        UserError: pyspark or Java is missing, the master cannot be reached, or has no executor
            in time.
    """
    installation.require()
    if settings.on_kubernetes:
        _require_driver_pod()
    elif not settings.is_local:
        _require_master(settings.master)
    with ExitStack() as stack:
        stack.enter_context(sigterm.ends_block())
        started = time.monotonic()
        context = _start(settings, name)
        stack.callback(_stop, context)
        if not context.master.startswith("local"):
            _wait_for_executors(context, settings)
        _logger.info("Spark %s: started in %.1f s", settings.master, time.monotonic() - started)
        yield context


def configuration(settings: SparkSettings, name: str) -> dict[str, str]:
    """Return Spark's settings.

    Args:
        settings: The task's settings; `conf` wins over those that are not the engine's own.
        name: The application's name.

    Example:
        >>> configuration(SparkSettings(cores=8), "kfp-tabular")["spark.cores.max"]
        '8'
    """
    found = {
        "spark.app.name": name,
        "spark.master": settings.master,
        "spark.executor.memory": settings.executor_memory,
        "spark.driver.memory": settings.driver_memory,
        "spark.task.maxFailures": str(settings.attempts),
        "spark.python.daemon.module": _DAEMON,
        # A map's shard is written once: two attempts at a time would write the same one.
        "spark.speculation": "false",
        # Nobody looks at a page of a task that ends by itself.
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        # Pieces are read from storage that is as far from every executor.
        "spark.locality.wait": "0s",
        "spark.driver.extraJavaOptions": (
            f"-Dlog4j2.configurationFile={_LOGGING.as_uri()} {JAVA_OPTIONS}"
        ),
        "spark.executor.extraJavaOptions": JAVA_OPTIONS,
        "spark.executorEnv.PYTHONPATH": _search_path(),
        **{
            f"spark.executorEnv.{key}": value
            for key, value in executor_settings.environment(name.partition(" ")[2]).items()
        },
    }
    if settings.on_kubernetes:
        # As the SparkApplication says, which the driver's pod was made from.
        for entry in _SUBMITTED:
            del found[entry]
    elif settings.is_local:
        # Nothing listens beyond this machine. `local` alone tries each piece once.
        found["spark.master"] = _with_attempts(settings)
        found |= {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
    if settings.cores:
        found["spark.cores.max"] = str(settings.cores)
    if settings.executor_cores and not settings.on_kubernetes:
        found["spark.executor.cores"] = str(settings.executor_cores)
    if _has_several_executors(settings) and settings.attempts > 1:
        found |= _elsewhere(settings.attempts)
    return found | dict(settings.conf)


def _has_several_executors(settings: SparkSettings) -> bool:
    """Return whether the settings ask for more than one executor. With one, none is left out."""
    if settings.on_kubernetes:
        pods = settings.kubernetes or KubernetesSettings()
        return pods.dynamic_allocation is None and pods.executors > 1
    return 0 < settings.executor_cores < settings.cores


def _elsewhere(attempts: int) -> dict[str, str]:
    """Return settings by which a piece that fails again at one executor is tried at another.

    Spark itself offers it to whichever executor is free, which is the one where it failed, such as
    for a full disk. An executor is left out for this piece only: a busy store fails pieces at all.
    """
    return {
        "spark.excludeOnFailure.enabled": "true",
        "spark.excludeOnFailure.task.maxTaskAttemptsPerExecutor": str(-(-attempts // 2)),
        # Spark wants fewer than all attempts.
        "spark.excludeOnFailure.task.maxTaskAttemptsPerNode": str(attempts - 1),
        "spark.excludeOnFailure.stage.maxFailedTasksPerExecutor": _NEVER,
        "spark.excludeOnFailure.application.maxFailedTasksPerExecutor": _NEVER,
    }


def _search_path() -> str:
    """Return where this process imports user code from: what is not part of its environment."""
    own = (sys.prefix, sys.base_prefix, os.environ.get(installation.SPARK_HOME, sys.prefix))
    folders = [os.path.abspath(entry) for entry in sys.path]  # noqa: PTH100 - "" is this folder
    return os.pathsep.join(entry for entry in folders if not entry.startswith(own))


def _with_attempts(settings: SparkSettings) -> str:
    threads = settings.master.removeprefix("local").strip("[]") or "1"
    return f"local[{threads},{settings.attempts}]"


def _start(settings: SparkSettings, name: str) -> "SparkContext":
    from py4j.protocol import Py4JError
    from pyspark import SparkConf, SparkContext

    # It tells of each connection that it closes.
    logging.getLogger("py4j").setLevel(logging.WARNING)
    # The interpreter and packages of this task, also on the executors: they run the same image.
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ[installation.SPARK_HOME] = str(installation.spark_home())
    conf = SparkConf(loadDefaults=False)
    conf.setAll(list(configuration(settings, name).items()))
    try:
        return SparkContext(conf=conf)
    except Py4JError as error:
        java = getattr(error, "java_exception", None)
        reason = str(java.getMessage() if java is not None else error).splitlines()[0]
        raise RuntimeError(f"Spark did not start: {reason}") from error


def _stop(context: "SparkContext") -> None:
    """Stop the driver, and wait until its Java process has ended."""
    gateway: Any = type(context)._gateway
    process = getattr(gateway, "proc", None)
    try:
        context.stop()
    finally:
        type(context)._gateway = type(context)._jvm = None
        gateway.shutdown()
        if process is not None:
            # It ends when its standard input does.
            process.stdin.close()
            try:
                process.wait(_SECONDS_TO_END)
            except TimeoutError:
                process.kill()


def _require_driver_pod() -> None:
    if SUBMIT_ARGUMENTS not in os.environ:
        raise UserError(
            f"processing.master {KUBERNETES_MASTER}: a task of a pipeline starts the "
            "SparkApplication, and its driver runs the component; here is neither. Use local[*], "
            "or the address of a standalone master."
        )


def _require_master(master: str) -> None:
    """Check that one of the master's addresses answers, which Spark tries for a minute."""
    problems = []
    for address in master.removeprefix("spark://").split(","):
        host, _, port = address.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), _SECONDS_TO_CONNECT).close()
        except (OSError, OverflowError) as error:
            problems.append(f"{address}: {getattr(error, 'strerror', None) or error}")
        else:
            return
    raise UserError(
        f"processing.master {master}: no Spark master answers ({'; '.join(problems)}). Check the "
        "address and the network policy between this pod and the master."
    )


def _wait_for_executors(context: "SparkContext", settings: SparkSettings) -> None:
    deadline = time.monotonic() + settings.wait_seconds
    scheduler: Any = context._jsc.sc()
    # The driver itself is in the list, too.
    while scheduler.getExecutorMemoryStatus().size() < 2:
        if time.monotonic() > deadline:
            raise UserError(_no_executor(settings))
        time.sleep(_SECONDS_BETWEEN_LOOKS)


def _no_executor(settings: SparkSettings) -> str:
    start = f"processing.master {settings.master}: no executor within {settings.wait_seconds} s."
    if settings.on_kubernetes:
        return (
            f"{start} The cluster has no room for the executors' pods, or a quota or a policy "
            "refuses them: see the events of the namespace, kubernetes.executor, executor_cores, "
            "executor_memory and wait_seconds."
        )
    return (
        f"{start} Its workers are busy, or none has {settings.executor_cores or 1} cores and "
        f"{settings.executor_memory} free: see executor_cores, executor_memory and wait_seconds."
    )
