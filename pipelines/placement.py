"""Applies the configuration to the tasks of a pipeline: images, time-outs, pod settings."""

import copy
import functools
import logging
from collections.abc import Mapping
from typing import Any

from kfp import dsl, kubernetes
from kfp.dsl.graph_component import GraphComponent
from kfp.dsl.pipeline_context import Pipeline

from kfp_tabular import components
from kfp_tabular.components.common import documents, images
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.task import task_process
from kfp_tabular.pipelines import destination_checks, parameter_tasks, task_definitions
from kfp_tabular.pipelines.configuration import PipelineConfig, TaskConfig, Workspace
from kfp_tabular.pipelines.task_definitions import TaskDefinition

_logger = logging.getLogger(__name__)


def apply(
    pipeline: GraphComponent, config: PipelineConfig, tasks: Mapping[str, TaskDefinition]
) -> GraphComponent:
    """Return a pipeline with the configuration applied to the tasks of this project's components.

    Other tasks stay as they are, and so do those of pipelines that are nested in this one, which a
    warning says where the configuration has something for all tasks. The
    configuration wins over what the pipeline's function sets on a task; where the configuration is
    silent, the function's settings stay.

    Args:
        pipeline: A function decorated with `@dsl.pipeline`.
        config: The configuration.
        tasks: The definitions of tasks by name; those of the component for a task left out.

    Raises:
        UserError: For an image that is not pinned, or an amount that KFP cannot express.

    Example:
        >>> from kfp_tabular.pipelines import spec
        >>> from kfp_tabular.pipelines.validation.pipeline import validation_pipeline
        >>> config = PipelineConfig(images={"tfdv": "registry.example.com/checks:2.1"})
        >>> spec.tasks(spec.of(apply(validation_pipeline, config, {})))["validate-data"]
        'registry.example.com/checks:2.1'
    """
    function = pipeline.pipeline_func

    # KFP records tasks while it calls the function, so they are at hand when the call is over.
    @functools.wraps(function)
    def placed(*given: Any, **named: Any) -> Any:
        outputs = function(*given, **named)
        for name, task in Pipeline.get_default_pipeline().tasks.items():
            definition = tasks.get(name) or definition_of(task)
            if definition is not None:
                place(task, config, definition)
            elif _has_components(task) and _is_for_all_tasks(config):
                _logger.warning(
                    "%s is a nested pipeline: registry, tag, images and defaults of the "
                    "configuration do not reach the tasks in it. Set their images and resources "
                    "in its function.",
                    name,
                )
        recorded = Pipeline.get_default_pipeline().tasks
        for task in destination_checks.add(recorded, config, pipeline):
            # The settings of its pod are those of the tasks that it checks for.
            _work(task, config, task_definitions.of_component("check_destinations"))
        check = parameter_tasks.add(recorded, config)
        if check is not None:
            place(check, config, task_definitions.of_component("check_parameters"))
        return outputs

    info = pipeline.pipeline_spec.pipeline_info
    return dsl.pipeline(
        placed,
        name=info.name,
        description=pipeline.component_spec.description,
        display_name=info.display_name or None,
        pipeline_config=_pipeline_config(pipeline.pipeline_config, config),
    )


def _has_components(task: dsl.PipelineTask) -> bool:
    """Whether a task is a nested pipeline with components of this project in it."""
    nested = task.pipeline_spec
    return nested is not None and task_process.MODULE in str(nested.deployment_spec)


def _is_for_all_tasks(config: PipelineConfig) -> bool:
    return bool(config.registry or config.tag or config.images or config.defaults != TaskConfig())


def definition_of(task: dsl.PipelineTask) -> TaskDefinition | None:
    """Return the defaults of a task's component; None where it is not one of this project's.

    Example:
        >>> @dsl.pipeline
        ... def ingestion(data_uri: str):
        ...     print(definition_of(components.ingest_data(data_uri=data_uri)).timeout)
        1h
    """
    name = task.component_spec.name.replace("-", "_")
    if name not in components.COMPONENTS:
        return None
    if getattr(components, name).component_spec is not task.component_spec:
        return None
    return task_definitions.of_component(name)


def task_definitions_of(pipeline: GraphComponent) -> dict[str, TaskDefinition]:
    """Return the tasks of a pipeline that are components of this project, with their defaults.

    Example:
        >>> from kfp_tabular.pipelines.validation.pipeline import validation_pipeline
        >>> found = task_definitions_of(validation_pipeline)
        >>> {name: definition.image for name, definition in found.items()}
        {'ingest-data': 'tensorflow', 'validate-data': 'tfdv'}
    """
    found: dict[str, TaskDefinition] = {}
    function = pipeline.pipeline_func

    @functools.wraps(function)
    def observed(*given: Any, **named: Any) -> Any:
        outputs = function(*given, **named)
        for name, task in Pipeline.get_default_pipeline().tasks.items():
            definition = definition_of(task)
            if definition is not None:
                found[name] = definition
        return outputs

    dsl.pipeline(observed, pipeline_config=pipeline.pipeline_config)
    return found


def place(
    task: dsl.PipelineTask, config: PipelineConfig, definition: TaskDefinition
) -> dsl.PipelineTask:
    """Set a task's image and what its pod asks for.

    Args:
        task: A task of a component of this project.
        config: The pipeline's configuration.
        definition: The task's defaults.

    Returns:
        The same task.

    Raises:
        UserError: For an image that is not pinned, or an amount that KFP cannot express.

    Example:
        >>> config = PipelineConfig(registry="registry.example.com/ml", tag="1.0")
        >>> @dsl.pipeline
        ... def ingestion(data_uri: str):
        ...     task = components.ingest_data(data_uri=data_uri)
        ...     print(place(task, config, definition_of(task)).container_spec.image)
        registry.example.com/ml/tensorflow:1.0
    """
    _work(task, config, definition)
    wanted = config.task(task.name)
    for name, value in wanted.env.items():
        task.set_env_variable(name, value)
    _scheduling(task, wanted)
    _mounts(task, wanted)
    if wanted.run_as_user is not None or wanted.run_as_group is not None:
        kubernetes.set_security_context(
            task, run_as_user=wanted.run_as_user, run_as_group=wanted.run_as_group
        )
    return task


def _work(task: dsl.PipelineTask, config: PipelineConfig, definition: TaskDefinition) -> None:
    """Set a task's image, resources, retries, caching and time-out."""
    wanted = config.task(task.name)
    _image(task, config, definition)
    try:
        _resources(task, wanted)
    except ValueError as error:
        raise UserError(f"tasks.{task.name}: {error}") from error
    if wanted.retries:
        task.set_retry(
            wanted.retries,
            backoff_duration=f"{documents.seconds(wanted.retry_wait)}s",
            backoff_factor=wanted.retry_factor,
            backoff_max_duration=f"{documents.seconds(wanted.retry_wait_limit)}s",
        )
    if not wanted.caching or definition.acts_on_world:
        task.set_caching_options(False)
    _timeout(task, wanted.timeout, definition)


def _image(task: dsl.PipelineTask, config: PipelineConfig, definition: TaskDefinition) -> None:
    chosen = task.container_spec.image
    is_default = chosen == task.component_spec.implementation.container.image
    if is_default or config.task(task.name).image:
        chosen = config.image(task.name, definition.image)
        task.set_container_image(chosen)
    if not images.is_reference(chosen):
        raise UserError(
            f"the image of {task.name}, {chosen!r}, is not a valid reference; expected one such as "
            "registry.example.com/ml/tfdv:1.0. Check registry, tag and images."
        )
    if not images.is_pinned(chosen):
        raise UserError(
            f"the image of {task.name}, {chosen!r}, is not pinned; give it a version tag or a "
            "digest: 'latest' can run different code tomorrow."
        )


def _timeout(task: dsl.PipelineTask, wanted: str, definition: TaskDefinition) -> None:
    is_set = "activeDeadlineSeconds" in task.platform_config.get("kubernetes", {})
    limit = documents.seconds(wanted or ("" if is_set else definition.timeout))
    # A limit of 0 takes away the one that the pipeline's function has set.
    if limit or (wanted and is_set):
        kubernetes.set_timeout(task, limit)


def _resources(task: dsl.PipelineTask, wanted: TaskConfig) -> None:
    if wanted.cpu:
        task.set_cpu_request(wanted.cpu).set_cpu_limit(wanted.cpu)
    if wanted.memory:
        task.set_memory_request(wanted.memory).set_memory_limit(wanted.memory)
    if wanted.gpus:
        task.set_accelerator_type(wanted.gpu_resource).set_accelerator_limit(wanted.gpus)


def _scheduling(task: dsl.PipelineTask, wanted: TaskConfig) -> None:
    for key, value in wanted.node_selector.items():
        kubernetes.add_node_selector(task, key, value)
    for toleration in wanted.tolerations:
        kubernetes.add_toleration(
            task,
            key=toleration.key or None,
            operator=toleration.operator,
            value=toleration.value or None,
            effect=toleration.effect or None,
            toleration_seconds=toleration.seconds,
        )
    for key, value in wanted.labels.items():
        kubernetes.add_pod_label(task, key, value)
    for key, value in wanted.annotations.items():
        kubernetes.add_pod_annotation(task, key, value)
    if wanted.image_pull_secrets:
        kubernetes.set_image_pull_secrets(task, list(wanted.image_pull_secrets))
    if wanted.image_pull_policy:
        kubernetes.set_image_pull_policy(task, wanted.image_pull_policy)


def _mounts(task: dsl.PipelineTask, wanted: TaskConfig) -> None:
    for secret in wanted.secrets:
        if secret.env:
            kubernetes.use_secret_as_env(task, secret.name, dict(secret.env), secret.optional)
        if secret.mount_path:
            kubernetes.use_secret_as_volume(task, secret.name, secret.mount_path, secret.optional)
    for volume in wanted.volumes:
        kubernetes.mount_pvc(task, volume.claim, volume.mount_path, volume.sub_path)


def _pipeline_config(own: dsl.PipelineConfig | None, config: PipelineConfig) -> dsl.PipelineConfig:
    """Return KFP's settings of the pipeline as a whole; the configuration wins over its own."""
    merged = copy.copy(own) if own is not None else dsl.PipelineConfig()
    if config.workspace:
        merged.workspace = _workspace(config.workspace)
    if documents.seconds(config.keep_finished):
        kept = documents.seconds(config.keep_finished)
        # Kubeflow's defaults for all Workflows set each of them to an hour, and Argo prefers the
        # last two to the first.
        merged.ttl_seconds_after_finished = kept
        merged.ttl_seconds_after_success = merged.ttl_seconds_after_failure = kept
    if documents.seconds(config.timeout):
        merged.active_deadline_seconds = documents.seconds(config.timeout)
    return merged


def _workspace(wanted: Workspace) -> dsl.WorkspaceConfig:
    patch: dict[str, object] = {}
    if wanted.storage_class:
        patch["storageClassName"] = wanted.storage_class
    if wanted.access_modes:
        patch["accessModes"] = list(wanted.access_modes)
    return dsl.WorkspaceConfig(wanted.size, dsl.KubernetesWorkspaceConfig(pvcSpecPatch=patch))
