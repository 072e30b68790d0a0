"""Gives the InferenceService that the task would create, for review and GitOps."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kfp_tabular.components.common import documents
from kfp_tabular.components.deployment.kserve.resources import (
    inference_service,
    model_location,
)
from kfp_tabular.components.deployment.kserve.resources.inference_service import Wanted
from kfp_tabular.components.deployment.kserve.resources.service_settings import (
    BLUE_GREEN,
    ServiceSettings,
)

_UNKNOWN = "sha256:00000000"


@dataclass(frozen=True)
class Config:
    """The arguments of `deploy_model` that an InferenceService depends on.

    Attributes:
        model_name: The endpoint's name.
        model_uri: URI of the model: the artifact, or what was published.
        model_digest: Of the model's content, `sha256:<hex>`; empty where it is not known yet.
        schema_digest: Of the schema that the model was trained with, `sha256:<hex>`.
        namespace: Where it would be; empty to leave it out.
        run_id: The pipeline run.
        image: The image of the task.
        service: See the component.
    """

    model_name: str
    model_uri: str
    model_digest: str = ""
    schema_digest: str = ""
    namespace: str = field(default="", metadata={"check": documents.label_name})
    run_id: str = ""
    image: str = ""
    service: Mapping[str, Any] = field(default_factory=dict)


def render_inference_service(config: Any, source: str = "config") -> dict[str, Any]:
    """Gives the InferenceService that `deploy_model(backend="kserve")` would create.

    Of blue-green it is the first one, blue.

    Args:
        config: A mapping from YAML or JSON; keys are those of `Config`.
        source: How to name it in an error.

    Raises:
        UserError: For a key that is unknown or whose value does not fit.
    """
    given = documents.parse(Config, config, source)
    service = ServiceSettings.parse(given.service, f"{source}.service")
    wanted = Wanted(
        name=given.model_name,
        settings=service,
        storage_uri=model_location.storage_uri(
            given.model_uri, f"{source}.model_uri", service.volumes
        ),
        model_digest=given.model_digest or _UNKNOWN,
        schema_digest=given.schema_digest,
        run_id=given.run_id,
        image=given.image,
    )
    name = given.model_name
    if service.strategy == BLUE_GREEN:
        name = inference_service.color_name(name, inference_service.COLORS[0])
    resource = inference_service.build_inference_service(wanted, name)
    if given.namespace:
        resource["metadata"]["namespace"] = given.namespace
    return resource
