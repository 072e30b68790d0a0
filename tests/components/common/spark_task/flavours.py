"""A SparkApplication, as the launcher makes it and as its operator treats it."""

from collections.abc import Callable, Mapping
from typing import Any

from kfp_tabular.components.common.kubernetes.client.resource_kinds import SPARK_APPLICATION
from kfp_tabular.components.common.kubernetes.jobs.launch_spec import Launch
from kfp_tabular.components.common.processing import processing_settings
from kfp_tabular.components.common.spark_task import spark_application
from kfp_tabular.components.common.spark_task.spark_application import SparkApplication
from tests.cluster.operators import Flavour, Job, Script

NAME = "validate-data-0123456789"

STATES = {"running": "RUNNING", "succeeded": "COMPLETED", "failed": "FAILED"}


def application(
    name: str = NAME, arguments: tuple[str, ...] = (), **kubernetes: Any
) -> SparkApplication:
    document = {"engine": "spark", "master": "k8s", "kubernetes": kubernetes}
    settings: Any = processing_settings.parse(document)
    return SparkApplication(
        name, settings, arguments, "registry.example.com/trainer:1", {"kfp-tabular.dev/task": "t"}
    )


def _launch(variant: int = 0, **changes: Any) -> Launch:
    given: dict[str, Any] = {
        "deadline_seconds": 60,
        "pod_selector": spark_application.pod_selector(NAME),
        "chief_selector": spark_application.driver_selector(NAME),
        "container": spark_application.DRIVER,
    }
    resource = application(executors=1 + variant).build()
    return Launch(SPARK_APPLICATION, resource, spark_application.judge, **{**given, **changes})


def _labels(role: str) -> Callable[[Mapping[str, Any]], dict[str, str]]:
    return lambda resource: {
        # The operator passes on the resource's labels.
        **(resource["metadata"].get("labels") or {}),
        spark_application.NAME_LABEL: resource["metadata"]["name"],
        "spark-role": role,
    }


def _status(phase: str, message: str) -> Mapping[str, Any]:
    state = {"state": STATES.get(phase, phase), "errorMessage": message}
    return {"applicationState": state, "driverInfo": {"podName": f"{NAME}-chief"}}


SPARK_FLAVOUR = Flavour(
    path=f"{__name__}:SPARK_FLAVOUR",
    launch=_launch,
    chief_labels=_labels("driver"),
    worker_labels=_labels("executor"),
    status=_status,
    container=spark_application.DRIVER,
)


def runs(program: Callable[[Job, str], int]) -> Script:
    """Return what an operator does whose driver is a function that returns its exit code."""

    def script(job: Job) -> None:
        job.status("SUBMITTED")
        pod = job.pod()
        job.set_pod(pod, **job.running())
        job.status("RUNNING")
        code = program(job, pod)
        job.end(pod, code)
        if code:
            job.status("FAILING")
            reason = "Error" if code != 137 else "OOMKilled"
            text = f"driver container failed with ExitCode: {code}, Reason: {reason}"
            job.status("failed", text)
        else:
            job.status("SUCCEEDING")
            job.status("succeeded")

    return script
