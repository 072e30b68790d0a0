"""An InferenceGraph (serving.kserve.io/v1alpha1) that splits traffic between endpoints by weight.

In Standard mode KServe ignores `canaryTrafficPercent`; there, a graph can give a candidate part of
the traffic, or compare two models (A/B).
"""

from collections.abc import Mapping
from typing import Any

from kfp_tabular.components.common import documents
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.kubernetes.names import MANAGED_BY, MANAGED_BY_LABEL
from kfp_tabular.components.deployment.kserve.resources.inference_service import (
    COLORS,
    MODE_ANNOTATION,
    color_name,
    predict_path,
)

_WHOLE = 100


def build_inference_graph(
    name: str, mode: str, shares: Mapping[str, int], namespace: str = "", endpoint: str = ""
) -> dict[str, Any]:
    """Return the graph.

    Args:
        name: Its name. In Standard mode KServe creates a Deployment and a Service of that name, so
            no endpoint may have it.
        mode: `Standard` or `Knative`.
        shares: Percentage of the requests by InferenceService; the sum is 100.
        namespace: Its namespace; empty leaves it out.
        endpoint: The endpoint whose two colors are among the InferenceServices; empty for none.

    Raises:
        UserError: If a name does not fit, there are fewer than two endpoints, or the shares do
            not add up to 100: the router would drop the rest of the requests.

    Example:
        >>> graph = build_inference_graph("taxi-split", "Standard", {"taxi-a": 90, "taxi-b": 10})
        >>> [step["weight"] for step in graph["spec"]["nodes"]["root"]["steps"]]
        [90, 10]
    """
    named = [("split", text) for text in (name, *shares)]
    for what, text in [*named, ("namespace", namespace)] if namespace else named:
        try:
            documents.label_name(text)
        except ValueError as error:
            raise UserError(f"{what}: {text!r}: {error}.") from error
    if name in shares:
        raise UserError(f"split: the graph {name!r} cannot have the name of an endpoint.")
    if len(shares) < 2:
        raise UserError("split: expected two endpoints or more, such as churn-blue=90.")
    if any(share < 0 for share in shares.values()) or sum(shares.values()) != _WHOLE:
        found = " + ".join(str(share) for share in shares.values())
        raise UserError(f"split: the shares must add up to 100, found {found}.")
    metadata: dict[str, Any] = {
        "name": name,
        "labels": {MANAGED_BY_LABEL: MANAGED_BY},
        "annotations": {MODE_ANNOTATION: mode},
    }
    if namespace:
        metadata["namespace"] = namespace
    return {
        "apiVersion": "serving.kserve.io/v1alpha1",
        "kind": "InferenceGraph",
        "metadata": metadata,
        "spec": {
            "nodes": {
                "root": {
                    "routerType": "Splitter",
                    "steps": [
                        {"name": service, **_step_target(service, endpoint), "weight": share}
                        for service, share in shares.items()
                    ],
                }
            },
            "resources": {
                "requests": {"cpu": "100m", "memory": "128Mi"},
                "limits": {"memory": "256Mi"},
            },
        },
    }


def _step_target(service: str, endpoint: str) -> dict[str, str]:
    # KServe assumes that a model has the name of its InferenceService; colors differ.
    if endpoint and service in (color_name(endpoint, color) for color in COLORS):
        return {"serviceUrl": f"http://{service}-predictor{predict_path(endpoint)}"}
    return {"serviceName": service}
