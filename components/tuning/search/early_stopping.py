"""Stops a trial that does worse than earlier ones did, by Katib's `medianstop`.

Despite its name it compares with a mean: each trial that succeeded is averaged over its first
`start_step` reports, and those averages are averaged. A new trial gets that value when it starts
and is judged once, at its own report number `start_step`, by its best report so far.
(Katib 0.19, pkg/earlystopping/v1beta1/medianstop and the file metrics collector.)
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.components.tuning.search.objective import Objective

ALGORITHMS = ("none", "medianstop")


@dataclass(frozen=True)
class MedianStop:
    """The rule's settings, under Katib's names and with its defaults.

    Attributes:
        min_trials_required: So many trials must have succeeded before one is judged.
        start_step: The number of reports that are averaged, and after which a trial is judged.
    """

    min_trials_required: int = 3
    start_step: int = 4

    def threshold(self, succeeded: Iterable[Sequence[float]]) -> float | None:
        """Gives the value that a trial that starts now must reach.

        Args:
            succeeded: The reports of each trial that succeeded.

        Returns:
            The mean of their means; None while too few succeeded.
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
        """Tells whether a trial is to be stopped.

        Args:
            reports: What the trial reported so far.
            threshold: What `threshold` gave when the trial started.
            objective: What better means.
        """
        if threshold is None or len(reports) < self.start_step:
            return False
        finite = [report for report in reports[: self.start_step] if math.isfinite(report)]
        return not finite or objective.better(threshold, than=objective.best(finite))


def rule(name: str, min_trials_required: int, start_step: int) -> MedianStop | None:
    """Gives the early stopping that was asked for.

    Args:
        name: `medianstop`, or `none`.
        min_trials_required: See `MedianStop`.
        start_step: See `MedianStop`.

    Returns:
        The rule; None for `none`.

    Raises:
        UserError: For another name, or a number below 1.
    """
    if name not in ALGORITHMS:
        raise UserError(
            f"early_stopping: {name!r} is unknown.{closest(name, ALGORITHMS)} "
            f"There are {', '.join(ALGORITHMS)}."
        )
    for setting, value in (
        ("min_trials_required", min_trials_required),
        ("start_step", start_step),
    ):
        if value < 1:
            raise UserError(f"{setting}: must be at least 1, found {value}.")
    if name == "none":
        return None
    return MedianStop(min_trials_required=min_trials_required, start_step=start_step)
