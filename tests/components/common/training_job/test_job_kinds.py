"""What the kinds of job build, and how they judge statuses that the controllers write."""

import re
from typing import Any

import pytest

from kfp_tabular.components.common import images
from kfp_tabular.components.common.training_job import trainjob
from kfp_tabular.components.common.training_job.batch_job import BATCH_JOB
from kfp_tabular.components.common.training_job.job_settings import JobSettings
from kfp_tabular.components.common.training_job.job_spec import TrainingJobSpec
from kfp_tabular.components.common.training_job.tfjob import TFJOB
from kfp_tabular.components.common.training_job.trainjob import TRAINJOB

CLOCK = "2026-11-23T05:00:00Z"


def spec_of(arguments: tuple[str, ...] = (), **document: Any) -> TrainingJobSpec:
    return TrainingJobSpec(arguments, JobSettings.parse(document), name="train", namespace="team")


def chief(spec: TrainingJobSpec) -> dict[str, Any]:
    return TFJOB.build(spec)["spec"]["tfReplicaSpecs"]["Chief"]["template"]["spec"]


def variables(spec: TrainingJobSpec) -> dict[str, Any]:
    return {
        entry["name"]: entry.get("value", entry.get("valueFrom"))
        for entry in chief(spec)["containers"][0]["env"]
    }


def test_one_worker_is_a_chief_alone() -> None:
    assert list(TFJOB.build(spec_of())["spec"]["tfReplicaSpecs"]) == ["Chief"]


def test_the_chief_is_one_of_the_workers() -> None:
    replicas = TFJOB.build(spec_of(workers=4, parameter_servers=2, evaluator=True))["spec"][
        "tfReplicaSpecs"
    ]

    assert {role: entry["replicas"] for role, entry in replicas.items()} == {
        "Chief": 1,
        "Worker": 3,
        "PS": 2,
        "Evaluator": 1,
    }
    assert TRAINJOB.build(spec_of(workers=4))["spec"]["trainer"]["numNodes"] == 4


def test_only_what_trains_gets_gpus_unless_told_otherwise() -> None:
    replicas = TFJOB.build(
        spec_of(
            workers=2,
            parameter_servers=1,
            evaluator=True,
            gpus=2,
            memory="8Gi",
            roles={"evaluator": {"gpus": 1}, "parameter_servers": {"memory": "1Gi"}},
        )
    )["spec"]["tfReplicaSpecs"]
    found = {
        role: entry["template"]["spec"]["containers"][0]["resources"]["limits"]
        for role, entry in replicas.items()
    }

    assert found["Chief"] == {"cpu": "2", "memory": "8Gi", "nvidia.com/gpu": "2"}
    assert found["Worker"] == found["Chief"]
    assert found["PS"] == {"cpu": "2", "memory": "1Gi"}
    assert found["Evaluator"]["nvidia.com/gpu"] == "1"


def test_the_run_policy_is_complete() -> None:
    policy = TFJOB.build(
        spec_of(
            clean_pod_policy="None",
            backoff_limit=0,
            active_deadline_seconds=60,
            ttl_seconds=0,
            suspend=True,
            managed_by="kueue.x-k8s.io/multikueue",
            scheduling={"min_available": 2, "queue": "q", "timeout_seconds": 5},
        )
    )["spec"]["runPolicy"]

    assert policy == {
        "cleanPodPolicy": "None",
        "backoffLimit": 0,
        "activeDeadlineSeconds": 60,
        "ttlSecondsAfterFinished": 0,
        "suspend": True,
        "managedBy": "kueue.x-k8s.io/multikueue",
        "schedulingPolicy": {"minAvailable": 2, "queue": "q", "scheduleTimeoutSeconds": 5},
    }


def test_restarts_are_counted_over_all_pods() -> None:
    policy = TFJOB.build(spec_of(workers=3))["spec"]["runPolicy"]

    assert policy["backoffLimit"] == 9
    assert policy["cleanPodPolicy"] == "Running"


def test_kubeflows_store_needs_no_configuration() -> None:
    found = variables(spec_of(("--output=minio://mlpipeline/a",)))

    for name, key in (("MINIO_ACCESS_KEY", "accesskey"), ("MINIO_SECRET_KEY", "secretkey")):
        reference = {"name": "mlpipeline-minio-artifact", "key": key}
        assert found[name] == {"secretKeyRef": reference}


def test_amazon_and_google_go_by_the_service_account_unless_a_secret_is_named() -> None:
    both = ("--output=s3://bucket/a", "--transform-graph=gs://bucket/b")
    without = variables(spec_of(both))
    store = {"secret": "keys", "endpoint": "https://s3.example.com", "region": "eu-1"}
    spec = spec_of(both, object_store=store)
    named = variables(spec)

    assert not {"AWS_ACCESS_KEY_ID", "GOOGLE_APPLICATION_CREDENTIALS"} & set(without)
    assert named["AWS_ENDPOINT_URL_S3"] == "https://s3.example.com"
    assert named["AWS_REGION"] == "eu-1"
    assert named["AWS_SECRET_ACCESS_KEY"]["secretKeyRef"] == {"name": "keys", "key": "secretkey"}
    path = named["GOOGLE_APPLICATION_CREDENTIALS"]
    mount = next(
        mount
        for mount in chief(spec)["containers"][0]["volumeMounts"]
        if path.startswith(mount["mountPath"])
    )
    assert mount["readOnly"] is True


def test_ones_own_variables_win() -> None:
    found = variables(
        spec_of(("--output=minio://b/a",), env={"MINIO_ACCESS_KEY": "anonymous", "HOME": "/tmp"})
    )

    assert found["MINIO_ACCESS_KEY"] == "anonymous"
    assert found["HOME"] == "/tmp"


def test_two_mounts_of_a_claim_are_one_volume() -> None:
    pod = chief(
        spec_of(
            volumes=[
                {"claim": "data", "mount_path": "/in", "sub_path": "in", "read_only": True},
                {"claim": "data", "mount_path": "/out", "sub_path": "out"},
            ]
        )
    )
    claims = [volume for volume in pod["volumes"] if "persistentVolumeClaim" in volume]

    assert [volume["persistentVolumeClaim"]["claimName"] for volume in claims] == ["data"]
    mounts = pod["containers"][0]["volumeMounts"]
    assert [mount["name"] for mount in mounts if mount["mountPath"] in ("/in", "/out")] == [
        claims[0]["name"]
    ] * 2


def test_a_trainjob_runs_the_rendezvous_and_knows_how_many_they_are() -> None:
    trainer = TRAINJOB.build(spec_of(("--seed=1",), workers=3))["spec"]["trainer"]

    assert trainer["command"] == ["python", "-m", trainjob.RENDEZVOUS_MODULE]
    assert trainer["args"] == ["--seed=1"]
    assert {"name": trainjob.WORKERS_VARIABLE, "value": "3"} in trainer["env"]
    assert trainer["image"] == images.TENSORFLOW


def test_bad_input_is_not_tried_again_where_the_kind_can_say_so() -> None:
    runtime = trainjob.runtime()["spec"]["template"]["spec"]
    policies = [
        BATCH_JOB.build(spec_of())["spec"]["podFailurePolicy"],
        runtime["replicatedJobs"][0]["template"]["spec"]["podFailurePolicy"],
    ]

    for policy in policies:
        assert policy["rules"][0]["onExitCodes"]["values"] == [2]
    (rule,) = runtime["failurePolicy"]["rules"]
    assert rule["action"] == "FailJobSet"
    # JobSet's webhook requires it (`ruleNameFmt`); the schema of its resource does not.
    assert re.fullmatch(r"[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?", rule["name"])
    # Kubernetes refuses the rule with any other restart policy.
    assert "podFailurePolicy" not in BATCH_JOB.build(spec_of(restart_policy="OnFailure"))["spec"]


def condition(kind: str, status: str = "True", reason: str = "", message: str = "") -> dict:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": CLOCK,
    }


CREATED = condition("Created", reason="TFJobCreated", message="TFJob train is created.")
NOT_RUNNING = condition("Running", "False", "TFJobRunning")
STATUSES: dict[str, tuple[Any, Any, str, str]] = {
    "no status yet": (TFJOB, None, "running", ""),
    "an empty status": (TFJOB, {}, "running", ""),
    "no conditions": (TFJOB, {"conditions": None, "replicaStatuses": {}}, "running", ""),
    "created": (TFJOB, [CREATED], "running", "TFJobCreated"),
    "running": (
        TFJOB,
        [CREATED, condition("Running", reason="TFJobRunning")],
        "running",
        "TFJobRunning",
    ),
    "restarting": (
        TFJOB,
        [CREATED, condition("Restarting", reason="TFJobRestarting", message="job train is ...")],
        "running",
        "TFJobRestarting",
    ),
    "suspended": (
        TFJOB,
        [CREATED, NOT_RUNNING, condition("Suspended", reason="TFJobSuspended")],
        "running",
        "TFJobSuspended",
    ),
    "resumed": (
        TFJOB,
        [CREATED, condition("Suspended", "False", "TFJobResumed")],
        "running",
        "TFJobCreated",
    ),
    "succeeded": (
        TFJOB,
        [CREATED, NOT_RUNNING, condition("Succeeded", reason="TFJobSucceeded")],
        "succeeded",
        "TFJobSucceeded",
    ),
    "failed": (
        TFJOB,
        [CREATED, NOT_RUNNING, condition("Failed", reason="TFJobFailed", message="1 Worker ...")],
        "failed",
        "TFJobFailed",
    ),
    "a worker failed while the chief ended": (
        TFJOB,
        [CREATED, condition("Succeeded"), condition("Failed", reason="TFJobFailed")],
        "failed",
        "TFJobFailed",
    ),
    "a TrainJob without conditions": (
        TRAINJOB,
        {"jobsStatus": [{"name": "node", "active": 1}]},
        "running",
        "",
    ),
    "a TrainJob that ended": (
        TRAINJOB,
        [condition("Complete", reason="AllJobsCompleted")],
        "succeeded",
        "AllJobsCompleted",
    ),
    "a TrainJob out of restarts": (
        TRAINJOB,
        [condition("Failed", reason="ReachedMaxRestarts")],
        "failed",
        "ReachedMaxRestarts",
    ),
    "a TrainJob out of time": (
        TRAINJOB,
        [
            condition("Suspended", "False", "Resumed"),
            condition("Failed", reason="DeadlineExceeded"),
        ],
        "failed",
        "DeadlineExceeded",
    ),
    "a TrainJob on an unknown kind of runtime": (
        TRAINJOB,
        [condition("Failed", reason="TrainingRuntimeNotSupported")],
        "failed",
        "TrainingRuntimeNotSupported",
    ),
    "a Job that ended": (
        BATCH_JOB,
        [condition("SuccessCriteriaMet"), condition("Complete", reason="CompletionsReached")],
        "succeeded",
        "CompletionsReached",
    ),
    "a Job about to fail": (
        BATCH_JOB,
        [condition("FailureTarget", reason="PodFailurePolicy")],
        "running",
        "PodFailurePolicy",
    ),
    "a Job that failed": (
        BATCH_JOB,
        [condition("FailureTarget"), condition("Failed", reason="PodFailurePolicy")],
        "failed",
        "PodFailurePolicy",
    ),
}


@pytest.mark.parametrize("case", STATUSES)
def test_a_status_is_judged_as_its_controller_means_it(case: str) -> None:
    kind, status, phase, reason = STATUSES[case]
    resource: dict[str, Any] = {"metadata": {"name": "train"}}
    if status is not None:
        resource["status"] = {"conditions": status} if isinstance(status, list) else status

    verdict = kind.judge(resource)

    assert (verdict.phase, verdict.reason) == (phase, reason)


def test_selectors_find_the_pods_that_controllers_label() -> None:
    assert TFJOB.chief_selector("a") == (
        "training.kubeflow.org/job-name=a,training.kubeflow.org/job-role=master"
    )
    assert TRAINJOB.chief_selector("a") == (
        "jobset.sigs.k8s.io/jobset-name=a,jobset.sigs.k8s.io/replicatedjob-name=node,"
        "batch.kubernetes.io/job-completion-index=0"
    )
    assert (
        BATCH_JOB.pod_selector("a")
        == BATCH_JOB.chief_selector("a")
        == "batch.kubernetes.io/job-name=a"
    )
