from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.training_job.job_kinds import JOB_KINDS
from kfp_tabular.components.common.training_job.job_settings import JobSettings
from kfp_tabular.components.common.training_job.job_spec import TrainingJobSpec
from kfp_tabular.components.common.training_job.tfjob import TFJOB
from tests.cluster import schemas
from tests.components.common.training_job import strategies

VOLUME = {"claim": "data", "mount_path": "/data"}
REFUSED = {
    "an unknown key": ({"worker": 3}, "worker", "'workers'"),
    "an unknown key further in": ({"volumes": [{**VOLUME, "subpath": "a"}]}, "'sub_path'"),
    "no mapping": (["workers"], "job: expected keys and values"),
    "a fraction of a worker": ({"workers": 1.5}, "job.workers", "whole number"),
    "no workers": ({"workers": 0}, "job.workers", "1 to 1000"),
    "text for a number": ({"gpus": "one"}, "job.gpus", "whole number"),
    "an infinite number": ({"gpus": float("inf")}, "job.gpus", "found inf"),
    "no number at all": ({"workers": float("nan")}, "job.workers", "found nan"),
    "an empty claim": ({"volumes": [{**VOLUME, "claim": ""}]}, "volumes[0].claim: expected"),
    "an empty runtime": ({"runtime": ""}, "job.runtime: expected"),
    "empty cores": ({"cpu": ""}, "job.cpu: expected"),
    "more than 32 bits": ({"ttl_seconds": 2**31}, "job.ttl_seconds"),
    "memory without a unit": ({"memory": 4}, "job.memory", "with its unit", "'4'"),
    "millibytes": ({"memory": "512m"}, "job.memory", "512Mi"),
    "a unit that is none": ({"memory": "4GB"}, "job.memory"),
    "a unit in the wrong case": ({"memory": "512ki"}, "job.memory"),
    "no cores": ({"cpu": 0}, "job.cpu"),
    "an image with a space": ({"image": "a b"}, "job.image", "reference"),
    "a GPU resource without a domain": ({"gpu_resource": "gpu"}, "nvidia.com/gpu"),
    "a claim in capitals": ({"volumes": [{**VOLUME, "claim": "Data"}]}, "volumes[0].claim"),
    "a claim without a path": ({"volumes": [{"claim": "data"}]}, "'mount_path' is missing"),
    "a relative path": ({"volumes": [{**VOLUME, "mount_path": "data"}]}, "absolute path"),
    "a path upwards": ({"volumes": [{**VOLUME, "sub_path": "../x"}]}, "sub_path"),
    "a mount over the pod's own": ({"volumes": [{**VOLUME, "mount_path": "/tmp/"}]}, "/tmp"),
    "two mounts at one path": (
        {"volumes": [VOLUME], "secrets": [{"name": "s", "mount_path": "/data/"}]},
        "'/data' is given twice",
    ),
    "a variable twice": (
        {"env": {"TOKEN": "x"}, "secrets": [{"name": "s", "env": {"key": "TOKEN"}}]},
        "'TOKEN' is given twice",
    ),
    "a variable that is none": ({"env": {"1A": "x"}}, "job.env", "1A"),
    "the controller's variable": ({"env": {"TF_CONFIG": "{}"}}, "TF_CONFIG", "leave it out"),
    "true for a variable": ({"env": {"DEBUG": True}}, "job.env.DEBUG", "text"),
    "a secret without use": ({"secrets": [{"name": "s"}]}, "env", "mount_path"),
    "a label's value": ({"labels": {"team": "a b"}}, "job.labels", "'a b'"),
    "a label's key": ({"labels": {"team a": "b"}}, "job.labels", "'team a'"),
    "a taint without a key": ({"tolerations": [{"value": "x"}]}, "tolerations[0]", "needs a key"),
    "a taint's effect": (
        {"tolerations": [{"operator": "Exists", "effect": "noschedule"}]},
        "NoSchedule",
    ),
    "no worker to train": ({"parameter_servers": 1}, "job: parameter_servers", "workers to 2"),
    "root": ({"run_as_user": 0}, "job.run_as_user"),
    "a policy": ({"clean_pod_policy": "running"}, "All, Running or None"),
    "another manager": ({"managed_by": "me"}, "kueue.x-k8s.io/multikueue"),
    "a role's memory": ({"roles": {"chief": {"memory": "1"}}}, "job.roles.chief.memory"),
    "a role that is none": ({"roles": {"worker": {}}}, "'workers'"),
    "an endpoint without a scheme": ({"object_store": {"endpoint": "minio:9000"}}, "http://"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_one_line_that_names_it(case: str) -> None:
    document, *told = REFUSED[case]

    with pytest.raises(UserError) as refused:
        JobSettings.parse(document)

    message = str(refused.value)
    assert "\n" not in message
    for part in told:
        assert part in message


def test_nothing_given_is_the_defaults() -> None:
    assert JobSettings.parse({}) == JobSettings.parse(None) == JobSettings()


def test_kfp_makes_floats_of_integers() -> None:
    found = JobSettings.parse(
        {"workers": 3.0, "cpu": 4.0, "gpus": 1.0, "roles": {"chief": {"gpus": 2.0}}}
    )

    assert (found.workers, found.cpu, found.gpus, found.roles.chief.gpus) == (3, "4", 1, 2)
    assert isinstance(found.workers, int)


@given(strategies.documents(strategies.TFJOB))
def test_a_document_is_read_whole(document) -> None:
    found = JobSettings.parse(document)

    for key in ("workers", "gpus", "fs_group", "deadline_seconds", "suspend", "service_account"):
        if key in document:
            assert getattr(found, key) == document[key]
    assert len(found.volumes) == len(document.get("volumes", ()))


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.one_of(st.sampled_from(["name", "claim", "mount_path", "env", "chief"]), st.text()),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(sorted(JobSettings.__dataclass_fields__)), JSON))
def test_whatever_is_given_is_settings_or_one_clear_error(document) -> None:
    try:
        found = JobSettings.parse(document)
    except UserError as error:
        assert str(error).startswith("job")
    else:
        resource = TFJOB.build(TrainingJobSpec([], found, name="train"))
        if schemas.available():
            assert schemas.problems(resource) == []


CANNOT: dict[str, dict[str, Any]] = {
    "trainjob": {
        "parameter_servers": 1,
        "evaluator": True,
        "roles": {"chief": {"cpu": "4"}},
        "priority_class": "high",
        "image_pull_policy": "Always",
        "clean_pod_policy": "All",
        "restart_policy": "Never",
        "backoff_limit": 0,
        "ttl_seconds": 0,
        "scheduling": {},
    },
    "job": {
        "workers": 2,
        "evaluator": True,
        "roles": {"workers": {"cpu": "4"}},
        "clean_pod_policy": "All",
        "restart_policy": "ExitCode",
        "scheduling": {},
    },
}


@pytest.mark.parametrize(
    ("kind", "key"), [(kind, key) for kind, keys in CANNOT.items() for key in keys]
)
def test_what_a_kind_cannot_express_is_refused(kind: str, key: str) -> None:
    more = {"workers": 2} if key == "parameter_servers" and kind == "trainjob" else {}
    spec = TrainingJobSpec([], JobSettings.parse({key: CANNOT[kind][key], **more}), name="a")

    with pytest.raises(UserError, match=f"job.{key}"):
        JOB_KINDS[kind].build(spec)
