"""For every document, the SparkApplication is valid for its operator, and its pods restricted."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.kubernetes.jobs.launch_spec import Verdict
from kfp_tabular.components.common.processing import processing_settings
from kfp_tabular.components.common.spark_task import spark_application
from kfp_tabular.components.common.spark_task.spark_application import SparkApplication
from tests.cluster import core_models, pod_security, schemas
from tests.components.common.spark_task.flavours import application
from tests.components.common.training_job import strategies
from tests.components.common.training_job.strategies import whole

EXAMPLES = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
POD = st.fixed_dictionaries(
    {},
    optional={
        "cpu": strategies.CPU,
        "memory": st.integers(2, 500).map("{}Gi".format),
        "node_selector": strategies.LABELS,
        "tolerations": st.lists(strategies.TOLERATION, max_size=2),
    },
)
UNSHARED = {
    "cpu", "memory", "gpus", "gpu_resource", "active_deadline_seconds", "managed_by", "runtime",
    "restart_policy", "backoff_limit",
}  # fmt: skip
KUBERNETES = strategies.documents(
    {
        **{name: found for name, found in strategies.JOB.items() if name not in UNSHARED},
        "executors": whole(1, 64),
        "dynamic_allocation": st.one_of(
            st.none(), st.fixed_dictionaries({"max": whole(5, 9)}, optional={"min": whole(0, 5)})
        ),
        "driver": POD,
        "executor": POD,
    }
)
STORES = st.frozensets(st.sampled_from(["gs", "s3", "minio"]))


def built(kubernetes: dict[str, Any], stores: frozenset[str] = frozenset()) -> dict[str, Any]:
    document = {"engine": "spark", "master": "k8s", "kubernetes": kubernetes}
    found: Any = processing_settings.parse(document)
    labels = {"kfp-tabular.dev/run-id": "run"}
    arguments = ("--request=s3://bucket/$(HOME)/request.json",)
    return SparkApplication(
        "transform-features-0123456789", found, arguments, "i:1", labels, stores
    ).build()


def templates(resource: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for role in ("driver", "executor"):
        yield resource["spec"][role]["template"]


@schemas.needed
@EXAMPLES
@given(kubernetes=KUBERNETES, stores=STORES)
def test_every_application_is_one_that_the_operator_knows(kubernetes, stores) -> None:
    resource = built(kubernetes, stores)

    assert schemas.problems(resource) == []


@EXAMPLES
@given(kubernetes=KUBERNETES, stores=STORES)
def test_every_pod_is_one_that_the_api_server_knows_and_restricted(kubernetes, stores) -> None:
    resource = built(kubernetes, stores)

    for template in templates(resource):
        # The schema of the resource leaves templates open.
        whole_template = {"apiVersion": "v1", "kind": "PodTemplate", "template": template}
        assert core_models.problems(whole_template) == []
        body = template["spec"]
        assert pod_security.restricted(body) == []
        assert template["metadata"]["labels"]["sidecar.istio.io/inject"] == "false"
        assert template["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "kfp-tabular"
        (container,) = body["containers"]
        # Spark puts its arguments behind those of the template.
        assert "args" not in container
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        for names in (
            [volume["name"] for volume in body["volumes"]],
            [mount["mountPath"] for mount in container["volumeMounts"]],
            [variable["name"] for variable in container["env"]],
        ):
            assert len(names) == len(set(names))
    driver, executor = templates(resource)
    assert driver["spec"].get("automountServiceAccountToken", True)
    assert executor["spec"]["automountServiceAccountToken"] is False
    assert resource["spec"]["driver"]["serviceAccount"] == driver["spec"]["serviceAccountName"]


@EXAMPLES
@given(kubernetes=KUBERNETES)
def test_an_application_is_the_same_each_time_and_plain_data(kubernetes) -> None:
    resource = built(kubernetes)

    assert resource == built(json.loads(json.dumps(kubernetes)))
    assert yaml.safe_load(yaml.safe_dump(resource)) == resource


@schemas.needed
def test_a_misspelt_field_is_found() -> None:
    resource = built({})
    resource["spec"]["driver"]["core"] = 1
    resource["spec"]["executor"]["instances"] = "2"

    found = "\n".join(schemas.problems(resource))

    assert "'core'" in found
    assert "instances" in found


def test_names_leave_room_for_those_that_spark_derives() -> None:
    """Spark's prefix of executors has the name, 17 characters, and at most 47."""
    from kfp_tabular.components.common.kubernetes.client.resource_kinds import SPARK_APPLICATION
    from kfp_tabular.components.common.kubernetes.names import Identity

    for task in processing_settings.DATA_TASKS:
        name = Identity("run", task, "digest").name(SPARK_APPLICATION)
        assert len(name) <= 47 - 17
        assert name.startswith(f"{task}-")


@pytest.mark.parametrize(
    ("settings_of_spark", "pod", "memory", "overhead"),
    [
        # Java's, one GiB for each of two Python processes, and 512 MiB.
        ({}, {}, "1g", 2 * 1024 + 512),
        ({"executor_cores": 4, "executor_memory": "800m"}, {}, "800m", 4 * 1024 + 512),
        ({"executor_memory": "2g"}, {"memory": "8Gi"}, "2g", 6 * 1024),
    ],
)
def test_a_pods_memory_is_javas_and_pythons(settings_of_spark, pod, memory, overhead) -> None:
    document = {"engine": "spark", "master": "k8s", **settings_of_spark}
    found: Any = processing_settings.parse({**document, "kubernetes": {"executor": pod}})
    executor = SparkApplication("a", found, (), "i:1").build()["spec"]["executor"]

    assert (executor["memory"], executor["memoryOverhead"]) == (memory, f"{overhead}m")
    assert executor["coreRequest"] == executor["coreLimit"] == str(executor["cores"])


def test_too_little_memory_is_refused() -> None:
    with pytest.raises(ValueError, match=r"kubernetes.driver.memory: 1Gi is all memory of the pod"):
        application(driver={"memory": "1Gi"}).build()


def test_dynamic_allocation_takes_the_place_of_a_number() -> None:
    fixed = application(executors=5).build()["spec"]
    dynamic = application(dynamic_allocation={"max": 20, "min": 3}).build()["spec"]

    assert fixed["executor"]["instances"] == 5
    assert "dynamicAllocation" not in fixed
    assert "instances" not in dynamic["executor"]
    assert dynamic["dynamicAllocation"] == {
        "enabled": True,
        "initialExecutors": 3,
        "minExecutors": 3,
        "maxExecutors": 20,
    }


def test_roles_have_their_own_places() -> None:
    resource = application(
        node_selector={"pool": "spark"},
        tolerations=[{"key": "spark", "operator": "Exists"}],
        executor={"node_selector": {"pool": "spot"}, "tolerations": []},
    ).build()
    driver, executor = (template["spec"] for template in templates(resource))

    assert driver["nodeSelector"] == {"pool": "spark"}
    assert driver["tolerations"] == [{"key": "spark", "operator": "Exists"}]
    assert executor["nodeSelector"] == {"pool": "spot"}
    assert "tolerations" not in executor


@pytest.mark.parametrize(
    ("state", "verdict"),
    [
        (None, Verdict("running")),
        ({"state": ""}, Verdict("running")),
        ({"state": "SUBMITTED"}, Verdict("running", "SUBMITTED")),
        (
            {"state": "SUBMISSION_FAILED", "errorMessage": "no route to host\n"},
            Verdict("running", "SUBMISSION_FAILED", "no route to host"),
        ),
        ({"state": "FAILING"}, Verdict("running", "FAILING")),
        ({"state": "SUCCEEDING"}, Verdict("running", "SUCCEEDING")),
        ({"state": "COMPLETED"}, Verdict("succeeded", "COMPLETED")),
        (
            {"state": "FAILED", "errorMessage": "driver pod not found"},
            Verdict("failed", "FAILED", "driver pod not found"),
        ),
    ],
)
def test_the_state_of_an_application(state, verdict) -> None:
    resource = {"status": {"applicationState": state}} if state else {}

    assert spark_application.judge(resource) == verdict


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"kubernetes": {"executor": {"cpus": 2}}}, "kubernetes.executor: unknown key 'cpus'. Did"),
        ({"kubernetes": {"executors": 0}}, "kubernetes.executors: expected 1 to 10000, found 0."),
        ({"kubernetes": {"gpus": 1}}, "kubernetes: gpus: processing uses none; leave it out"),
        ({"kubernetes": {"dynamic_allocation": {}}}, "dynamic_allocation: 'max' is missing."),
        (
            {"kubernetes": {"dynamic_allocation": {"max": 2, "min": 3}}},
            "dynamic_allocation: min 3 is above max 2",
        ),
        ({"kubernetes": {"driver": {"memory": "4"}}}, "kubernetes.driver.memory: expected a size"),
        ({"cores": 8}, "cores: on k8s, kubernetes.executors x executor_cores decides"),
        (
            {"conf": {"spark.kubernetes.namespace": "x"}},
            "conf: 'spark.kubernetes.namespace' is made from processing.kubernetes",
        ),
        (
            {"master": "local[*]", "kubernetes": {}},
            "kubernetes: only for master k8s; the master is local[*]",
        ),
    ],
)
def test_a_document_that_does_not_fit(document, message) -> None:
    with pytest.raises(UserError) as got:
        processing_settings.parse({"engine": "spark", "master": "k8s", **document})
    assert message in str(got.value)
