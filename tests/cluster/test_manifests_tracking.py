"""The tracking server's manifests: valid, without rights, and closed."""

from collections.abc import Iterator
from typing import Any

import pytest

from kfp_tabular.components.common import images
from tests.cluster import core_models, kustomize

pytestmark = kustomize.needed


@pytest.fixture(scope="module")
def objects() -> list[dict[str, Any]]:
    return kustomize.build("tracking")


def pods(objects: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for entry in objects:
        if entry["kind"] in ("Deployment", "StatefulSet"):
            yield entry["spec"]["template"]


def named(objects: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    (found,) = [e for e in objects if (e["kind"], e["metadata"]["name"]) == (kind, name)]
    return found


def test_every_object_is_one_that_the_api_server_knows(objects: list[dict[str, Any]]) -> None:
    assert len(objects) == 6
    assert {entry["metadata"]["namespace"] for entry in objects} == {"kfp-tabular"}
    known = [entry for entry in objects if core_models.model(entry)]
    assert known == objects


def test_pods_have_no_rights_and_are_not_root(objects: list[dict[str, Any]]) -> None:
    for pod in pods(objects):
        spec = pod["spec"]
        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] > 0
        (container,) = spec["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert images.is_pinned(container["image"])
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}


def test_no_secret_is_in_git(objects: list[dict[str, Any]]) -> None:
    assert not [entry for entry in objects if entry["kind"] == "Secret"]
    for pod in pods(objects):
        for variable in pod["spec"]["containers"][0]["env"]:
            if "PASSWORD" in variable["name"]:
                assert "value" not in variable


def test_only_the_server_reaches_the_database(objects: list[dict[str, Any]]) -> None:
    for name, port, sources in (
        ("mlflow", 5000, {}),
        (
            "mlflow-database",
            5432,
            {"matchLabels": {"app.kubernetes.io/name": "mlflow"}},
        ),
    ):
        policy = named(objects, "NetworkPolicy", name)["spec"]
        (rule,) = policy["ingress"]
        assert rule["from"] == [{"podSelector": sources}]
        assert [entry["port"] for entry in rule["ports"]] == [port]
        chosen = policy["podSelector"]["matchLabels"]
        service = named(objects, "Service", name)["spec"]
        assert service["selector"] == chosen
        assert [entry["port"] for entry in service["ports"]] == [port]
        matching = [
            pod for pod in pods(objects) if chosen.items() <= pod["metadata"]["labels"].items()
        ]
        assert len(matching) == 1


def test_the_server_reports_nothing_to_mlflows_authors(objects: list[dict[str, Any]]) -> None:
    server = named(objects, "Deployment", "mlflow")["spec"]["template"]["spec"]["containers"][0]

    assert {"name": "MLFLOW_DISABLE_TELEMETRY", "value": "true"} in server["env"]
    assert server["image"].partition(":")[0] == images.reference("mlflow").partition(":")[0]
