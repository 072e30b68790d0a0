"""The arguments of `train_model`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kfp_tabular.components.common.documents import at_least, one_of
from kfp_tabular.components.common.options import option
from kfp_tabular.components.common.outcome_value import OUTCOME_VALUES
from kfp_tabular.components.common.training_options import BaseHyperparameters, LearningOptions

NO_CALIBRATION, TEMPERATURE, ISOTONIC = "none", "temperature", "isotonic"

LOCAL = "local"
BACKENDS = (LOCAL, "tfjob", "trainjob")
"""All backends: `local` and the names of `job_kinds.DISTRIBUTED_JOB_KINDS`, which is not imported
because every worker imports this module and none needs Kubernetes."""


VALUE = "value"
"""The decision threshold that follows from what outcomes are worth."""


def _threshold(value: str) -> None:
    try:
        number = 0.5 if value == VALUE else float(value)
    except ValueError:
        number = 0.0
    if not 0 < number < 1:
        raise ValueError(f"expected a number between 0 and 1, or {VALUE}")


@dataclass(frozen=True, kw_only=True)
class WorkerOptions(LearningOptions):
    """The arguments that every worker gets, beside the hyperparameters."""

    decision_threshold: str = option(
        "0.5",
        """A binary model predicts the positive class, the second one, from this probability on,
        between 0 and 1: at the endpoint and in the evaluation. `value`: the one of highest value on
        the eval split, by `outcome_values`.""",
        check=_threshold,
    )
    calibration: str = option(
        "none",
        """How probabilities are calibrated on the eval split, inside the exported model:
        `temperature` divides the logits, `isotonic` (two classes) maps them by a rising function
        and needs about a thousand rows of each class. Evaluate on another split.""",
        check=one_of(NO_CALIBRATION, TEMPERATURE, ISOTONIC),
    )
    budget_seconds: int = option(
        0,
        """Most seconds that reading and training take, for all candidates of `auto` together. One
        that would take more than its share is stopped and kept at its best state so far, which a
        finding reports; the result then depends on the machine. Choosing and writing the model
        come on top. 0 bounds the work by rules on rows and columns only.""",
        check=at_least(0),
    )

    @property
    def threshold(self) -> float:
        """The decision threshold of the model as it is exported first; 0.5 if value chooses it."""
        return 0.5 if self.decision_threshold == VALUE else float(self.decision_threshold)


@dataclass(frozen=True, kw_only=True)
class PlacementOptions:
    """The arguments that choose where training runs."""

    workers: int = option(
        1,
        """Worker processes that train together, the chief included. Each takes an equal share of
        the rows.""",
        check=at_least(1),
    )
    checkpoint_uri: str = option(
        "",
        """Directory for checkpoints that outlives the task, such as one on a mounted volume.
        Workers on several machines must share it. Empty uses a directory in `training_logs`, or
        one of the job's own. Removed once the model is written.""",
    )
    backend: str = option(
        LOCAL,
        """Where training runs: `local` (processes of this task), or as a job on the cluster:
        `tfjob` (Training Operator) or `trainjob` (Kubeflow Trainer). The outputs are the same.""",
        check=one_of(*BACKENDS),
    )
    job: Mapping[str, Any] = option(
        {},
        """What the job asks of the cluster: `image`, `cpu`, `memory`, `gpus`, `node_selector`,
        `tolerations`, `volumes`, `secrets`, `object_store`, `deadline_seconds` and more; see the
        guide on distributed training. `local` ignores it.""",
    )
    run_id: str = option(
        "",
        """The pipeline run, used in the job's name and labels; a retried task finds its job by it.
        Empty derives it from the outputs' URIs: an argument that differs from run to run would
        keep the task from being cached.""",
    )


@dataclass(frozen=True, kw_only=True)
class TrainingOptions(PlacementOptions, WorkerOptions, BaseHyperparameters):
    """All arguments of `train_model` that are not artifacts.

    Example:
        >>> TrainingOptions(epochs=3, workers=2).early_stopping_patience
        5
    """

    outcome_values: Mapping[str, Any] = option({}, OUTCOME_VALUES)
