"""The Experiment of a task: the resource, under a name that follows from what it searches."""

from dataclasses import dataclass, replace
from typing import Any

from kfp_tabular.components.common.kubernetes.client.resource_kinds import EXPERIMENT
from kfp_tabular.components.common.kubernetes.names import Identity, input_digest
from kfp_tabular.components.tuning.katib.experiment import ExperimentSpec, experiment
from kfp_tabular.components.tuning.katib.experiment_checks import (
    check,
    check_name,
    check_placeholders,
)
from kfp_tabular.components.tuning.katib.experiment_request import ExperimentRequest

TASK = "tune-hyperparameters"


@dataclass(frozen=True)
class ExperimentPlan:
    """A search, and the Experiment that runs it.

    Attributes:
        spec: The search, with its name.
        resource: The Experiment to create.
    """

    spec: ExperimentSpec
    resource: dict[str, Any]

    @property
    def name(self) -> str:
        """The Experiment's name."""
        return self.spec.trial.name


def plan(
    request: ExperimentRequest, run_id: str, *, image: str = "", name: str = ""
) -> ExperimentPlan:
    """Return the Experiment of a task.

    Args:
        request: What to search.
        run_id: The pipeline run, from which the name follows.
        image: The image of the trials' pods if `job` has none.
        name: The Experiment's name. Empty: one that is the same in every attempt of a task, and
            different for every other search.

    Raises:
        UserError: If Katib could not run the search, or the name is not valid.

    Example:
        >>> from kfp_tabular.components.tuning.options import TuningOptions
        >>> options = TuningOptions(max_trials=12, epochs=5)
        >>> request = ExperimentRequest(options, "gs://b/examples", "gs://b/graph", "binary")
        >>> planned = plan(request, "run-7", name="taxi-search")
        >>> planned.name, planned.resource["spec"]["objective"]["objectiveMetricName"]
        ('taxi-search', 'eval_auc')
    """
    spec = check(request)
    identity = Identity(run_id, TASK, input_digest(request.digest_input()))
    settings = spec.trial.settings
    trial = replace(
        spec.trial,
        name=name or identity.name(EXPERIMENT, limit=spec.kind.name_limit),
        labels=identity.labels(),
        settings=replace(settings, image=settings.image or image),
    )
    check_name(trial.name, spec.kind)
    spec = replace(spec, trial=trial)
    resource = experiment(spec)
    check_placeholders(resource)
    return ExperimentPlan(spec, resource)
