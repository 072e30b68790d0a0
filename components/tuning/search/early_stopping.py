"""Early stopping of trials that do worse than earlier ones, by Katib's rule `medianstop`.

Despite its name, the rule compares with a mean. Each trial that succeeded is averaged over its
first `start_step` reports, and these averages are averaged. A new trial gets the result as its
threshold when it starts, and is judged once, at its own report number `start_step`, by its best
report so far (Katib 0.19, `pkg/earlystopping/v1beta1/medianstop` and the file metrics collector).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from kfp_tabular.components.tuning.options import MEDIAN_STOP, SearchOptions
from kfp_tabular.components.tuning.search.objective import Objective


@dataclass(frozen=True)
class MedianStop:
    """The rule and its settings, under Katib's names.

    Attributes:
        min_trials_required: Number of trials that must succeed before one is judged.
        start_step: Number of reports to average, after which a trial is judged.
    """

    min_trials_required: int
    start_step: int

    def threshold(self, succeeded: Iterable[Sequence[float]]) -> float | None:
        """Return the value that a trial which starts now must reach.

        Args:
            succeeded: The reports of each trial that succeeded.

        Returns:
            The mean of their means; None while too few trials succeeded.

        Example:
            >>> MedianStop(min_trials_required=2, start_step=2).threshold([[0.2, 0.4], [0.6, 0.8]])
            0.5
        """
        heads = (
            [report for report in reports[: self.start_step] if math.isfinite(report)]
            for reports in succeeded
        )
        means = [fmean(head) for head in heads if head]
        if not means or len(means) < self.min_trials_required:
            return None
        return fmean(means)

    def stops(
        self, reports: Sequence[float], threshold: float | None, objective: Objective
    ) -> bool:
        """Return whether to stop a trial.

        Args:
            reports: What the trial reported so far.
            threshold: The result of `threshold` when the trial started.
            objective: Which values are better.
        """
        if threshold is None or len(reports) < self.start_step:
            return False
        finite = [report for report in reports[: self.start_step] if math.isfinite(report)]
        return not finite or objective.is_better(threshold, than=objective.best(finite))


def rule(options: SearchOptions) -> MedianStop | None:
    """Return the early stopping rule of a search; None for `none`.

    Example:
        >>> rule(SearchOptions(early_stopping="none")) is None
        True
    """
    if options.early_stopping != MEDIAN_STOP:
        return None
    return MedianStop(options.min_trials_required, options.start_step)
