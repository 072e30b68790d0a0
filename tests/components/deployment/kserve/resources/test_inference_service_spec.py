"""Labels and annotations of an InferenceService that is replaced."""

from typing import Any

from kfp_tabular.components.deployment.kserve.resources import (
    inference_service,
    inference_service_spec,
)
from tests.components.deployment.kserve.resources.test_inference_service import wanted

VISIBILITY = "networking.kserve.io/visibility"
AUTOSCALER = "serving.kserve.io/autoscalerClass"
MORE = {"cluster_local": True, "autoscaler": "hpa", "labels": {"team": "a"}}


def made(service: Any = None) -> dict[str, Any]:
    """An InferenceService in the cluster, to which others have added something."""
    resource = inference_service.build_inference_service(wanted(service))
    resource["metadata"]["labels"]["argocd.argoproj.io/instance"] = "x"
    resource["metadata"]["annotations"]["example.com/owner"] = "a-team"
    return resource


def test_what_a_document_does_not_ask_for_any_more_goes() -> None:
    placed = inference_service_spec.replaced(
        made(MORE), inference_service.build_inference_service(wanted())
    )

    assert placed["metadata"] == made()["metadata"]
    assert VISIBILITY not in placed["metadata"]["labels"]
    assert AUTOSCALER not in placed["metadata"]["annotations"]
    assert "team" not in placed["metadata"]["labels"]


def test_a_rollback_leaves_nothing_of_the_candidate() -> None:
    before = made()
    candidate = inference_service_spec.replaced(
        before, inference_service.build_inference_service(wanted(MORE))
    )
    assert candidate["metadata"]["labels"]["team"] == "a"

    back = inference_service_spec.replaced(candidate, inference_service_spec.snapshot(before))

    assert back["metadata"] == before["metadata"]
