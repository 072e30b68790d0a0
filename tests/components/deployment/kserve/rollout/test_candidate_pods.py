"""Whether a change in Standard mode has reached all pods."""

from types import SimpleNamespace
from typing import Any

import pytest

from kfp_tabular.components.deployment.kserve.resources import inference_service
from kfp_tabular.components.deployment.kserve.resources.service_settings import ServiceSettings
from kfp_tabular.components.deployment.kserve.rollout.cluster import EndpointCluster, RolloutTiming
from tests.components.deployment.kserve.resources.test_inference_service import wanted

WANTED = inference_service.build_inference_service(wanted())
NEW = WANTED["spec"]["predictor"]["labels"]["kfp-tabular.dev/rollout"]


def pod(label: str, *, ready: bool, ending: bool = False) -> dict[str, Any]:
    metadata: dict[str, Any] = {"labels": {"kfp-tabular.dev/rollout": label}}
    if ending:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    condition = {"type": "Ready", "status": "True" if ready else "False"}
    return {"metadata": metadata, "status": {"conditions": [condition]}}


@pytest.mark.parametrize(
    ("pods", "changed"),
    [
        ([pod(NEW, ready=True)], True),
        ([pod(NEW, ready=False)], False),
        ([pod(NEW, ready=True), pod("old", ready=True)], False),
        # It may still get requests, until everybody knows that it ends.
        ([pod(NEW, ready=True), pod("old", ready=True, ending=True)], False),
        # Its node may be lost, and then it ends forever.
        ([pod(NEW, ready=True), pod("old", ready=False, ending=True)], True),
        ([pod(NEW, ready=True, ending=True)], False),
        ([], False),
    ],
)
def test_requests_reach_the_new_pods_only(pods: list[dict[str, Any]], changed: bool) -> None:
    api: Any = SimpleNamespace(list=lambda *_, **__: SimpleNamespace(items=pods))
    cluster = EndpointCluster("taxi", api, None, ServiceSettings.parse({}), RolloutTiming())  # type: ignore[arg-type]

    assert cluster.has_replaced_pods("taxi", WANTED) is changed
