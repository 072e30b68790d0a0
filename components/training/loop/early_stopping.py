"""Which evaluation is the best so far, and when to stop waiting for a better one."""

import math
from dataclasses import dataclass

from kfp_tabular.components.training.model.prediction_metrics import better


@dataclass
class EarlyStopping:
    """Follows the objective over the evaluations.

    Attributes:
        metric: The objective, without its split's name.
        patience: Evaluations without improvement before it says stop; 0 never does.
        best: The best value so far; None before the first.
        best_step: The step of the best value.
        waited: Evaluations since the best.
    """

    metric: str
    patience: int
    best: float | None = None
    best_step: int = 0
    waited: int = 0

    def update(self, value: float, step: int) -> bool:
        """Takes in an evaluation, and says whether it is the best so far.

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
        """Whether to stop."""
        return bool(self.patience) and self.waited >= self.patience
