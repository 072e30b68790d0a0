"""The Katib backend: creates the Experiment, waits for it, and reads its trials."""

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
from kfp_tabular.components.common.kubernetes.client.resource_kinds import (
    EXPERIMENT,
    POD,
    SUGGESTION,
    TRIAL,
    Object,
)
from kfp_tabular.components.common.kubernetes.jobs import launch
from kfp_tabular.components.common.kubernetes.task_image import task_image
from kfp_tabular.components.common.training_job.network_policy import NetworkPolicies
from kfp_tabular.components.tuning.katib import experiment_status, pod_failures
from kfp_tabular.components.tuning.katib.experiment import ExperimentSpec
from kfp_tabular.components.tuning.katib.experiment_plan import plan
from kfp_tabular.components.tuning.katib.experiment_request import ExperimentRequest
from kfp_tabular.components.tuning.search import trial_models
from kfp_tabular.components.tuning.search.search_result import SearchResult
from kfp_tabular.components.tuning.search.trials import Trial, failure

_SUGGESTION_FAILED = "Suggestion has failed"

_logger = logging.getLogger(__name__)


def run(request: ExperimentRequest, run_id: str, api: Api | None = None) -> SearchResult:
    """Run an Experiment to its end.

    Args:
        request: What to search.
        run_id: The pipeline run; a retried task finds its Experiment by it.
        api: Access to the cluster; None to connect as the pod or the kubeconfig says.

    Raises:
        UserError: If Katib cannot run the search or rejects it, or every trial failed for bad
            input or configuration.
        RuntimeError: If too many trials failed for other reasons, or none reported the objective.
        JobFailedError: If the search took too long, the Experiment was deleted, or no pod could
            start.
        SystemExit: With code 143, after SIGTERM; the Experiment is deleted first.
    """
    # A request that does not fit must fail even without access to a cluster.
    plan(request, run_id)
    api = connect() if api is None else api
    planned = plan(request, run_id, image=task_image(api))
    spec, name = planned.spec, planned.name
    selector = f"{experiment_status.EXPERIMENT_LABEL}={name},{experiment_status.TRIAL_LABEL}"
    judge = partial(experiment_status.judge, objective=spec.objective)
    job = spec.trial.settings
    policies = NetworkPolicies(api, spec.kind.job, job)
    _logger.info("searching with the Experiment %s in namespace %s", name, api.namespace)
    given = spec.options
    trial_models.log_narrowing(given.hyperparameters(), spec.space, given.model_fn)
    with pod_failures.watched(api, selector, spec.kind.job.container) as failures:
        try:
            ended = launch.run(
                api,
                launch.Launch(
                    kind=EXPERIMENT,
                    resource=planned.resource,
                    judge=judge,
                    deadline_seconds=job.deadline_seconds,
                    pod_selector=selector,
                    container=spec.kind.job.container,
                    grace_seconds=job.grace_seconds,
                    needs_all_pods=False,
                    remains=partial(_remains, name=name),
                    on_change=partial(_open_ports, api, policies, name),
                ),
            )
        except DeletedError:
            raise
        except JobFailedError as error:
            if not error.over:
                raise
            _raise_if_refused(api, name, error)
            trials = _trials(api, name, spec, failures)
            failed = [trial for trial in trials if trial.state == "failed"]
            why = str(error).partition("\n")[0]
            raise failure(failed, why) from error
        trials = _trials(api, name, spec, failures)
    best = experiment_status.optimal_trial(ended)
    leader = next((trial for trial in trials if trial.name == best), None)
    if leader is None:
        raise RuntimeError(f"tuning: Katib's best trial, {best}, was deleted.")
    return SearchResult(
        trials=trials,
        best=leader,
        space=spec.space,
        objective=spec.objective,
        algorithm=spec.options.algorithm,
        facts={"experiment": f"{api.namespace}/{name}", "trial": leader.name},
        notes={"Experiment": name, "ended by": judge(ended).reason},
    )


def _open_ports(api: Api, policies: NetworkPolicies, name: str, _experiment: Object) -> None:
    """Let the pods of each trial reach each other. A trial's job has the trial's name."""
    if policies.wanted:
        for trial in api.list(TRIAL, labels=f"{experiment_status.EXPERIMENT_LABEL}={name}").items:
            # Items of a list come without the two.
            policies.add({"apiVersion": TRIAL.api_version, "kind": TRIAL.kind, **trial})


def _trials(
    api: Api, name: str, spec: ExperimentSpec, failures: pod_failures.PodFailures
) -> list[Trial]:
    listed = api.list(TRIAL, labels=f"{experiment_status.EXPERIMENT_LABEL}={name}")
    return experiment_status.trials(
        listed.items, spec.space, spec.objective, spec.additional_metrics, failures.by_trial()
    )


def _remains(api: Api, name: str) -> bool:
    """Return whether parts of a deleted Experiment still exist.

    Katib finds them by name, and would mistake them for those of the next Experiment.
    """
    labels = f"{experiment_status.EXPERIMENT_LABEL}={name}"
    lookups: list[Callable[[], object]] = [
        lambda: api.list(TRIAL, labels=labels).items,
        lambda: api.list(POD, labels=labels).items,
        lambda: api.get(SUGGESTION, name),
    ]
    for lookup in lookups:
        with suppress(NotFoundError, ForbiddenError):
            if lookup():
                return True
    return False


def _raise_if_refused(api: Api, name: str, error: JobFailedError) -> None:
    """Raise the reason of Katib's service for the algorithm, if that ended the search.

    Raises:
        UserError: With the service's message.
    """
    if _SUGGESTION_FAILED not in str(error):
        return
    try:
        # The Suggestion has the Experiment's name.
        reason = experiment_status.failure(api.get(SUGGESTION, name))
    except (NotFoundError, ForbiddenError):
        reason = ""
    raise UserError(
        f"tuning: Katib cannot run this search: {reason or 'see the Suggestion of that name'} "
        f"(Experiment {name})."
    ) from error
