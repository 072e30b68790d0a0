"""The Experiment of a task: a search, under a name that follows from what it is for."""

from dataclasses import asdict, dataclass, replace
from typing import Any

from kfp_tabular.components.common.kubernetes.client.kinds import EXPERIMENT
from kfp_tabular.components.common.kubernetes.names import Identity, input_digest
from kfp_tabular.components.tuning.katib.experiment import ExperimentSpec, experiment
from kfp_tabular.components.tuning.katib.experiment_checks import (
    Wanted,
    check,
    check_name,
    check_placeholders,
)

TASK = "tune-hyperparameters"


@dataclass(frozen=True)
class Order:
    """A search, and the resource that stands for it.

    Attributes:
        spec: The search, with its name.
        resource: The wanted Experiment.
    """

    spec: ExperimentSpec
    resource: dict[str, Any]

    @property
    def name(self) -> str:
        """The Experiment's name."""
        return self.spec.trial.name


def order(wanted: Wanted, run_id: str, *, image: str = "", name: str = "") -> Order:
    """Makes the Experiment of a task.

    Args:
        wanted: What to search.
        run_id: The pipeline run, which the name follows from.
        image: The image of the trials' pods, unless `job` says it.
        name: The Experiment's name; empty for one that is the same in every attempt of a task, and
            another for every other search.

    Raises:
        UserError: Where Katib could not do it, or a name does not fit.
    """
    spec = check(wanted)
    identity = Identity(run_id, TASK, input_digest(asdict(wanted)))
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
    return Order(spec, resource)
