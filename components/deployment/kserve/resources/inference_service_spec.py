"""What an InferenceService says of itself, and what a change makes of it. It asks no cluster."""

from typing import Any

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.kubernetes import names
from kfp_tabular.components.common.kubernetes.client.kinds import Object
from kfp_tabular.components.deployment.kserve.resources import inference_service_status
from kfp_tabular.components.deployment.kserve.resources.inference_service import (
    KEYS_ANNOTATIONS,
    OWN_PREFIX,
    ROLLOUT_LABEL,
    URI_ANNOTATION,
)
from kfp_tabular.components.deployment.kserve.resources.service_settings import (
    ServiceSettings,
)


def digest(resource: Object) -> str:
    """Gives what a resource was made of; empty where it is not this project's."""
    annotations = resource["metadata"].get("annotations") or {}
    return str(annotations.get(names.DIGEST_ANNOTATION) or "")


def is_same(resource: Object, wanted: Object) -> bool:
    """Tells whether an InferenceService serves what is wanted.

    Args:
        resource: As it is. Somebody may have changed it by hand since it was made.
        wanted: As it should be.
    """
    annotations = resource["metadata"].get("annotations") or {}
    return (
        bool(digest(wanted))
        and digest(resource) == digest(wanted)
        and annotations.get(URI_ANNOTATION) == storage_uri(resource)
        and rollout(resource) == rollout(wanted)
    )


def storage_uri(resource: Object) -> str:
    """Gives the address of an InferenceService's model."""
    predictor = resource["spec"].get("predictor") or {}
    if "model" in predictor:
        return str(predictor["model"].get("storageUri") or "")
    for container in predictor.get("containers") or ():
        for entry in container.get("env") or ():
            if entry["name"] == "STORAGE_URI":
                return str(entry.get("value") or "")
    return ""


def rollout(resource: Object) -> str:
    """Gives the label that an InferenceService's pods have."""
    labels = (resource["spec"].get("predictor") or {}).get("labels") or {}
    return str(labels.get(ROLLOUT_LABEL) or "")


def rollout_of(pod: Object) -> str:
    """Gives the label of a pod."""
    return label(pod, ROLLOUT_LABEL)


def placed(resource: Object, wanted: Object) -> Object:
    """Gives a resource with the spec of another, and its labels and annotations.

    What others have added stays; what this project had added goes.
    """
    metadata = dict(resource["metadata"])
    before = metadata.get("annotations") or {}
    for what, note in KEYS_ANNOTATIONS.items():
        ours = wanted["metadata"].get(what) or {}
        made = str(before.get(note) or "").split(",")
        others = {
            key: value
            for key, value in (metadata.get(what) or {}).items()
            if not key.startswith(OWN_PREFIX) and key not in made
        }
        metadata[what] = {**others, **ours}
    return {**resource, "metadata": metadata, "spec": dict(wanted["spec"])}


def snapshot(resource: Object) -> dict[str, Any]:
    """Gives what it takes to restore a resource."""
    metadata = resource["metadata"]
    annotations = dict(metadata.get("annotations") or {})
    annotations.pop("kubectl.kubernetes.io/last-applied-configuration", None)
    return {
        "metadata": {"labels": dict(metadata.get("labels") or {}), "annotations": annotations},
        "spec": dict(resource["spec"]),
    }


def with_share(resource: Object, percent: int | None) -> Object:
    """Gives an InferenceService whose newest revision gets a share of the traffic.

    Args:
        resource: The InferenceService.
        percent: The share; None for all of it.
    """
    predictor = dict(resource["spec"]["predictor"])
    predictor.pop("canaryTrafficPercent", None)
    if percent is not None:
        predictor["canaryTrafficPercent"] = percent
    return {**resource, "spec": {**resource["spec"], "predictor": predictor}}


def share_of(resource: Object) -> int | None:
    """Gives the share of the traffic that an InferenceService asks for its newest revision."""
    percent = resource["spec"]["predictor"].get("canaryTrafficPercent")
    return None if percent is None else int(percent)


def check_mode(resource: Object, settings: ServiceSettings) -> None:
    """Refuses to change an InferenceService's deployment mode, as KServe does.

    Raises:
        UserError: It would change.
    """
    mode = inference_service_status.read(resource).mode
    if mode and mode != settings.mode:
        raise UserError(
            f"InferenceService {resource['metadata']['name']} is in deployment mode {mode}, which "
            f"KServe does not change to {settings.mode}. Set service.deployment_mode and "
            "service.strategy to fit, choose another model_name, or delete it."
        )


def is_managed(resource: Object) -> bool:
    """Tells whether a resource is this project's."""
    return label(resource, names.MANAGED_BY_LABEL) == names.MANAGED_BY


def label(resource: Object, name: str) -> str:
    """Gives the value of a label; empty where there is none."""
    return str((resource["metadata"].get("labels") or {}).get(name) or "")
