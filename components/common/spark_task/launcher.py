"""Runs a task as a SparkApplication, and fetches what its driver has made into the task."""

import json
import logging
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from kfp_tabular.components.common import files, storage
from kfp_tabular.components.common.errors import USER_ERROR_EXIT_CODE, UserError
from kfp_tabular.components.common.kubernetes.client.api import Api, connect
from kfp_tabular.components.common.kubernetes.client.errors import NotFoundError
from kfp_tabular.components.common.kubernetes.client.resource_kinds import SPARK_APPLICATION
from kfp_tabular.components.common.kubernetes.jobs import launch
from kfp_tabular.components.common.kubernetes.jobs.network_policies import JobNetworkPolicies
from kfp_tabular.components.common.kubernetes.task_image import task_image
from kfp_tabular.components.common.processing.processing_settings import SparkSettings
from kfp_tabular.components.common.spark_task import plan as plans
from kfp_tabular.components.common.spark_task import spark_application
from kfp_tabular.components.common.spark_task.plan import SparkPlan
from kfp_tabular.components.common.spark_task.task_request import TaskRequest, with_uris
from kfp_tabular.components.common.storage import job_directory

_logger = logging.getLogger(__name__)


def run(
    request: TaskRequest,
    settings: SparkSettings,
    outputs: Mapping[str, Path],
    api: Api | None = None,
) -> None:
    """Run a task as a SparkApplication, and write its outputs where KFP expects them.

    Args:
        request: The task.
        settings: Its engine.
        outputs: Where KFP expects the output artifacts on this machine, by name.
        api: Access to the cluster; None to connect with the pod's account or the kubeconfig.

    Raises:
        UserError: The settings or an artifact do not fit, a permission is missing, or the
            component reports a user error.
        JobFailedError: The application failed, or did not end in time.
        SystemExit: With 143, after SIGTERM; the application is deleted first.
    """
    # Before connecting: a document that does not fit is reported without a cluster, too.
    plans.make(request, settings)
    cluster = connect() if api is None else api
    plan = plans.make(request, settings, image=task_image(cluster))
    _announce(plan)
    try:
        _launch(cluster, plan)
        if not job_directory.has(plan.prefix, plans.OUTPUT):
            # An earlier attempt fetched them and died before KFP had stored them.
            _logger.warning("the application has ended, but its results are gone: running again")
            _forget(cluster, plan)
            _launch(cluster, plan)
    except UserError:
        # Reports and anomalies that explain it are outputs, too.
        with suppress(UserError):
            _fetch(plan, outputs)
        raise
    _fetch(plan, outputs)
    _write_output(plan)
    _clean_up(plan)


def _announce(plan: SparkPlan) -> None:
    """Write the request to the application's folder, where the driver reads it.

    This also shows, before anything starts, whether the task may write there.
    """
    _logger.info("SparkApplication %s works in %s", plan.application.name, plan.prefix)
    job_directory.write_text(plan.prefix, plans.REQUEST, plan.request.to_json())


def _launch(api: Api, plan: SparkPlan) -> None:
    application = plan.application
    pods = application.pods
    policies = JobNetworkPolicies(
        api,
        spark_application.network_policy,
        pods.network_policy,
        "processing.kubernetes.network_policy",
        f"ports {', '.join(map(str, spark_application.PORTS.values()))}",
    )
    launch.run_program(
        api,
        launch.Launch(
            kind=SPARK_APPLICATION,
            resource=plan.resource,
            judge=spark_application.judge,
            deadline_seconds=pods.deadline_seconds,
            pod_selector=spark_application.pod_selector(application.name),
            chief_selector=spark_application.driver_selector(application.name),
            container=spark_application.DRIVER,
            grace_seconds=pods.grace_seconds,
            # The driver goes on with the executors that there are.
            needs_all_pods=False,
            final_exit_codes=frozenset({USER_ERROR_EXIT_CODE}),
            on_change=policies.add,
        ),
    )


def _fetch(plan: SparkPlan, outputs: Mapping[str, Path]) -> None:
    """Fetch the output artifacts that the driver did not write to a volume."""
    for name, uri in plan.request.outputs.items():
        if storage.is_remote(uri) and job_directory.exists(plan.output(name)):
            files.remove(outputs[name])
            job_directory.fetch(plan.output(name), outputs[name])


def _write_output(plan: SparkPlan) -> None:
    text = job_directory.read_text(plan.prefix, plans.OUTPUT)
    found = with_uris(json.loads(text), plan.request.outputs)
    target = Path(plan.request.executor_input["outputs"]["outputFile"])
    files.write_text(target, json.dumps(found, ensure_ascii=False))


def _clean_up(plan: SparkPlan) -> None:
    try:
        job_directory.remove(plan.prefix, first=plans.OUTPUT)
    except UserError as error:
        # The results are fetched; a store that denies deletion must not lose them.
        _logger.warning("%s is not removed: %s", plan.prefix, error)


def _forget(api: Api, plan: SparkPlan) -> None:
    """Delete an application that has ended, so that the next launch creates it again."""
    with suppress(NotFoundError):
        api.delete(SPARK_APPLICATION, plan.application.name)
