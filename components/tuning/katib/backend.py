"""Searches with Katib: creates the Experiment, waits for it, and reads what came of it."""

import logging
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.kubernetes.client.api import Api, connect
from kfp_tabular.components.common.kubernetes.client.errors import (
    DeletedError,
    ForbiddenError,
    JobFailedError,
    NotFoundError,
)
from kfp_tabular.components.common.kubernetes.client.kinds import (
    EXPERIMENT,
    POD,
    SUGGESTION,
    TRIAL,
)
from kfp_tabular.components.common.kubernetes.jobs import launch
from kfp_tabular.components.common.training_job.task_image import task_image
from kfp_tabular.components.tuning.katib import experiment_status, pod_failures
from kfp_tabular.components.tuning.katib.experiment import ExperimentSpec
from kfp_tabular.components.tuning.katib.experiment_checks import Wanted
from kfp_tabular.components.tuning.katib.experiment_plan import order
from kfp_tabular.components.tuning.search.search_result import Found
from kfp_tabular.components.tuning.search.trials import Trial, failure

_SUGGESTION_FAILED = "Suggestion has failed"

_logger = logging.getLogger(__name__)


def run(wanted: Wanted, run_id: str, api: Api | None = None) -> Found:
    """Runs an Experiment to its end.

    Args:
        wanted: What to search.
        run_id: The pipeline run; with it, a retried task finds its Experiment again.
        api: Access to the cluster; None to connect as the environment says.

    Raises:
        UserError: Where Katib could not do it, or it was refused, or every trial failed for bad
            input or configuration.
        RuntimeError: Where too many trials failed otherwise, or none gave the objective a value.
        JobFailedError: Where it took too long, was deleted by somebody else, or no pod could start.
        SystemExit: With code 143, after SIGTERM; the Experiment is deleted before.
    """
    # Before anything is asked of the cluster: a bad request needs none to be found.
    order(wanted, run_id)
    api = connect() if api is None else api
    ordered = order(wanted, run_id, image=task_image(api))
    spec, name = ordered.spec, ordered.name
    selector = f"{experiment_status.EXPERIMENT_LABEL}={name},{experiment_status.TRIAL_LABEL}"
    judge = partial(experiment_status.judge, objective=spec.objective)
    job = spec.trial.settings
    _logger.info("searching with the Experiment %s in namespace %s", name, api.namespace)
    with pod_failures.watched(api, selector, spec.kind.job.container) as failures:
        try:
            ended = launch.run(
                api,
                launch.Launch(
                    kind=EXPERIMENT,
                    resource=ordered.resource,
                    judge=judge,
                    deadline_seconds=job.deadline_seconds,
                    pod_selector=selector,
                    container=spec.kind.job.container,
                    grace_seconds=job.grace_seconds,
                    needs_all_pods=False,
                    remains=partial(_remains, name=name),
                ),
            )
        except DeletedError:
            raise
        except JobFailedError as error:
            if not error.over:
                raise
            _refused(api, name, error)
            trials = _trials(api, name, spec, failures)
            failed = [trial for trial in trials if trial.state == "failed"]
            why = str(error).partition("\n")[0]
            raise failure(failed, why) from error
        trials = _trials(api, name, spec, failures)
    best = experiment_status.optimal_trial(ended)
    leader = next((trial for trial in trials if trial.name == best), None)
    if leader is None:
        raise RuntimeError(f"tuning: {best}, Katib's best trial, is gone; it was deleted.")
    return Found(
        trials=trials,
        leader=leader,
        space=spec.space,
        objective=spec.objective,
        algorithm=spec.algorithm,
        facts={"experiment": f"{api.namespace}/{name}", "trial": leader.name},
        notes={"Experiment": name, "ended by": judge(ended).reason},
    )


def _trials(
    api: Api, name: str, spec: ExperimentSpec, failures: pod_failures.PodFailures
) -> list[Trial]:
    listed = api.list(TRIAL, labels=f"{experiment_status.EXPERIMENT_LABEL}={name}")
    return experiment_status.trials(
        listed.items, spec.space, spec.objective, spec.additional_metrics, failures.by_trial()
    )


def _remains(api: Api, name: str) -> bool:
    """Tells whether something of an Experiment that is gone is still there.

    Katib finds all of it by the name, and would take it for the next Experiment's.
    """
    labels = f"{experiment_status.EXPERIMENT_LABEL}={name}"
    looks: list[Callable[[], object]] = [
        lambda: api.list(TRIAL, labels=labels).items,
        lambda: api.list(POD, labels=labels).items,
        lambda: api.get(SUGGESTION, name),
    ]
    for look in looks:
        with suppress(NotFoundError, ForbiddenError):
            if look():
                return True
    return False


def _refused(api: Api, name: str, error: JobFailedError) -> None:
    """Says what Katib's service for the algorithm did not like, where that ended the search.

    Raises:
        UserError: With the service's own words.
    """
    if _SUGGESTION_FAILED not in str(error):
        return
    try:
        # It has the Experiment's name.
        reason = experiment_status.failure(api.get(SUGGESTION, name))
    except (NotFoundError, ForbiddenError):
        reason = ""
    raise UserError(
        f"tuning: Katib does not do this search: {reason or 'see the Suggestion of its name'} "
        f"(Experiment {name})."
    ) from error
