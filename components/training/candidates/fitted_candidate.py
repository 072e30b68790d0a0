"""A candidate, before and after its training."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kfp_tabular.components.common.artifacts.findings import Findings
from kfp_tabular.components.training.distributed.agreement import Agreement
from kfp_tabular.components.training.distributed.replica_role import ReplicaRole
from kfp_tabular.components.training.input.training_data import TrainingData
from kfp_tabular.components.training.model.logits_model import LogitsModel
from kfp_tabular.components.training.worker_settings import WorkerSettings


@dataclass(frozen=True)
class CandidateContext:
    """What a candidate is trained with.

    Attributes:
        settings: What to train on and how.
        replica: This process's role.
        strategy: From `strategy.join`.
        agreement: Agreement with the other processes.
        data: The input.
        peers_seconds: With parameter servers, the longest time that some steps may take.
        checkpoints: Where the training's state is kept, from `checkpoints.directory`; empty for
            nowhere.
        findings: Receives what is limited or left out.
        seconds: How long a candidate may train, over all attempts.
        seconds_before: How long reading took, which counts towards the budget.
    """

    settings: WorkerSettings
    replica: ReplicaRole
    strategy: Any
    agreement: Agreement
    data: TrainingData
    peers_seconds: float
    checkpoints: str
    findings: Findings
    seconds: float = math.inf
    seconds_before: float = 0.0


def _nothing() -> None:
    """Do nothing."""


@dataclass(frozen=True)
class FittedCandidate:
    """A trained candidate.

    Attributes:
        name: Its model type, or the name of the model function.
        model: The model, with the weights that were kept.
        history: Measurements at every evaluation, with `step`, `epoch` and `train_loss`.
        steps: Steps of a network; for trees, the number of trees grown.
        best_step: The step whose weights were kept.
        epochs: Passes over the train split.
        seconds: Time of its training, over all attempts.
        rows_per_second: Training rows read per second.
        parameters: Numbers that were learned.
        size: Bytes of its numbers in the exported model.
        objective: The metric that decided on its weights, without the name of its split.
        schedule: When it was evaluated: `interval` and more, for the report.
        remove_state: Waits for uploads of its state, and removes it.
    """

    name: str
    model: LogitsModel
    history: Sequence[Mapping[str, float]]
    steps: int
    best_step: int
    epochs: float
    seconds: float
    rows_per_second: float
    parameters: int
    size: int
    objective: str
    schedule: Mapping[str, Any] = field(default_factory=dict)
    remove_state: Callable[[], None] = _nothing

    def metrics(self) -> dict[str, float]:
        """Return the metrics of how it was trained."""
        return {
            "steps": float(self.steps),
            "best_step": float(self.best_step),
            "epochs": self.epochs,
            "seconds": self.seconds,
            "rows_per_second": self.rows_per_second,
        }
