"""For every job document, the resource is valid for the API server, and restricted."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kfp_tabular.components.common.training_job import trainjob
from kfp_tabular.components.common.training_job.batch_job import BATCH_JOB
from kfp_tabular.components.common.training_job.job_kinds import JOB_KINDS
from kfp_tabular.components.common.training_job.job_settings import JobSettings
from kfp_tabular.components.common.training_job.job_spec import TrainingJobSpec
from kfp_tabular.components.common.training_job.tfjob import TFJOB
from kfp_tabular.components.common.training_job.trainjob import TRAINJOB
from tests.cluster import pod_security, schemas
from tests.components.common.training_job import strategies

OWNER = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "Workflow",
    "name": "run",
    "uid": "6f1d",
    "blockOwnerDeletion": True,
}
EXAMPLES = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
RUNTIME = trainjob.runtime()


def spec_of(document: dict[str, Any], arguments: list[str]) -> TrainingJobSpec:
    return TrainingJobSpec(
        arguments,
        JobSettings.parse(document),
        name="train-model-0123456789",
        namespace="team-a",
        labels={"kfp-tabular.dev/run-id": "run"},
        annotations={"kfp-tabular.dev/spec-digest": "abc"},
        owner=OWNER,
    )


def pods(resource: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Return the pod templates, for a TrainJob as the Trainer merges them into the runtime's."""
    body = resource["spec"]
    if resource["kind"] == "TFJob":
        yield from (replica["template"] for replica in body["tfReplicaSpecs"].values())
    elif resource["kind"] == "Job":
        yield body["template"]
    else:
        yield merged(resource)


def merged(resource: dict[str, Any], runtime: dict[str, Any] = RUNTIME) -> dict[str, Any]:
    """Return a strategic merge: lists by name or mount path, objects by key."""
    template = runtime["spec"]["template"]["spec"]["replicatedJobs"][0]["template"]["spec"]
    patch = resource["spec"]["runtimePatches"][0]["trainingRuntimeSpec"]["template"]
    patched = patch["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]
    pod = merge(json.loads(json.dumps(template["template"])), patched)
    trainer = resource["spec"]["trainer"]
    container = pod["spec"]["containers"][0]
    container.update(image=trainer["image"], command=trainer["command"], args=trainer["args"])
    container["env"] = merge(container["env"], trainer["env"])
    container["resources"] = merge(container["resources"], trainer["resourcesPerNode"])
    return pod


def merge(old: Any, new: Any) -> Any:
    if isinstance(old, dict) and isinstance(new, dict):
        return {**old, **{key: merge(old.get(key), value) for key, value in new.items()}}
    if isinstance(old, list) and isinstance(new, list):
        for key in ("mountPath", "name"):
            if all(isinstance(item, dict) and key in item for item in (*old, *new)):
                found = {item[key]: item for item in old}
                for item in new:
                    found[item[key]] = merge(found.get(item[key]), item)
                return list(found.values())
    return new


@schemas.needed
@EXAMPLES
@given(strategies.documents(strategies.TFJOB), strategies.ARGUMENTS)
def test_every_tfjob_is_one_that_the_operator_knows(document, arguments) -> None:
    assert schemas.problems(TFJOB.build(spec_of(document, arguments))) == []


@schemas.needed
@EXAMPLES
@given(strategies.documents(strategies.TRAINJOB), strategies.ARGUMENTS)
def test_every_trainjob_is_one_that_the_trainer_knows(document, arguments) -> None:
    models = pytest.importorskip("kubeflow_trainer_api.models")
    resource = TRAINJOB.build(spec_of(document, arguments))

    assert schemas.problems(resource) == []
    model = models.TrainerV1alpha1TrainJob.from_dict(resource)
    # The models ignore what they do not know: all must come back.
    assert not missing(resource, model.to_dict())


@schemas.needed
@EXAMPLES
@given(strategies.documents(strategies.JOB), strategies.ARGUMENTS)
def test_every_job_is_one_that_the_api_server_knows(document, arguments) -> None:
    from tests.cluster import core_models

    resource = BATCH_JOB.build(spec_of(document, arguments))

    assert schemas.problems(resource) == []
    assert core_models.problems(resource) == []


@schemas.needed
@EXAMPLES
@given(strategies.documents(strategies.TFJOB), strategies.ARGUMENTS)
def test_a_template_fits_a_katib_trial(document, arguments) -> None:
    trial = TFJOB.template(spec_of(document, arguments))
    experiment = {
        "apiVersion": "kubeflow.org/v1beta1",
        "kind": "Experiment",
        "metadata": {"name": "tune"},
        "spec": {"trialTemplate": {"trialSpec": trial, "primaryContainerName": TFJOB.container}},
    }

    assert schemas.problems(experiment) == []
    assert not {"name", "namespace", "ownerReferences"} & set(trial["metadata"])


@schemas.needed
def test_the_runtime_is_one_that_the_trainer_knows() -> None:
    models = pytest.importorskip("kubeflow_trainer_api.models")

    assert schemas.problems(RUNTIME) == []
    assert not missing(
        RUNTIME, models.TrainerV1alpha1ClusterTrainingRuntime.from_dict(RUNTIME).to_dict()
    )


@schemas.needed
def test_a_misspelt_field_deep_in_a_pod_is_found() -> None:
    resource = TFJOB.build(spec_of({}, []))
    chief = resource["spec"]["tfReplicaSpecs"]["Chief"]["template"]["spec"]
    chief["containers"][0]["volumeMount"] = []
    chief["securityContext"]["runAsUser"] = "1000"

    found = "\n".join(schemas.problems(resource))

    assert "volumeMount" in found
    assert "runAsUser" in found


@EXAMPLES
@given(
    st.one_of(
        st.tuples(st.just("tfjob"), strategies.documents(strategies.TFJOB)),
        st.tuples(st.just("trainjob"), strategies.documents(strategies.TRAINJOB)),
        st.tuples(st.just("job"), strategies.documents(strategies.JOB)),
    ),
    strategies.ARGUMENTS,
)
def test_every_pod_is_restricted_reachable_and_whole(kind_and_document, arguments) -> None:
    kind, document = kind_and_document
    job_kind = JOB_KINDS[kind]
    spec = spec_of(document, arguments)
    resource = job_kind.build(spec)

    for template in pods(resource):
        body = template["spec"]
        assert pod_security.restricted(body) == []
        assert body["automountServiceAccountToken"] is False
        assert template["metadata"]["labels"]["sidecar.istio.io/inject"] == "false"
        assert template["metadata"]["annotations"]["sidecar.istio.io/inject"] == "false"
        assert template["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "kfp-tabular"
        container = body["containers"][0]
        assert container["name"] == job_kind.container
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        volumes = [volume["name"] for volume in body["volumes"]]
        mounts = [mount["mountPath"] for mount in container["volumeMounts"]]
        variables = [variable["name"] for variable in container["env"]]
        for names in (volumes, mounts, variables):
            assert len(names) == len(set(names))
        assert {mount["name"] for mount in container["volumeMounts"]} == set(volumes)
        assert {"/tmp", "/work"} <= set(mounts)
        for name, value in spec.settings.env.items():
            entry = next(entry for entry in container["env"] if entry["name"] == name)
            assert entry["value"].replace("$$(", "$(") == value
        assert [argument.replace("$$(", "$(") for argument in container["args"]] == arguments
        assert container["resources"]["limits"] == container["resources"]["requests"]


@EXAMPLES
@given(strategies.documents(strategies.TFJOB), strategies.ARGUMENTS)
def test_a_resource_is_the_same_each_time_and_plain_data(document, arguments) -> None:
    resource = TFJOB.build(spec_of(document, arguments))

    assert resource == TFJOB.build(spec_of(json.loads(json.dumps(document)), arguments))
    assert yaml.safe_load(yaml.safe_dump(resource)) == resource


def missing(wanted: Any, found: Any, path: str = "") -> list[str]:
    """Return what of a resource is not in another."""
    if isinstance(wanted, dict):
        if not isinstance(found, dict):
            return [path]
        return [
            problem
            for key, value in wanted.items()
            for problem in missing(value, found.get(key), f"{path}.{key}")
        ]
    if isinstance(wanted, list):
        if not isinstance(found, list) or len(found) != len(wanted):
            return [path]
        return [
            problem
            for index, (one, other) in enumerate(zip(wanted, found, strict=True))
            for problem in missing(one, other, f"{path}[{index}]")
        ]
    return [] if wanted == found else [path]
