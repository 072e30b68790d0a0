"""Reading and changing the spec, labels and annotations of an InferenceService, as plain data."""

from typing import Any

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.kubernetes import names
from kfp_tabular.components.common.kubernetes.client.resource_kinds import Object
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
    """Return the digest of what a resource was made of; empty if it is not this project's.

    Example:
        >>> digest({"metadata": {"annotations": {"kfp-tabular.dev/spec-digest": "0123abcd"}}})
        '0123abcd'
    """
    annotations = resource["metadata"].get("annotations") or {}
    return str(annotations.get(names.DIGEST_ANNOTATION) or "")


def is_same(resource: Object, wanted: Object) -> bool:
    """Return whether an InferenceService serves what it should.

    Args:
        resource: As it is. It may have been changed by hand since it was created.
        wanted: As it should be.

    Example:
        >>> from kfp_tabular.components.deployment.kserve.resources import inference_service
        >>> spec = inference_service.EndpointSpec("taxi", ServiceSettings(), "s3://m/1", "sha256:0")
        >>> wanted = inference_service.build_inference_service(spec)
        >>> changed_by_hand = {**wanted, "spec": {"predictor": {}}}
        >>> is_same(wanted, wanted), is_same(changed_by_hand, wanted)
        (True, False)
    """
    annotations = resource["metadata"].get("annotations") or {}
    return (
        bool(digest(wanted))
        and digest(resource) == digest(wanted)
        and annotations.get(URI_ANNOTATION) == storage_uri(resource)
        and rollout(resource) == rollout(wanted)
    )


def storage_uri(resource: Object) -> str:
    """Return the URI of an InferenceService's model.

    Example:
        >>> storage_uri({"spec": {"predictor": {"model": {"storageUri": "s3://models/taxi"}}}})
        's3://models/taxi'
    """
    predictor = resource["spec"].get("predictor") or {}
    if "model" in predictor:
        return str(predictor["model"].get("storageUri") or "")
    for container in predictor.get("containers") or ():
        for entry in container.get("env") or ():
            if entry["name"] == "STORAGE_URI":
                return str(entry.get("value") or "")
    return ""


def rollout(resource: Object) -> str:
    """Return the rollout label that an InferenceService gives its pods.

    Example:
        >>> rollout({"spec": {"predictor": {"labels": {"kfp-tabular.dev/rollout": "4f1c"}}}})
        '4f1c'
    """
    labels = (resource["spec"].get("predictor") or {}).get("labels") or {}
    return str(labels.get(ROLLOUT_LABEL) or "")


def rollout_of(pod: Object) -> str:
    """Return the rollout label of a pod.

    Example:
        >>> rollout_of({"metadata": {"labels": {"kfp-tabular.dev/rollout": "4f1c"}}})
        '4f1c'
    """
    return label(pod, ROLLOUT_LABEL)


def replaced(resource: Object, wanted: Object) -> Object:
    """Return a resource with the spec, labels and annotations of another.

    Labels and annotations that others have added stay; those that this project had added and the
    other resource lacks are removed.

    Example:
        >>> before = {"metadata": {"labels": {"team": "fares", "kfp-tabular.dev/rollout": "4f1c"}}}
        >>> wanted = {"metadata": {"labels": {"kfp-tabular.dev/rollout": "9a02"}}, "spec": {}}
        >>> replaced(before, wanted)["metadata"]["labels"]
        {'team': 'fares', 'kfp-tabular.dev/rollout': '9a02'}
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
    """Return the parts of a resource that restore it.

    Example:
        >>> metadata = {"name": "taxi", "uid": "77d0", "labels": {"team": "fares"}}
        >>> snapshot({"metadata": metadata, "spec": {"predictor": {}}, "status": {"url": "..."}})
        {'metadata': {'labels': {'team': 'fares'}, 'annotations': {}}, 'spec': {'predictor': {}}}
    """
    metadata = resource["metadata"]
    annotations = dict(metadata.get("annotations") or {})
    annotations.pop("kubectl.kubernetes.io/last-applied-configuration", None)
    return {
        "metadata": {"labels": dict(metadata.get("labels") or {}), "annotations": annotations},
        "spec": dict(resource["spec"]),
    }


def with_traffic_percent(resource: Object, percent: int | None) -> Object:
    """Return an InferenceService whose newest revision gets a percentage of the traffic.

    Args:
        resource: The InferenceService.
        percent: The percentage; None for all of it.

    Example:
        >>> resource = {"spec": {"predictor": {"minReplicas": 1}}}
        >>> with_traffic_percent(resource, 10)["spec"]["predictor"]
        {'minReplicas': 1, 'canaryTrafficPercent': 10}
    """
    predictor = dict(resource["spec"]["predictor"])
    predictor.pop("canaryTrafficPercent", None)
    if percent is not None:
        predictor["canaryTrafficPercent"] = percent
    return {**resource, "spec": {**resource["spec"], "predictor": predictor}}


def traffic_percent(resource: Object) -> int | None:
    """Return the percentage of the traffic for the newest revision; None for all of it.

    Example:
        >>> traffic_percent({"spec": {"predictor": {"canaryTrafficPercent": 10}}})
        10
    """
    percent = resource["spec"]["predictor"].get("canaryTrafficPercent")
    return None if percent is None else int(percent)


def check_mode(resource: Object, settings: ServiceSettings) -> None:
    """Check that the deployment mode of an InferenceService stays; KServe refuses to change it.

    Raises:
        UserError: If it would change.

    Example:
        >>> resource = {"metadata": {"name": "taxi"}, "status": {"deploymentMode": "Knative"}}
        >>> check_mode(resource, ServiceSettings.parse({"strategy": "canary"}))
        >>> check_mode(resource, ServiceSettings.parse({"strategy": "blue_green"}))
        Traceback (most recent call last):
        kfp_tabular.components.common.errors.UserError: InferenceService taxi is in deployment mode
        Knative, which KServe does not change to Standard. Set service.deployment_mode and ...
    """
    mode = inference_service_status.read(resource).mode
    if mode and mode != settings.mode:
        raise UserError(
            f"InferenceService {resource['metadata']['name']} is in deployment mode {mode}, which "
            f"KServe does not change to {settings.mode}. Set service.deployment_mode and "
            "service.strategy to match, choose another model_name, or delete it."
        )


def is_managed(resource: Object) -> bool:
    """Return whether a resource is this project's.

    Example:
        >>> is_managed({"metadata": {"labels": {"app.kubernetes.io/managed-by": "kfp-tabular"}}})
        True
        >>> is_managed({"metadata": {"labels": {"app.kubernetes.io/managed-by": "Helm"}}})
        False
    """
    return label(resource, names.MANAGED_BY_LABEL) == names.MANAGED_BY


def label(resource: Object, name: str) -> str:
    """Return the value of a label; empty if it is not set.

    Example:
        >>> label({"metadata": {"labels": {"team": "fares"}}}, "team")
        'fares'
    """
    return str((resource["metadata"].get("labels") or {}).get(name) or "")
