"""The `service` document."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.deployment.kserve.resources.service_settings import ServiceSettings
from tests.components.deployment.kserve.strategies import DOCUMENTS


@given(DOCUMENTS)
@hypothesis_settings(max_examples=60, deadline=None)
def test_right_documents_are_taken(document: dict[str, Any]) -> None:
    settings = ServiceSettings.parse(document)

    assert settings.mode == document["deployment_mode"]
    assert ServiceSettings.parse(document) == settings


def test_nothing_is_a_document() -> None:
    settings = ServiceSettings.parse(None)

    assert (settings.strategy, settings.mode, settings.runtime) == ("direct", "Standard", "image")
    assert ServiceSettings.parse({"strategy": "canary"}).mode == "Knative"
    assert ServiceSettings.parse({"steps": [10.0, 100.0]}).steps == (10, 100)


@pytest.mark.parametrize("name", ["1st", "STORAGE_URI"])
def test_a_variable_is_refused_without_showing_the_others(name: str) -> None:
    with pytest.raises(UserError, match=f"service.env: .*{name}") as caught:
        ServiceSettings.parse({"env": {"TOKEN": "secret", name: "hidden"}})

    assert "secret" not in str(caught.value) and "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "service: expected keys and values"),
        ({"strategi": "canary"}, "unknown key 'strategi'. Did you mean 'strategy'"),
        ({"strategy": "rolling"}, "service.strategy: expected direct, canary or blue_green"),
        ({"strategy": "canary", "deployment_mode": "Standard"}, "needs deployment_mode Knative"),
        ({"strategy": "blue_green", "deployment_mode": "Knative"}, "needs .* Standard"),
        ({"steps": []}, "the last one 100"),
        ({"steps": [50, 25, 100]}, "rising percentages"),
        ({"steps": [5, 50]}, "the last one 100"),
        ({"min_replicas": 0}, "only Knative mode and KEDA scale to zero"),
        ({"min_replicas": 3, "max_replicas": 2}, "max_replicas 2 is below"),
        ({"scale_metric": "rps"}, "Knative"),
        ({"strategy": "canary", "scale_metric": "cpu"}, "concurrency or rps"),
        ({"strategy": "canary", "autoscaler": "hpa"}, "deployment_mode Standard"),
        ({"autoscaler": "keda"}, "the settings in keda go together"),
        ({"autoscaler": "keda", "keda": {}}, "service.keda: give cpu, memory"),
        ({"runtime": "tensorflow", "image": "a/b:1"}, "image does not apply to runtime"),
        ({"storage_key": "x"}, "storage_key do not apply"),
        ({"runtime_version": "2.20.0"}, "runtime_version applies to runtime tensorflow only"),
        ({"runtime": "tensorflow", "runtime_version": "a b"}, "service.runtime_version"),
        ({"runtime": "tensorflow", "auth_secret": "keys"}, "TensorFlow Serving checks no keys"),
        ({"runtime": "tensorflow", "batcher": {}}, "missing numbers"),
        ({"runtime": "tensorflow", "model_registry": True}, "needs a directory of versions"),
        ({"memory": "4"}, "service.memory: expected a size with its unit"),
        ({"cpu": "2", "cpu_limit": "1"}, "cpu_limit 1 is below cpu 2"),
        ({"env": {"STORAGE_URI": "x"}}, "STORAGE_URI is set by this backend"),
        ({"labels": {"kfp-tabular.dev/rollout": "x"}}, "is set by this backend"),
        ({"verification": {"max_latency_ms": {"p100": 5}}}, "is not a percentile"),
        ({"verification": {"max_latency_ms": {"p95": 0}}}, "expected milliseconds"),
        ({"verification": {"max_error_rate": 5}}, "expected 0 to 1"),
        ({"access": {"via": "gateway"}}, "service.access: via: gateway and the URL"),
        ({"volumes": [{"claim": "x"}]}, r"service.volumes\[0\]: 'mount_path' is missing"),
        ({"soak_seconds": float("nan")}, "service.soak_seconds"),
        ({"strategy": ""}, "service.strategy: expected direct, canary or blue_green"),
        ({"runtime": ""}, "service.runtime: expected image, serving_runtime or tensorflow"),
        ({"access": {"via": ""}}, "service.access.via: expected cluster, url or gateway"),
        ({"logger": {"url": ""}}, "service.logger.url: expected a URL"),
        (
            {"logger": {"url": "http://a", "mode": ""}},
            "service.logger.mode: expected all, request or response",
        ),
        ({"volumes": [{"claim": "", "mount_path": "/a"}]}, r"service.volumes\[0\].claim: expected"),
        ({"labels": {"app.kubernetes.io/name": "x"}}, "is set by this backend"),
        ({"labels": {"app.kubernetes.io/instance": "x"}}, "is set by this backend"),
        ({"labels": {"serving.kserve.io/inferenceservice": "x"}}, "is set by this backend"),
        ({"annotations": {"serving.kserve.io/deploymentMode": "Knative"}}, "deployment_mode"),
        ({"annotations": {"serving.kserve.io/autoscalerClass": "hpa"}}, "autoscaler"),
        ({"annotations": {"prometheus.kserve.io/port": "1"}}, "is set by this backend"),
        ({"labels": {"networking.kserve.io/visibility": "cluster-local"}}, "cluster_local"),
        ({"labels": {"networking.knative.dev/visibility": "cluster-local"}}, "cluster_local"),
    ],
)
def test_wrong_documents_are_refused_in_a_line(document: Any, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        ServiceSettings.parse(document)
    assert "\n" not in str(caught.value)
