"""Puts the configuration of a task's pod on the KFP task."""

from kfp import dsl, kubernetes

from kfp_tabular.components.common import documents
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.pipelines.training.config import (
    TIMEOUTS,
    UNCACHED,
    PipelineConfig,
    TaskConfig,
    Workspace,
)


def place(task: dsl.PipelineTask, config: PipelineConfig) -> dsl.PipelineTask:
    """Gives a task its image and what its pod asks for.

    Args:
        task: A task of the training pipeline.
        config: The pipeline's configuration.

    Returns:
        The same task.

    Raises:
        UserError: For an amount that KFP cannot express.
    """
    wanted = config.task(task.name)
    task.set_container_image(config.image(task.name))
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
    if not wanted.caching or task.name in UNCACHED:
        task.set_caching_options(False)
    for name, value in wanted.env.items():
        task.set_env_variable(name, value)
    limit = documents.seconds(wanted.timeout or TIMEOUTS[task.name])
    if limit:
        kubernetes.set_timeout(task, limit)
    _scheduling(task, wanted)
    _mounts(task, wanted)
    return task


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


def pipeline_config(config: PipelineConfig) -> dsl.PipelineConfig:
    """Gives KFP's settings of the pipeline as a whole: time limits and the workspace."""
    return dsl.PipelineConfig(
        workspace=_workspace(config.workspace) if config.workspace else None,
        ttl_seconds_after_finished=documents.seconds(config.keep_finished) or None,
        active_deadline_seconds=documents.seconds(config.timeout) or None,
    )


def _workspace(wanted: Workspace) -> dsl.WorkspaceConfig:
    patch: dict[str, object] = {}
    if wanted.storage_class:
        patch["storageClassName"] = wanted.storage_class
    if wanted.access_modes:
        patch["accessModes"] = list(wanted.access_modes)
    return dsl.WorkspaceConfig(wanted.size, dsl.KubernetesWorkspaceConfig(pvcSpecPatch=patch))
