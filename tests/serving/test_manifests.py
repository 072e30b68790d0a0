"""Manifests of endpoints: locked down, monitored, reachable, with arguments the server accepts."""

import re
from collections.abc import Mapping
from typing import Any

import pytest

from kfp_tabular.components.common import images
from kfp_tabular.serving.protocol import routes
from kfp_tabular.serving.settings import command_line
from tests.cluster import kustomize, pod_security

pytestmark = kustomize.needed

SERVING = [name for name in kustomize.overlays() if name.startswith("serving/")]
EACH = pytest.mark.parametrize("overlay", SERVING)
WITH_MESH = pytest.mark.parametrize(
    "overlay", [f"serving/overlays/{name}" for name in ("knative", "standard", "blue-green")]
)
ISVC = "serving.kserve.io/inferenceservice"
MODE = "serving.kserve.io/deploymentMode"
KUBERNETES_GRACE_SECONDS = 30


def kinds(overlay: str, kind: str) -> list[dict[str, Any]]:
    return [entry for entry in kustomize.build(overlay) if entry["kind"] == kind]


def pods(overlay: str) -> list[tuple[Mapping[str, str], dict[str, Any]]]:
    """Return labels and spec of every serving pod, as KServe or Kubernetes creates it."""
    found: list[tuple[Mapping[str, str], dict[str, Any]]] = []
    for deployment in kinds(overlay, "Deployment"):
        template = deployment["spec"]["template"]
        found.append((template["metadata"]["labels"], template["spec"]))
    for service in kinds(overlay, "InferenceService"):
        runtime = kustomize.only(kustomize.build(overlay), "ServingRuntime")["spec"]
        name = service["metadata"]["name"]
        own = {"serving.kserve.io/inferenceservice": name}
        labels = {**runtime["labels"], **service["metadata"]["labels"], **own}
        grace = service["spec"]["predictor"].get("terminationGracePeriodSeconds")
        spec = {"containers": runtime["containers"], "volumes": runtime["volumes"]}
        found.append((labels, {**spec, "terminationGracePeriodSeconds": grace}))
    assert found
    return found


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    return selector["matchLabels"].items() <= labels.items()


def server(spec: Mapping[str, Any], model: str = "tabular") -> tuple[dict[str, Any], list[str]]:
    """Return the server's container and its arguments, with the values of KServe and Kubernetes."""
    (container,) = spec["containers"]
    values = {entry["name"]: entry["value"] for entry in container.get("env", [])}
    arguments = []
    for argument in container["args"]:
        filled = argument.replace("{{.Name}}", model)
        for name, value in values.items():
            filled = filled.replace(f"$({name})", value)
        arguments.append(filled)
    return container, arguments


@EACH
def test_pods_are_locked_down(overlay: str) -> None:
    for _, spec in pods(overlay):
        assert pod_security.restricted(spec) == []
        for container in pod_security.containers(spec):
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] is True
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert context["seccompProfile"] == {"type": "RuntimeDefault"}
            # Shared metrics and Python's temporary files need a writable directory.
            assert {"name": "tmp", "mountPath": "/tmp"} in container["volumeMounts"]
    for account in kinds(overlay, "ServiceAccount"):
        assert account["automountServiceAccountToken"] is False


@EACH
def test_the_server_accepts_the_arguments(overlay: str) -> None:
    for _, spec in pods(overlay):
        container, arguments = server(spec)
        parsed = command_line.parse(arguments, {})
        ports = [port["containerPort"] for port in container["ports"]]

        assert container["image"] == images.SERVING
        assert container["command"] == ["python", "-m", "kfp_tabular.serving"]
        assert parsed.host == "0.0.0.0"
        assert ports == [port for port in (parsed.port, parsed.grpc_port) if port]
        end = spec["terminationGracePeriodSeconds"] or KUBERNETES_GRACE_SECONDS
        assert parsed.drain_seconds + parsed.grace_seconds < end
        assert parsed.drain_seconds > 0


@EACH
def test_probes_use_paths_of_the_server(overlay: str) -> None:
    for _, spec in pods(overlay):
        container, arguments = server(spec)
        parsed = command_line.parse(arguments, {})
        paths = {
            probe: container[probe]["httpGet"]["path"].replace("{{.Name}}", "tabular")
            for probe in container
            if probe.endswith("Probe")
        }
        assert {"readinessProbe", "livenessProbe"} <= paths.keys()
        for probe, path in paths.items():
            expected = "ready" if probe == "readinessProbe" else "health"
            assert routes.operation_of_path(path) == expected
        assert f"/{parsed.name}/" in paths["readinessProbe"]


@EACH
def test_policies_and_monitoring_find_the_pods(overlay: str) -> None:
    objects = kustomize.build(overlay)
    for labels, _ in pods(overlay):
        policy = kustomize.only(objects, "NetworkPolicy", "endpoints")
        assert selects(policy["spec"]["podSelector"], labels)
        assert selects(kustomize.only(objects, "PodMonitor")["spec"]["selector"], labels)
        budgets = kinds(overlay, "PodDisruptionBudget")
        assert sum(selects(budget["spec"]["selector"], labels) for budget in budgets) == 1
        # The alerts name the endpoint by this label.
        assert labels["app.kubernetes.io/instance"].startswith("tabular")


@EACH
def test_a_drained_node_takes_one_pod_at_a_time(overlay: str) -> None:
    for budget in kinds(overlay, "PodDisruptionBudget"):
        assert budget["spec"]["maxUnavailable"] == 1
        assert "minAvailable" not in budget["spec"]


@EACH
def test_the_network_policy_opens_the_servers_ports(overlay: str) -> None:
    policy = kustomize.only(kustomize.build(overlay), "NetworkPolicy", "endpoints")
    clients, monitoring = policy["spec"]["ingress"]
    for _, spec in pods(overlay):
        container, _ = server(spec)
        allowed = {port["port"] for port in clients["ports"]}
        assert {port["containerPort"] for port in container["ports"]} <= allowed
        assert 8080 in {port["port"] for port in monitoring["ports"]}


@pytest.mark.parametrize(
    ("overlay", "mode"),
    [
        ("serving/overlays/knative", "Knative"),
        ("serving/overlays/standard", "Standard"),
        ("serving/overlays/split", "Standard"),
    ],
)
def test_the_deployment_mode_is_always_set(overlay: str, mode: str) -> None:
    services = kinds(overlay, "InferenceService") + kinds(overlay, "InferenceGraph")
    assert services
    for service in services:
        assert service["metadata"]["annotations"][MODE] == mode
        # Silently ignored there.
        assert mode == "Knative" or "canaryTrafficPercent" not in service["spec"].get(
            "predictor", {}
        )


@pytest.mark.parametrize("overlay", [name for name in SERVING if "blue-green" not in name])
def test_endpoints_name_a_runtime_that_serves_their_format(overlay: str) -> None:
    runtime = kustomize.only(kustomize.build(overlay), "ServingRuntime")
    formats = [
        {"name": entry["name"], "version": entry["version"]}
        for entry in runtime["spec"]["supportedModelFormats"]
    ]
    accounts = [entry["metadata"]["name"] for entry in kinds(overlay, "ServiceAccount")]
    for service in kinds(overlay, "InferenceService"):
        predictor = service["spec"]["predictor"]
        assert predictor["model"]["runtime"] == runtime["metadata"]["name"]
        assert predictor["model"]["modelFormat"] in formats
        assert predictor["model"]["protocolVersion"] in runtime["spec"]["protocolVersions"]
        assert predictor["serviceAccountName"] in accounts
        assert 2 <= predictor["minReplicas"] <= predictor["maxReplicas"]


def test_knative_gets_one_port() -> None:
    for _, spec in pods("serving/overlays/knative"):
        (port,) = server(spec)[0]["ports"]
        assert port["name"] == "http1"


def test_the_graph_splits_all_traffic_between_existing_endpoints() -> None:
    overlay = "serving/overlays/split"
    graph = kustomize.only(kustomize.build(overlay), "InferenceGraph")
    root = graph["spec"]["nodes"]["root"]
    names = {entry["metadata"]["name"] for entry in kinds(overlay, "InferenceService")}

    assert root["routerType"] == "Splitter"
    assert sum(step["weight"] for step in root["steps"]) == 100
    assert {step["serviceName"] for step in root["steps"]} == names
    locations = {
        entry["spec"]["predictor"]["model"]["storageUri"]
        for entry in kinds(overlay, "InferenceService")
    }
    assert len(locations) == 2


def test_each_color_has_its_own_pods_and_clients_get_one_of_them() -> None:
    overlay = "serving/overlays/blue-green"
    objects = kustomize.build(overlay)
    labels = {
        entry["metadata"]["name"]: entry["spec"]["template"]["metadata"]["labels"]
        for entry in kinds(overlay, "Deployment")
    }

    def behind(service: str) -> list[str]:
        selector = kustomize.only(objects, "Service", service)["spec"]["selector"]
        return [name for name, own in labels.items() if selector.items() <= own.items()]

    assert sorted(labels) == ["tabular-blue", "tabular-green"]
    for name, own in labels.items():
        deployment = kustomize.only(objects, "Deployment", name)
        assert behind(name) == [name]
        assert deployment["spec"]["selector"]["matchLabels"].items() <= own.items()
    (live,) = behind("tabular")
    assert kustomize.only(objects, "Deployment", live)["spec"]["replicas"] > 0
    for service in kinds(overlay, "Service"):
        (container,) = kustomize.only(objects, "Deployment", live)["spec"]["template"]["spec"][
            "containers"
        ]
        named = {port["name"] for port in container["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= named


def test_each_color_serves_the_version_in_its_manifest() -> None:
    overlay = "serving/overlays/blue-green"
    served = [command_line.parse(server(spec)[1], {}).model for _, spec in pods(overlay)]

    assert served == ["/models/tabular/1", "/models/tabular/2"]


@WITH_MESH
def test_the_mesh_asks_for_certificates_and_knows_the_namespace(overlay: str) -> None:
    objects = kustomize.build(overlay)
    peers = kustomize.only(objects, "PeerAuthentication")
    access = kustomize.only(objects, "AuthorizationPolicy")

    assert peers["spec"]["mtls"] == {"mode": "STRICT"}
    for labels, _ in pods(overlay):
        assert selects(peers["spec"]["selector"], labels)
        assert selects(access["spec"]["selector"], labels)
        assert labels["sidecar.istio.io/inject"] == "true"
    sources = [source["source"]["namespaces"] for source in access["spec"]["rules"][0]["from"]]
    assert sources == [["istio-system"], [access["metadata"]["namespace"]]]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/v1/models/tabular:predict", True),
        ("POST", "/v2/models/tabular/infer", True),
        ("POST", "/inference.GRPCInferenceService/ModelInfer", True),
        ("GET", "/v1/models/tabular", True),
        ("GET", "/v2/models/tabular/ready", True),
        ("GET", "/v2/health/live", True),
        ("GET", "/metrics", False),
        ("DELETE", "/v2/models/tabular", False),
        ("POST", "/v2/repository/models/tabular/unload", False),
    ],
)
def test_callers_may_ask_for_predictions_and_descriptions(
    method: str, path: str, allowed: bool
) -> None:
    policy = kustomize.only(kustomize.build("serving/overlays/standard"), "AuthorizationPolicy")
    rule = policy["spec"]["rules"][0]

    def matches(pattern: str) -> bool:
        return path.startswith(pattern[:-1]) if pattern.endswith("*") else path == pattern

    found = any(
        method in entry["operation"]["methods"] and any(map(matches, entry["operation"]["paths"]))
        for entry in rule["to"]
    )

    assert found is allowed


@WITH_MESH
def test_with_the_mesh_prometheus_asks_the_sidecar(overlay: str) -> None:
    (endpoint,) = kustomize.only(kustomize.build(overlay), "PodMonitor")["spec"][
        "podMetricsEndpoints"
    ]
    policy = kustomize.only(kustomize.build(overlay), "NetworkPolicy", "endpoints")

    assert endpoint["path"] == "/stats/prometheus"
    address = next(
        entry for entry in endpoint["relabelings"] if entry["targetLabel"] == "__address__"
    )
    port = int(address["replacement"].rpartition(":")[2])
    assert port in {entry["port"] for entry in policy["spec"]["ingress"][1]["ports"]}


@EACH
@pytest.mark.parametrize(
    ("labels", "service"),
    [
        # In blue-green by the pipeline, one InferenceService replaces the other.
        ({"app.kubernetes.io/instance": "taxi", ISVC: "taxi-green"}, "taxi"),
        ({ISVC: "taxi"}, "taxi"),
        ({"app.kubernetes.io/instance": "taxi"}, "taxi"),
    ],
)
def test_alerts_call_an_endpoint_by_its_name(
    overlay: str, labels: dict[str, str], service: str
) -> None:
    monitor = kustomize.only(kustomize.build(overlay), "PodMonitor")
    meta = {
        "__meta_kubernetes_pod_label_" + re.sub(r"\W", "_", name): value
        for name, value in labels.items()
    }
    for scraped in monitor["spec"]["podMetricsEndpoints"]:
        assert relabelled(scraped["relabelings"], meta)["service"] == service


def relabelled(rules: list[dict[str, Any]], labels: dict[str, str]) -> dict[str, str]:
    """Return the labels after Prometheus' relabelling, as far as the manifests use it."""
    found = dict(labels)
    for rule in rules:
        value = ";".join(found.get(name, "") for name in rule["sourceLabels"])
        match = re.fullmatch(rule.get("regex", "(.*)"), value)
        if match:
            template = re.sub(r"\$(\d)", r"\\\1", rule.get("replacement", "$1"))
            found[rule["targetLabel"]] = match.expand(template)
    return found


def test_without_the_mesh_prometheus_asks_the_server() -> None:
    overlay = "serving/overlays/split"
    (standard, knative) = kustomize.only(kustomize.build(overlay), "PodMonitor")["spec"][
        "podMetricsEndpoints"
    ]
    for _, spec in pods(overlay):
        assert standard["port"] in {port["name"] for port in server(spec)[0]["ports"]}
    assert knative["port"] == "user-port"
    assert standard["path"] == knative["path"] == "/metrics"
