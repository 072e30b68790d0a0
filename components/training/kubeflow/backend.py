"""Trains as a job on the cluster, and brings the results back into the task."""

import json
import logging
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kfp_tabular.components.common import storage
from kfp_tabular.components.common.errors import (
    USER_ERROR_EXIT_CODE,
    UserError,
    find_user_error,
)
from kfp_tabular.components.common.kubernetes.client.api import Api, connect
from kfp_tabular.components.common.kubernetes.client.errors import JobFailedError, NotFoundError
from kfp_tabular.components.common.kubernetes.jobs import launch
from kfp_tabular.components.common.training_job.task_image import task_image
from kfp_tabular.components.training.kubeflow import job_directory
from kfp_tabular.components.training.kubeflow import plan as planning
from kfp_tabular.components.training.kubeflow.plan import Artifacts, Plan
from kfp_tabular.components.training.settings import Settings
from kfp_tabular.components.training.training_record import RESULT_FILE

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Order:
    """What a task wants trained on the cluster.

    Attributes:
        settings: What every training process is told. `output` and `logs` are where the results
            are to be, on this machine.
        artifacts: Where the task's artifacts are for other pods.
        backend: `tfjob` or `trainjob`.
        job: The `job` document.
        workers: How many processes train, unless the document says it.
        run_id: The pipeline run.
    """

    settings: Settings
    artifacts: Artifacts
    backend: str
    job: Mapping[str, Any] = field(default_factory=dict)
    workers: int = 1
    run_id: str = ""


def run(order: Order, api: Api | None = None) -> None:
    """Trains, and leaves model and logs where the settings say.

    Args:
        order: What is wanted.
        api: Access to the cluster; None to connect as the pod or the kubeconfig says.

    Raises:
        UserError: For a document or an artifact that does not fit, a missing permission, or input
            that the training program blames.
        JobFailedError: The job failed, or did not end in time.
        SystemExit: With 143, after SIGTERM; the job is deleted before.
    """
    settings = order.settings
    if settings.output is None or settings.logs is None:
        raise ValueError("a job on the cluster needs a place for model and logs")
    settings.check()
    # Before anything is asked of the cluster: a bad document needs none to be found.
    _plan(order, image="")
    cluster = connect() if api is None else api
    plan = _plan(order, image=task_image(cluster))
    _announce(plan)
    _train(cluster, plan)
    if not job_directory.has(plan.logs, RESULT_FILE):
        # An attempt before this one had fetched them and died before KFP had stored them.
        _logger.warning("the job has ended, but its results are gone: training again")
        _forget(cluster, plan)
        _train(cluster, plan)
    job_directory.fetch(plan.model, settings.output)
    job_directory.fetch(plan.logs, settings.logs)
    _clean_up(plan)


def _clean_up(plan: Plan) -> None:
    try:
        job_directory.remove(plan.prefix, first=f"{planning.LOGS}/{RESULT_FILE}")
    except UserError as error:
        # The results are here; that the store lets nobody delete is no reason to lose them.
        _logger.warning("%s stays: %s", plan.prefix, error)


def _plan(order: Order, image: str) -> Plan:
    return planning.make(
        order.settings,
        order.artifacts,
        backend=order.backend,
        job=order.job,
        workers=order.workers,
        run_id=order.run_id,
        image=image,
    )


def _announce(plan: Plan) -> None:
    """Writes down what is asked for, which also shows whether this task may write there.

    That it may not should not come out when the training is done.
    """
    _logger.info("%s %s works in %s", plan.kind.resource.kind, plan.spec.name, plan.prefix)
    with tempfile.TemporaryDirectory(prefix="kfp-tabular-") as folder:
        document = Path(folder) / planning.REQUEST
        text = json.dumps(plan.resource["spec"], indent=2, sort_keys=True, ensure_ascii=False)
        document.write_text(text, encoding="utf-8")
        storage.upload(document, f"{plan.prefix}/{planning.REQUEST}")


def _train(api: Api, plan: Plan) -> None:
    settings, kind = plan.spec.settings, plan.kind
    job = launch.Launch(
        kind=kind.resource,
        resource=plan.resource,
        judge=kind.judge,
        deadline_seconds=settings.deadline_seconds,
        pod_selector=kind.pod_selector(plan.spec.name),
        chief_selector=kind.chief_selector(plan.spec.name),
        container=kind.container,
        grace_seconds=settings.grace_seconds,
        # Bad input does not get better by a restart, and a TFJob has no rule to say so.
        final_exit_codes=frozenset({USER_ERROR_EXIT_CODE}),
    )
    try:
        launch.run(api, job)
    except JobFailedError as error:
        blamed = find_user_error(str(error).splitlines())
        if not blamed and error.exit_code == USER_ERROR_EXIT_CODE:
            # Its log could not be had.
            blamed = str(error)
        if blamed:
            raise UserError(blamed) from error
        raise


def _forget(api: Api, plan: Plan) -> None:
    """Deletes a job that has ended, so that the next launch makes it again."""
    with suppress(NotFoundError):
        api.delete(plan.kind.resource, plan.spec.name)
