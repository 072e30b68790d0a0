"""The InferenceService that `deploy_model` would create, rendered for review and GitOps."""

from typing import Any

from kfp_tabular.components.common import documents, options
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.deployment.kserve.resources import inference_service, model_location
from kfp_tabular.components.deployment.kserve.resources.inference_service import EndpointSpec
from kfp_tabular.components.deployment.kserve.resources.service_settings import (
    BLUE_GREEN,
    ServiceSettings,
)
from kfp_tabular.components.deployment.options import DeploymentOptions

_UNKNOWN_DIGEST = "sha256:00000000"


def render_inference_service(
    deployment: DeploymentOptions,
    model_uri: str,
    *,
    model_digest: str = "",
    schema_digest: str = "",
    namespace: str = "",
    image: str = "",
    source: str = "deploy-model",
) -> dict[str, Any]:
    """Return the InferenceService that `deploy_model(backend="kserve")` would create.

    With strategy `blue_green` it is the first one, blue.

    Args:
        deployment: The arguments of the component.
        model_uri: URI of the model: the artifact's, or that of the published model.
        model_digest: Digest of the model's content, `sha256:<hex>`; empty if not known yet.
        schema_digest: Digest of the schema that the model was trained with; may be empty.
        namespace: Its namespace; empty leaves it out.
        image: The image of the task.
        source: What the arguments are called in messages.

    Raises:
        UserError: If an argument does not fit.

    Example:
        >>> resource = render_inference_service(DeploymentOptions(model_name="taxi"), "s3://m/1")
        >>> resource["kind"], resource["metadata"]["name"]
        ('InferenceService', 'taxi')
    """
    options.check(deployment)
    service = ServiceSettings.parse(deployment.service, f"{source}.service")
    if namespace:
        try:
            documents.label_name(namespace)
        except ValueError as error:
            raise UserError(f"{source}.namespace: {error}, found {namespace!r}.") from error
    storage_uri = model_location.storage_uri(model_uri, f"{source}.model_uri", service.volumes)
    if service.model_registry:
        storage_uri = model_location.registry_uri(deployment)
    spec = EndpointSpec(
        name=deployment.model_name,
        settings=service,
        storage_uri=storage_uri,
        model_digest=model_digest or _UNKNOWN_DIGEST,
        schema_digest=schema_digest,
        run_id=deployment.run_id,
        image=image,
    )
    name = deployment.model_name
    if service.strategy == BLUE_GREEN:
        name = inference_service.color_name(name, inference_service.COLORS[0])
    resource = inference_service.build_inference_service(spec, name)
    if namespace:
        resource["metadata"]["namespace"] = namespace
    return resource
