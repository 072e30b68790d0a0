"""Early stopping: the best evaluation so far, and when to stop training."""

import math
from dataclasses import dataclass

from kfp_tabular.components.training.model.prediction_metrics import better


@dataclass
class EarlyStopping:
    """The objective over the evaluations of a training.

    Attributes:
        metric: The objective, without the name of its split.
        patience: Evaluations without improvement before training stops; 0 never stops early.
        best: The best value so far; None before the first.
        best_step: The step of the best value.
        waited: Evaluations since the best.

    Example:
        >>> early_stopping = EarlyStopping("auc", patience=1)
        >>> early_stopping.update(0.8, step=10), early_stopping.update(0.7, step=20)
        (True, False)
        >>> early_stopping.exhausted
        True
    """

    metric: str
    patience: int
    best: float | None = None
    best_step: int = 0
    waited: int = 0

    def update(self, value: float, step: int) -> bool:
        """Record an evaluation and return whether it is the best so far.

        Args:
            value: The objective; one that is not finite is never the best.
            step: The step at which it was measured.
        """
        if math.isfinite(value) and better(self.metric, value, self.best):
            self.best, self.best_step, self.waited = value, step, 0
            return True
        self.waited += 1
        return False

    @property
    def exhausted(self) -> bool:
        """Whether training should stop."""
        return bool(self.patience) and self.waited >= self.patience
