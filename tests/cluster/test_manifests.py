"""The manifests build, are valid, and grant little."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from kfp_tabular.components.common.training_job import trainjob
from kfp_tabular.components.common.training_job.job_settings import JobSettings
from kfp_tabular.components.common.training_job.job_spec import TrainingJobSpec
from kfp_tabular.components.common.training_job.tfjob import TFJOB
from kfp_tabular.components.common.training_job.trainjob import TRAINJOB
from tests.cluster import core_models, kustomize, pod_security, schemas

EACH_OVERLAY = pytest.mark.parametrize("overlay", kustomize.overlays())
EACH_NAMESPACE = pytest.mark.parametrize(
    ("overlay", "namespace"),
    [("overlays/dev", "kfp-tabular-dev"), ("overlays/prod", "kfp-tabular")],
)
# Published by projects whose schemas are not among those that the tests are given.
WITHOUT_SCHEMA = {"monitoring.coreos.com", "security.istio.io"}
CLUSTER_SCOPED = {"Namespace", "ClusterTrainingRuntime"}


MANAGED = {"app.kubernetes.io/managed-by": "kfp-tabular"}
JOB = TrainingJobSpec(
    arguments=["--epochs=1"], settings=JobSettings(workers=3), name="job", labels=MANAGED
)


def pods_of_tfjob() -> list[dict[str, Any]]:
    replicas = TFJOB.build(JOB)["spec"]["tfReplicaSpecs"].values()
    return [replica["template"] for replica in replicas]


def pods_of_runtime(runtime: Mapping[str, Any]) -> list[dict[str, Any]]:
    jobs = runtime["spec"]["template"]["spec"]["replicatedJobs"]
    return [job["template"]["spec"]["template"] for job in jobs]


def rules(objects: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for entry in objects:
        if entry["kind"].endswith("Role"):
            for rule in entry["rules"]:
                yield entry["metadata"]["name"], rule


def test_there_is_an_overlay_for_each_purpose() -> None:
    assert {"overlays/dev", "overlays/prod", "overlays/single-user"} <= set(kustomize.overlays())


@kustomize.needed
@EACH_OVERLAY
def test_every_core_object_is_one_that_the_api_server_knows(overlay: str) -> None:
    core = [entry for entry in kustomize.build(overlay) if core_models.model(entry)]

    assert core
    for entry in core:
        assert core_models.problems(entry) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"podSelecter": {}}, "NetworkPolicy.spec.podSelecter: unknown field"),
        ({"ingress": {}}, "NetworkPolicy.spec.ingress: expected a list, found {}"),
        (
            {"ingress": [{"from": [{"podSelector": {"matchLabels": {"a": 1}}}]}]},
            "NetworkPolicy.spec.ingress[0].from[0].podSelector.matchLabels.a: expected str, "
            "found 1",
        ),
    ],
)
def test_the_check_of_core_objects_finds(change: dict[str, Any], problem: str) -> None:
    policy = kustomize.read("base/network/training.yaml")[0]

    assert core_models.problems({**policy, "spec": {**policy["spec"], **change}}) == [problem]


def test_the_check_of_core_objects_finds_what_is_missing() -> None:
    binding = kustomize.read("base/access/role-bindings.yaml")[0]
    del binding["roleRef"]["name"]

    (problem,) = core_models.problems(binding)

    assert problem.startswith("RoleBinding.roleRef: ")


@kustomize.needed
@schemas.needed
@EACH_OVERLAY
def test_every_custom_resource_has_its_schema(overlay: str) -> None:
    custom = [entry for entry in kustomize.build(overlay) if not core_models.model(entry)]

    assert custom
    for entry in custom:
        if entry["apiVersion"].split("/")[0] not in WITHOUT_SCHEMA:
            assert schemas.problems(entry) == []


@kustomize.needed
@EACH_NAMESPACE
def test_the_training_runtime_is_the_one_that_trainjobs_are_made_for(
    overlay: str, namespace: str
) -> None:
    shipped = kustomize.only(kustomize.build(overlay), "ClusterTrainingRuntime")

    assert shipped == trainjob.runtime()
    assert shipped["metadata"]["name"] == TRAINJOB.build(JOB)["spec"]["runtimeRef"]["name"]


@kustomize.needed
@EACH_NAMESPACE
def test_training_pods_have_the_security_that_the_namespace_asks_for(
    overlay: str, namespace: str
) -> None:
    objects = kustomize.build(overlay)
    labels = kustomize.only(objects, "Namespace")["metadata"]["labels"]
    prefix = "pod-security.kubernetes.io/"
    levels = {labels[prefix + what] for what in ("enforce", "warn", "audit")}
    runtime = kustomize.only(objects, "ClusterTrainingRuntime")

    assert levels <= {"baseline", "restricted"}
    for template in [*pods_of_tfjob(), *pods_of_runtime(runtime)]:
        assert pod_security.restricted(template["spec"]) == []


@kustomize.needed
@EACH_NAMESPACE
def test_nothing_reaches_workers_but_by_the_policy_of_their_job(
    overlay: str, namespace: str
) -> None:
    policy = kustomize.only(kustomize.build(overlay), "NetworkPolicy", "training-workers")["spec"]
    patched = TRAINJOB.build(JOB)["spec"]["runtimePatches"][0]["trainingRuntimeSpec"]

    assert "ingress" not in policy
    for template in [*pods_of_tfjob(), *pods_of_runtime({"spec": patched})]:
        wanted = policy["podSelector"]["matchLabels"].items()
        assert wanted <= template["metadata"]["labels"].items()


@kustomize.needed
@EACH_OVERLAY
def test_no_two_objects_have_the_same_name(overlay: str) -> None:
    names = Counter(
        (entry["kind"], entry["metadata"]["name"]) for entry in kustomize.build(overlay)
    )

    assert names.most_common(1)[0][1] == 1


@kustomize.needed
@EACH_OVERLAY
def test_objects_of_the_cluster_have_no_namespace_and_the_others_one(overlay: str) -> None:
    objects = kustomize.build(overlay)
    namespaces = {
        entry["metadata"].get("namespace")
        for entry in objects
        if entry["kind"] not in CLUSTER_SCOPED
    }

    assert len(namespaces) == 1
    assert None not in namespaces
    for entry in objects:
        if entry["kind"] in CLUSTER_SCOPED:
            assert "namespace" not in entry["metadata"], entry["kind"]


@kustomize.needed
@EACH_NAMESPACE
def test_the_namespace_is_ready_for_katib(overlay: str, namespace: str) -> None:
    metadata = kustomize.only(kustomize.build(overlay), "Namespace")["metadata"]

    assert metadata["name"] == namespace
    assert metadata["labels"]["katib.kubeflow.org/metrics-collector-injection"] == "enabled"


@kustomize.needed
@EACH_OVERLAY
def test_rights_are_named_one_by_one_and_end_at_the_namespace(overlay: str) -> None:
    objects = kustomize.build(overlay)

    assert not [entry for entry in objects if entry["kind"].startswith("ClusterRole")]
    for name, rule in rules(objects):
        for part in ("apiGroups", "resources", "verbs"):
            assert not [value for value in rule[part] if "*" in value], name
        # These rights allow their holder to obtain every other right, or to run anything.
        assert not {"escalate", "bind", "impersonate"} & set(rule["verbs"])
        assert not {"roles", "rolebindings", "pods/exec"} & set(rule["resources"])
        if "secrets" in rule["resources"]:
            assert rule["verbs"] == ["get"]
            assert rule["resourceNames"]


@kustomize.needed
@EACH_OVERLAY
def test_bindings_bind_what_is_there(overlay: str) -> None:
    objects = kustomize.build(overlay)
    there = {(entry["kind"], entry["metadata"]["name"]) for entry in objects}
    bound = set()

    for entry in objects:
        if entry["kind"] == "RoleBinding":
            assert (entry["roleRef"]["kind"], entry["roleRef"]["name"]) in there
            (subject,) = entry["subjects"]
            assert (subject["kind"], subject["name"]) in there
            assert subject["namespace"] == entry["metadata"]["namespace"]
            bound.add((subject["name"], entry["roleRef"]["name"]))
    # What drivers of Spark may, runs may not. Overlays for endpoints have no bindings.
    assert not bound or bound == {
        ("kfp-tabular", "kfp-tabular-launcher"),
        ("kfp-tabular", "kfp-tabular-run"),
        ("kfp-tabular-spark", "kfp-tabular-spark"),
    }


@kustomize.needed
def test_rights_without_users_are_those_with_users() -> None:
    single, prod = kustomize.build("overlays/single-user"), kustomize.build("overlays/prod")

    assert sorted(map(str, rules(single))) == sorted(map(str, rules(prod)))


@kustomize.needed
def test_without_users_nothing_concerns_others_in_kubeflows_namespace() -> None:
    """A policy, quota or label for all of that namespace would be one for Kubeflow itself."""
    kinds = {entry["kind"] for entry in kustomize.build("overlays/single-user")}

    assert kinds == {"ServiceAccount", "Role", "RoleBinding", "ClusterTrainingRuntime"}


@kustomize.needed
@EACH_NAMESPACE
def test_a_quota_on_requests_comes_with_default_requests(overlay: str, namespace: str) -> None:
    """The API server refuses a container without a request that a quota counts."""
    objects = kustomize.build(overlay)
    hard = kustomize.only(objects, "ResourceQuota")["spec"]["hard"]
    (container,) = kustomize.only(objects, "LimitRange")["spec"]["limits"]

    counted = {key.removeprefix("requests.") for key in hard if key.startswith("requests.")}
    # Extended resources are different: a container that does not name one asks for none.
    assert {name for name in counted if "/" not in name} == set(container["defaultRequest"])
    assert not [key for key in hard if key.startswith("limits.")]


@kustomize.needed
@EACH_NAMESPACE
def test_nothing_comes_in_but_by_a_policy_for_some_pods_and_ports(
    overlay: str, namespace: str
) -> None:
    policies = [entry for entry in kustomize.build(overlay) if entry["kind"] == "NetworkPolicy"]
    for policy in policies:
        spec = policy["spec"]
        assert spec["policyTypes"] == ["Ingress"]
        if policy["metadata"]["name"] == "default-deny-ingress":
            assert spec["podSelector"] == {}
            assert "ingress" not in spec
        else:
            assert spec["podSelector"]
            for rule in spec.get("ingress", ()):
                assert rule["from"]
                assert rule["ports"]
    assert "default-deny-ingress" in {policy["metadata"]["name"] for policy in policies}


@kustomize.needed
@pytest.mark.parametrize(
    ("overlay", "image", "kind"),
    [
        ("overlays/dev", "tensorflow", "ClusterTrainingRuntime"),
        ("serving/overlays/standard", "serving", "ServingRuntime"),
        ("serving/overlays/blue-green", "serving", "Deployment"),
    ],
)
def test_images_can_be_set_by_digest(tmp_path: Path, overlay: str, image: str, kind: str) -> None:
    digest = f"sha256:{'0123456789abcdef' * 4}"
    own = {
        "resources": [os.path.relpath(kustomize.ROOT / overlay, tmp_path.resolve())],
        "images": [
            {
                "name": f"ghcr.io/kfp-tabular/{image}",
                "newName": f"registry.example.com/ml/{image}",
                "digest": digest,
            }
        ],
    }
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(own))

    built = [entry for entry in kustomize.build(str(tmp_path)) if entry["kind"] == kind]

    assert built
    for entry in built:
        assert f"'image': 'registry.example.com/ml/{image}@{digest}'" in str(entry)
        assert f"ghcr.io/kfp-tabular/{image}" not in str(entry)


def test_every_manifest_is_used_by_a_kustomization() -> None:
    listed: set[Path] = set()
    for file in kustomize.ROOT.rglob("kustomization.yaml"):
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
        names = [*document.get("resources", []), *document.get("components", [])]
        names += [patch["path"] for patch in document.get("patches", []) if "path" in patch]
        for entry in document.get("configMapGenerator", []):
            names += [name.split("=")[-1] for name in entry["files"]]
        listed.update((file.parent / name).resolve() for name in names)

    assert all(path.exists() for path in listed)
    assert set(kustomize.files()) <= listed
