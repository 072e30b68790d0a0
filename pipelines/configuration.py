"""The compile-time configuration of a pipeline: images, pod settings, parameter defaults.

What changes from run to run is a parameter of the pipeline instead.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from kfp_tabular.components.common import documents, images
from kfp_tabular.components.common.documents import checked, required
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.pods.pod_settings import PodSettings
from kfp_tabular.components.common.pods.quantities import check_positive, check_size
from kfp_tabular.components.common.pods.secrets import Secret
from kfp_tabular.components.common.pods.variables import check_variables
from kfp_tabular.components.common.pods.volumes import Volume
from kfp_tabular.pipelines.task_definitions import component_of

IMAGES = {
    "tensorflow": images.TENSORFLOW,
    "tfdv": images.TFDV,
    "launcher": images.LAUNCHER,
    "serving": images.SERVING,
    "spark": images.SPARK,
}

AUTO, ALWAYS, NEVER = "auto", "always", "never"

_ACCESS_MODES = ("ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod")


@dataclass(frozen=True)
class TaskVolume(Volume):
    """A PersistentVolumeClaim that a task's pod mounts.

    Attributes:
        prepare: Whether a task at the start of the run makes the volume writable for the group of
            the tasks, in a pod that runs as root: for volumes that belong to root, where the
            cluster sets no `fsGroup`.
    """

    prepare: bool = False


@dataclass(frozen=True)
class TaskConfig(PodSettings):
    """What a task's pod asks for, besides `PodSettings`.

    Attributes:
        image: The name of another of the project's images, such as `launcher`, or a reference.
        cpu: Cores, as Kubernetes writes them: `2` or `500m`. Empty for the cluster's default.
        memory: Memory with its unit, such as `4G` or `512Mi`. Empty for the cluster's default.
        retries: How often a failed task is tried again.
        retry_wait: Before the first retry; a duration.
        retry_factor: Each further wait is this many times the last.
        retry_wait_limit: The longest wait.
        timeout: How long a pod may run: a duration such as `30m` or `4h`. Empty for the
            component's default, 0 for no limit.
        caching: Whether an earlier result for the same inputs is used again.
        env: Environment variables. Not for secrets: the compiled spec would hold them.
        secrets: Kubernetes Secrets to use.
        volumes: PersistentVolumeClaims to mount.
        run_as_user: The user id of the task's process, above 0; None for the image's, 10001.
        run_as_group: Its group id; None for the image's, 0.
    """

    image: str = ""
    cpu: str = checked(check_positive)
    memory: str = checked(check_size)
    retries: int = checked(documents.at_least(0), 0)
    retry_wait: str = checked(documents.duration, "60s")
    retry_factor: float = checked(documents.at_least(1), 2.0)
    retry_wait_limit: str = checked(documents.duration, "1h")
    timeout: str = checked(documents.duration)
    caching: bool = True
    env: Mapping[str, str] = documents.mapping(check_variables)
    secrets: tuple[Secret, ...] = ()
    volumes: tuple[TaskVolume, ...] = ()
    run_as_user: int | None = checked(documents.between(1), None)
    run_as_group: int | None = checked(documents.between(0), None)


@dataclass(frozen=True)
class Workspace:
    """A volume that the tasks of one run share, which KFP makes and removes.

    Attributes:
        size: Its size, such as `50Gi`.
        storage_class: Its storage class; empty for the cluster's default.
        access_modes: How it can be mounted; empty for KFP's default.
    """

    size: str = required(check_size)
    storage_class: str = ""
    access_modes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for mode in self.access_modes:
            documents.one_of(*_ACCESS_MODES)(mode)


@dataclass(frozen=True)
class PipelineConfig:
    """The compile-time configuration of a pipeline.

    Attributes:
        registry: Where the project's images are, in place of the public registry.
        tag: Their tag, in place of this version's.
        images: By the image's name (`tensorflow`, `tfdv`, `launcher`, `serving`, `spark`), a
            whole reference with tag or digest, which wins over `registry` and `tag`; or a digest
            alone, `sha256:...`, which takes the place of the tag.
        defaults: What every task's pod asks for.
        tasks: What single tasks' pods ask for, by the task's name; a key given here replaces the
            same key of `defaults`. Where a pipeline has a component twice, `train-model` serves
            all of its tasks, and `train-model-2` replaces single keys for the second one.
        service_account: The account that runs are submitted with. Not part of the spec: `submit`
            and `schedule` pass it on.
        timeout: How long a run may take; a duration, empty for no limit.
        keep_finished: How long Kubernetes keeps a finished run's pods; a duration, empty for the
            cluster's setting. KFP's record and the artifacts stay.
        workspace: A volume for the tasks of a run.
        check_destinations: Whether a task at the start of a run checks that the places which it
            writes to late can be written (`model_repository`, `study_directory`,
            `checkpoint_uri`): `auto`: where one may be on a mounted volume or in an object store;
            `always`; `never`.
        check_parameters: Whether a task checks parameters against the data right after ingestion:
            `auto`: where the Workflow has room for it; `always`; `never`.
        parameters: Defaults for the pipeline's run-time parameters.
        locked: Values of parameters that no run may change: the compiled spec holds them as
            constants, and does not have these parameters. Not for secrets.
    """

    registry: str = ""
    tag: str = checked(images.check_tag)
    images: Mapping[str, str] = field(default_factory=dict)
    defaults: TaskConfig = field(default_factory=TaskConfig)
    tasks: Mapping[str, TaskConfig] = field(default_factory=dict)
    service_account: str = checked(documents.resource_name)
    timeout: str = checked(documents.duration)
    keep_finished: str = checked(documents.duration)
    workspace: Workspace | None = None
    check_destinations: str = checked(documents.one_of(AUTO, ALWAYS, NEVER), AUTO)
    check_parameters: str = checked(documents.one_of(AUTO, ALWAYS, NEVER), AUTO)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    locked: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in self.locked:
            if name in self.parameters:
                raise ValueError(f"{name!r} is in both parameters and locked; give it in one")

    def task(self, name: str) -> TaskConfig:
        """Return what a task's pod asks for.

        Args:
            name: The task's name. A further task of a component, such as `train-model-2`, has the
                first one's settings unless it has its own.

        Example:
            >>> config = PipelineConfig(tasks={"train-model": TaskConfig(memory="8G")})
            >>> config.task("train-model-2").memory, config.task("evaluate-model").memory
            ('8G', '')
        """
        return self.tasks.get(name) or self.tasks.get(component_of(name)) or self.defaults

    def image(self, task: str, default: str) -> str:
        """Return the reference of the image that a task runs in.

        Args:
            task: The task's name.
            default: The name of the project's image that the task runs in where the configuration
                names no other.

        Example:
            >>> PipelineConfig(registry="registry.example.com/ml", tag="1.0").image(
            ...     "validate-data", "tfdv"
            ... )
            'registry.example.com/ml/tfdv:1.0'
        """
        wanted = self.task(task).image or default
        if wanted not in IMAGES:
            return wanted
        given = self.images.get(wanted, "")
        if images.is_digest(given):
            return images.reference(wanted, self.registry, digest=given)
        if given:
            return given
        return images.reference(wanted, self.registry, self.tag)


def load(path: Path, tasks: Collection[str]) -> PipelineConfig:
    """Read a configuration from a YAML file.

    Args:
        path: A file whose keys are the attributes of `PipelineConfig`, all optional.
        tasks: The names of the pipeline's tasks.

    Raises:
        UserError: Where the file cannot be read, a key is unknown (the message names the closest)
            or a value does not fit.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "pipeline.yaml"
        ...     _ = path.write_text("tasks: {train-model: {cpu: 4}}", encoding="utf-8")
        ...     load(path, ["train-model"]).task("train-model").cpu
        '4'
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not YAML: not valid UTF-8.") from error
    except yaml.YAMLError as error:
        raise UserError(f"{path}{_place(error)}: not YAML: {_problem(error)}.") from error
    return parse(document or {}, str(path), tasks)


def _place(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    return f" line {mark.line + 1}, column {mark.column + 1}" if mark else ""


def _problem(error: yaml.YAMLError) -> str:
    return str(getattr(error, "problem", None) or error)


def parse(document: Any, source: str, tasks: Collection[str]) -> PipelineConfig:
    """Check a configuration document.

    Args:
        document: The content of the YAML file.
        source: How to name it in an error.
        tasks: The names of the pipeline's tasks.

    Raises:
        UserError: As for `load`.

    Example:
        >>> parse({"tasks": {"train-model": {"memory": "8G"}}}, "a.yaml", ["train-model"]).task(
        ...     "train-model"
        ... ).memory
        '8G'
    """
    if isinstance(document, Mapping):
        document = {**document, "tasks": _with_defaults(document, source, tasks)}
    config = documents.parse(PipelineConfig, document, source)
    documents.check_keys(config.images, IMAGES, f"{source}: images")
    for name, reference in config.images.items():
        if not images.is_digest(reference):
            _is_reference(reference, f"{source}: images.{name}")
    for name, task in {"defaults": config.defaults, **config.tasks}.items():
        if task.image and task.image not in IMAGES:
            _is_reference(task.image, f"{source}: {name}.image")
    return config


def _with_defaults(document: Mapping[str, Any], source: str, known: Collection[str]) -> Any:
    """Return the tasks' documents, completed by those of their components and by `defaults`."""
    tasks, defaults = document.get("tasks", {}), document.get("defaults", {})
    if not isinstance(tasks, Mapping) or not isinstance(defaults, Mapping):
        return tasks
    if tasks and not known:
        raise UserError(
            f"{source}: tasks: no task of the pipeline is a component of this project; set the "
            "resources of other tasks, and of those in nested pipelines, in the pipeline's "
            "function."
        )
    documents.check_keys(tasks, known, f"{source}: tasks")
    completed = {}
    for name, task in tasks.items():
        first = tasks.get(component_of(name), {})
        if isinstance(task, Mapping) and isinstance(first, Mapping):
            completed[name] = {**defaults, **first, **task}
        else:
            completed[name] = task
    return completed


def _is_reference(reference: str, source: str) -> None:
    if not images.is_reference(reference):
        hint = ""
        if reference.startswith("sha"):
            hint = " A digest is sha256: and 64 hexadecimal digits; alone it is for 'images'."
        raise UserError(
            f"{source}: expected an image reference such as registry.example.com/ml/tfdv:1.0, or "
            f"one of {', '.join(IMAGES)}; found {reference!r}.{hint}"
        )
