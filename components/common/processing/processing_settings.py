"""Which engine runs a task's folds and maps: the `processing` argument of the data components.

Each engine has keys of its own, and a key of another engine is an error. `tasks` gives single
tasks of a pipeline another document.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from kfp_tabular.components.common import documents
from kfp_tabular.components.common.documents import between, checked, mapping
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.options import option
from kfp_tabular.components.common.processing.kubernetes_settings import KubernetesSettings

DOCUMENT = "processing"

LOCAL, SPARK, BEAM = "local", "spark", "beam"

DATA_TASKS = (
    "ingest-data",
    "validate-data",
    "transform-features",
    "evaluate-model",
    "predict-batch",
)
"""The tasks that process rows, by the names that they have in the project's pipelines."""

KUBERNETES_MASTER = "k8s"
"""Spark on Kubernetes, as a SparkApplication."""

_TASKS = "tasks"
_LOCAL_MASTER = re.compile(r"local(?:\[(?:\*|[1-9][0-9]{0,3})\])?")
_HOST = r"(?:[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:]+\]):[0-9]{1,5}"
_STANDALONE_MASTER = re.compile(rf"spark://{_HOST}(?:,{_HOST})*")
_MEMORY = re.compile(r"[1-9][0-9]*[mg]")
_OWN_CONF = (
    "spark.app.name",
    "spark.master",
    "spark.cores.max",
    "spark.executor.cores",
    "spark.executor.memory",
    "spark.driver.memory",
    "spark.task.maxFailures",
    "spark.python.daemon.module",
    "spark.speculation",
)
"""Spark's settings that the engine makes itself."""

_KUBERNETES_CONF = (
    "spark.kubernetes.",
    "spark.executor.instances",
    "spark.dynamicAllocation.",
    "spark.driver.port",
    "spark.driver.blockManager.port",
    "spark.blockManager.port",
)
"""How those begin that follow from the pods."""


def _check_master(value: str) -> None:
    if value == KUBERNETES_MASTER or _LOCAL_MASTER.fullmatch(value):
        return
    if not _STANDALONE_MASTER.fullmatch(value):
        raise ValueError(
            "expected local[*], local[4], k8s or an address such as spark://spark:7077"
        )


def _check_memory(value: str) -> None:
    if not _MEMORY.fullmatch(value):
        raise ValueError("expected an amount of memory as Spark writes it, such as 800m or 4g")


def _check_conf(values: Mapping[str, str]) -> None:
    for name in values:
        if not name.startswith("spark."):
            raise ValueError(f"{name!r} is not a Spark setting: those begin with 'spark.'")
        if name in _OWN_CONF:
            raise ValueError(f"{name!r} is set by the engine; use a key of {DOCUMENT} instead")


DIRECT_RUNNER, _PRISM_RUNNER, _PORTABLE_RUNNER = "DirectRunner", "PrismRunner", "PortableRunner"
RUNNERS = (DIRECT_RUNNER, _PRISM_RUNNER, _PORTABLE_RUNNER, "FlinkRunner", "DataflowRunner")
"""The runners of Beam that the engine knows."""

_OPTION = re.compile(r"[a-z][a-z0-9_]*")
_OWN_OPTIONS = ("job_name", "runner", "temp_location")
_STAGING_OPTIONS = (
    "extra_package",
    "extra_packages",
    "files_to_stage",
    "requirements_file",
    "save_main_session",
    "setup_file",
)


def _check_options(values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if not _OPTION.fullmatch(name):
            raise ValueError(
                f"{name!r} is no option of Beam; write job_endpoint, not --job-endpoint"
            )
        if name in _OWN_OPTIONS:
            raise ValueError(f"{name!r} is set by the engine; use a key of {DOCUMENT} instead")
        if name in _STAGING_OPTIONS:
            raise ValueError(f"{name!r}: nothing is staged; workers use the image of the task")
        for each in value if isinstance(value, list | tuple) else [value]:
            if not isinstance(each, str | int | float):
                raise ValueError(f"{name!r}: expected a text, a number, true, false or a list")


def _check_temp_location(value: str) -> None:
    if value and not _SHARDS.fullmatch(value):
        raise ValueError("expected an absolute path or a gs://, s3:// or minio:// URI")


_SHARDS = re.compile(r"(?:/|(?:gs|s3|minio)://[^/]).*")


def _check_shards_uri(value: str) -> None:
    if not _SHARDS.fullmatch(value):
        raise ValueError("expected an absolute path or a gs://, s3:// or minio:// URI")


@dataclass(frozen=True)
class EngineSettings:
    """What every engine has.

    Attributes:
        shards_uri: Where tasks that write examples put their shards: below this URI or path, which
            all executors can write to, each attempt in a folder of its own. Empty: in the
            artifact's own folder, which all executors must share then.
    """

    shards_uri: str = checked(_check_shards_uri)


@dataclass(frozen=True)
class LocalSettings(EngineSettings):
    """The engine for one machine, besides `EngineSettings`.

    Attributes:
        threads: The number of threads; 0 for one per processor, at most eight.
    """

    threads: int = checked(between(0, 256), 0)


@dataclass(frozen=True)
class SparkSettings(EngineSettings):
    """The engine that runs on Apache Spark, besides `EngineSettings`.

    Attributes:
        master: `local[*]` (a Spark of its own on this machine, with a task per processor),
            `local[4]`, the address of a standalone master, `spark://host:7077`, or `k8s` (a
            SparkApplication, which the Kubeflow Spark Operator runs).
        cores: The most cores that the task takes of a standalone cluster; 0 for all that are free.
        executor_cores: Cores of each executor; 0 for all of a worker, or two on `k8s`.
        executor_memory: Memory of each executor's Java process, which passes bytes on. Its Python
            processes come on top: one for each core, 300 MB to 1 GB each.
        driver_memory: Memory of the driver's Java process.
        attempts: How often Spark tries a piece before the task fails, such as where executors are
            lost. Bad input is not tried again.
        wait_seconds: How long the task waits for the cluster's first executor.
        conf: Other settings of Spark, by name.
        kubernetes: The pods, for `k8s`; None for its defaults.
    """

    master: str = checked(_check_master, "local[*]")
    cores: int = checked(between(0), 0)
    executor_cores: int = checked(between(0), 0)
    executor_memory: str = checked(_check_memory, "1g")
    driver_memory: str = checked(_check_memory, "1g")
    attempts: int = checked(between(1, 100), 4)
    wait_seconds: int = checked(between(1, 86_400), 300)
    conf: Mapping[str, str] = mapping(_check_conf)
    kubernetes: KubernetesSettings | None = None

    def __post_init__(self) -> None:
        if self.on_kubernetes:
            if self.cores:
                raise ValueError("cores: on k8s, kubernetes.executors x executor_cores decides")
            for name in self.conf:
                if name.startswith(_KUBERNETES_CONF):
                    raise ValueError(f"conf: {name!r} is made from processing.kubernetes")
        elif self.kubernetes is not None:
            raise ValueError(f"kubernetes: only for master k8s; the master is {self.master}")

    @property
    def on_kubernetes(self) -> bool:
        """Whether Spark runs as a SparkApplication."""
        return self.master == KUBERNETES_MASTER

    @property
    def is_local(self) -> bool:
        """Whether Spark runs on this machine, inside the task."""
        return _LOCAL_MASTER.fullmatch(self.master) is not None


@dataclass(frozen=True)
class BeamSettings(EngineSettings):
    """The engine that runs on Apache Beam, besides `EngineSettings`.

    Attributes:
        runner: `DirectRunner` (in the task), `PrismRunner` (the program `options.prism_location`
            beside it), `PortableRunner`
            (a job service at `options.job_endpoint`), `FlinkRunner` or `DataflowRunner`.
        temp_location: Through this path or URI, which the task and all workers can read and write,
            pieces go to the workers, and one result comes back. Empty where the workers are on
            this machine: with `DirectRunner`, and `PrismRunner` as it is.
        options: Beam's own options, by name without hyphens; `true` for a flag, a list for an
            option that is given several times.
    """

    runner: str = checked(documents.one_of(*RUNNERS), DIRECT_RUNNER)
    temp_location: str = checked(_check_temp_location)
    options: Mapping[str, Any] = mapping(_check_options)


Settings: TypeAlias = LocalSettings | SparkSettings | BeamSettings

_ENGINES: Mapping[str, type[LocalSettings] | type[SparkSettings] | type[BeamSettings]] = {
    LOCAL: LocalSettings,
    SPARK: SparkSettings,
    BEAM: BeamSettings,
}

ENGINES = tuple(_ENGINES)
"""The names of the engines."""


@dataclass(frozen=True)
class _Choice:
    engine: str = checked(documents.one_of(*ENGINES), LOCAL)


def parse(document: Mapping[str, Any], task: str = "") -> Settings:
    """Return the settings of a task's engine.

    Args:
        document: A mapping from YAML, JSON or a KFP struct: `engine`, the attributes of its
            settings, and `tasks`. Whole numbers may come as floats.
        task: The task, one of `DATA_TASKS`; empty for what tasks have that are not named.

    Raises:
        UserError: For the first key that is unknown (the message names the closest) or whose
            value does not fit, whichever task it is for.

    Example:
        >>> document = {"engine": "spark", "tasks": {"evaluate-model": {"threads": 2}}}
        >>> parse(document, "validate-data").master, parse(document, "evaluate-model").threads
        ('local[*]', 2)
        >>> parse({"engine": "sparks"})
        Traceback (most recent call last):
        ...
        kfp_tabular.components.common.errors.UserError: processing.engine: expected local, spark or
        beam, found 'sparks'. Did you mean 'spark'?
    """
    general = {key: value for key, value in document.items() if key != _TASKS}
    found = {"": _settings(general, DOCUMENT)}
    source = f"{DOCUMENT}.{_TASKS}"
    tasks = documents.parse(_Tasks, {_TASKS: document.get(_TASKS, {})}, DOCUMENT).tasks
    documents.check_keys(tasks, DATA_TASKS, source)
    for name, given in tasks.items():
        found[name] = _settings(given, f"{source}.{name}")
    return found.get(task, found[""])


def of_task(document: Mapping[str, Any], task: str) -> dict[str, Any]:
    """Return what a document says for one task, as a document without `tasks`.

    Args:
        document: As `parse` takes it.
        task: The task.

    Example:
        >>> of_task({"engine": "spark", "tasks": {"evaluate-model": "local"}}, "evaluate-model")
        {'engine': 'local'}
    """
    own = document.get(_TASKS, {}).get(task)
    if own is None:
        return {key: value for key, value in document.items() if key != _TASKS}
    return dict(own) if isinstance(own, Mapping) else {"engine": own}


@dataclass(frozen=True)
class _Tasks:
    tasks: Mapping[str, Any]


def _settings(document: Any, source: str) -> Settings:
    if not isinstance(document, Mapping):
        document = {"engine": document}
    choice = {"engine": document["engine"]} if "engine" in document else {}
    engine = documents.parse(_Choice, choice, source).engine
    own = {key: value for key, value in document.items() if key != "engine"}
    found = documents.parse(_ENGINES[engine], own, f"{source} ({engine})" if own else source)
    if isinstance(found, BeamSettings):
        _check_together(found, f"{source} ({engine})")
    return found


def _check_together(settings: BeamSettings, source: str) -> None:
    runner, options = settings.runner, settings.options
    # Workers elsewhere, if any.
    is_here = runner in (DIRECT_RUNNER, _PRISM_RUNNER) and not options.get("environment_type")
    if not is_here and not settings.temp_location:
        raise UserError(
            f"{source}: {runner} needs temp_location: a path or URI that the task and all workers "
            "can read and write."
        )
    if runner == _PORTABLE_RUNNER and not options.get("job_endpoint"):
        raise UserError(f"{source}: {runner} needs options.job_endpoint, such as host:8099.")
    if runner == _PRISM_RUNNER and not options.get("prism_location"):
        raise UserError(
            f"{source}: {runner} needs options.prism_location, the path of the program prism: "
            "nothing is downloaded."
        )


def processing_option() -> Any:
    """Return the option `processing`, as every data component has it."""
    return option(
        {},
        """The engine for rows; by default threads of the task. `{"engine": "spark"}` and its
        settings: see the guide on scaling.""",
    )
