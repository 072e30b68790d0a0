"""The SparkApplication of a task, and where its results go. Nothing here accesses a cluster."""

from dataclasses import dataclass
from typing import Any

from kfp_tabular.components.common import images, storage
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.kubernetes import names
from kfp_tabular.components.common.kubernetes.client.resource_kinds import SPARK_APPLICATION
from kfp_tabular.components.common.pods import job_pods
from kfp_tabular.components.common.pods.artifact_access import require_reachable
from kfp_tabular.components.common.processing.processing_settings import SparkSettings
from kfp_tabular.components.common.spark_task.spark_application import SparkApplication
from kfp_tabular.components.common.spark_task.task_request import TaskRequest
from kfp_tabular.components.common.storage.job_directory import job_folder

REQUEST, OUTPUT, ARTIFACTS = "request.json", "executor_output.json", "outputs"
"""Names in an application's folder."""

_SHARDS = "kfp-tabular-shards"


@dataclass(frozen=True)
class SparkPlan:
    """An application and its folder.

    Attributes:
        request: What its driver runs.
        application: The application.
        prefix: URI of the folder that belongs to the application.
        resource: The Kubernetes resource to create.
    """

    request: TaskRequest
    application: SparkApplication
    prefix: str
    resource: dict[str, Any]

    def output(self, name: str) -> str:
        """Return where the driver writes an output artifact that is not on a volume."""
        return f"{self.prefix}/{ARTIFACTS}/{name}"


def make(
    request: TaskRequest, settings: SparkSettings, *, image: str = "", run_id: str = ""
) -> SparkPlan:
    """Plan the application of a task.

    Name and folder follow from the run, the component, its inputs and where its outputs go. They
    are the same in every attempt of a task, so that a retried task finds its application.

    Args:
        request: The task.
        settings: Its engine.
        image: The image that the task runs in; empty outside of a cluster.
        run_id: The pipeline run; empty for that in the outputs' URIs.

    Raises:
        UserError: The pods cannot reach an artifact, have too little memory, or no image follows.

    Example:
        >>> def artifact(uri: str) -> dict[str, list[dict[str, str]]]:
        ...     return {"artifacts": [{"name": "", "uri": uri}]}
        >>> processing = {"engine": "spark", "master": "k8s"}
        >>> examples = artifact("s3://b/run-7/ingest-data/1/examples")
        >>> schema = artifact("s3://b/run-7/validate-data/2/schema")
        >>> inputs = {"artifacts": {"examples": examples}}
        >>> inputs["parameterValues"] = {"processing": processing}
        >>> executor_input = {"inputs": inputs, "outputs": {"artifacts": {"schema": schema}}}
        >>> plan = make(
        ...     TaskRequest("kfp_tabular.components.data_validation:validate_data", executor_input),
        ...     SparkSettings(master="k8s"),
        ...     run_id="run-7",
        ... )
        >>> plan.resource["kind"], plan.prefix
        ('SparkApplication', 's3://b/run-7/kfp-tabular-jobs/validate-data-...')
    """
    outputs = request.outputs
    pods = settings.kubernetes
    volumes = pods.volumes if pods else ()
    for name, uri in request.inputs.items():
        require_reachable(name, uri, volumes, document="processing.kubernetes")
    for name, uri in outputs.items():
        require_reachable(name, uri, volumes, writes=True, document="processing.kubernetes")
    first = next(iter(outputs.values()))
    run_id = run_id or names.run_of(first)
    given = (request.component, request.parameters, request.inputs, outputs)
    identity = names.Identity(run_id, request.task, names.input_digest(*given))
    name = identity.name(SPARK_APPLICATION)
    prefix = f"{job_folder(first, run_id)}/{name}"
    if storage.is_remote(first):
        request = request.with_shards_uri(f"{job_folder(first, run_id, _SHARDS)}/{name}")
    application = SparkApplication(
        name=name,
        settings=settings,
        arguments=(f"--request={prefix}/{REQUEST}",),
        image=_image(settings, image),
        labels=identity.labels(),
        stores=job_pods.schemes([request.to_json(), prefix]),
    )
    try:
        resource = application.build()
    except ValueError as error:
        raise UserError(f"processing.{error}.") from error
    return SparkPlan(request, application, prefix, resource)


def _image(settings: SparkSettings, of_task: str) -> str:
    if settings.kubernetes and settings.kubernetes.image:
        return settings.kubernetes.image
    if not of_task:
        return images.SPARK
    found = images.beside(of_task, "spark")
    if not found:
        raise UserError(
            f"processing.kubernetes.image is missing: this task's image, {of_task}, has a digest, "
            "from which that of the image spark does not follow. Name it, with Spark and this "
            "package in it."
        )
    return found
