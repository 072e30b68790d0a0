"""Trains as a job on the cluster, and fetches the results into the task."""

import json
import logging
from contextlib import suppress

from kfp_tabular.components.common.errors import USER_ERROR_EXIT_CODE, UserError
from kfp_tabular.components.common.kubernetes.client.api import Api, connect
from kfp_tabular.components.common.kubernetes.client.errors import NotFoundError
from kfp_tabular.components.common.kubernetes.jobs import launch
from kfp_tabular.components.common.kubernetes.task_image import task_image
from kfp_tabular.components.common.storage import job_directory
from kfp_tabular.components.common.training_job.network_policy import NetworkPolicies
from kfp_tabular.components.training.kubeflow import job_plan
from kfp_tabular.components.training.kubeflow.job_plan import TrainingJobPlan, TrainingJobRequest
from kfp_tabular.components.training.training_record import RESULT_FILE

_logger = logging.getLogger(__name__)


def run(request: TrainingJobRequest, api: Api | None = None) -> None:
    """Train, and write model and logs to the settings' directories.

    Args:
        request: What to train.
        api: Access to the cluster; None to connect with the pod's account or the kubeconfig.

    Raises:
        UserError: If a document or an artifact does not fit, a permission is missing, or the
            training program reports a user error.
        JobFailedError: If the job failed, or did not end in time.
        SystemExit: With 143, after SIGTERM; the job is deleted first.
    """
    settings = request.settings
    if settings.output is None or settings.logs is None:
        raise ValueError("a job on the cluster needs directories for model and logs")
    settings.check()
    # Before connecting: a document that does not fit is reported without a cluster, too.
    job_plan.make(request)
    cluster = connect() if api is None else api
    plan = job_plan.make(request, image=task_image(cluster))
    _announce(plan)
    _train(cluster, plan)
    if not job_directory.has(plan.logs, RESULT_FILE):
        # An earlier attempt fetched them and died before KFP had stored them.
        _logger.warning("the job has ended, but its results are gone: training again")
        _forget(cluster, plan)
        _train(cluster, plan)
    job_directory.fetch(plan.model, settings.output)
    job_directory.fetch(plan.logs, settings.logs)
    _clean_up(plan)


def _clean_up(plan: TrainingJobPlan) -> None:
    try:
        job_directory.remove(plan.prefix, first=f"{job_plan.LOGS}/{RESULT_FILE}")
    except UserError as error:
        # The results are fetched; a store that denies deletion must not lose them.
        _logger.warning("%s is not removed: %s", plan.prefix, error)


def _announce(plan: TrainingJobPlan) -> None:
    """Write the job's spec to its directory.

    This also shows, before training starts, whether the task may write there.
    """
    _logger.info("%s %s works in %s", plan.kind.resource.kind, plan.spec.name, plan.prefix)
    text = json.dumps(plan.resource["spec"], indent=2, sort_keys=True, ensure_ascii=False)
    job_directory.write_text(plan.prefix, job_plan.REQUEST, text)


def _train(api: Api, plan: TrainingJobPlan) -> None:
    settings, kind = plan.spec.settings, plan.kind
    policies = NetworkPolicies(api, kind, settings)
    job = launch.Launch(
        kind=kind.resource,
        resource=plan.resource,
        judge=kind.judge,
        deadline_seconds=settings.deadline_seconds,
        pod_selector=kind.pod_selector(plan.spec.name),
        chief_selector=kind.chief_selector(plan.spec.name),
        container=kind.container,
        grace_seconds=settings.grace_seconds,
        # A restart does not fix bad input, and a TFJob has no rule for that.
        final_exit_codes=frozenset({USER_ERROR_EXIT_CODE}),
        on_change=policies.add,
    )
    launch.run_program(api, job)


def _forget(api: Api, plan: TrainingJobPlan) -> None:
    """Delete a job that has ended, so that the next launch creates it again."""
    with suppress(NotFoundError):
        api.delete(plan.kind.resource, plan.spec.name)
