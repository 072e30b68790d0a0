"""The differences of two models' metrics, each with the test that fits it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kfp_tabular.components.evaluation.comparison import delong, differences
from kfp_tabular.components.evaluation.comparison.differences import (
    LEVEL,
    Difference,
    PairedAccuracies,
    Studentized,
)
from kfp_tabular.components.evaluation.comparison.entities import Entities
from kfp_tabular.components.evaluation.comparison.multiplicity import CORRECTIONS
from kfp_tabular.components.evaluation.comparison.paired_answers import PairedCounts
from kfp_tabular.components.evaluation.metrics import directions
from kfp_tabular.components.evaluation.metrics.binary import BinaryStatistics
from kfp_tabular.components.evaluation.metrics.estimates import CellMetrics, Statistics

BETTER, WORSE, DIFFERENT, UNCLEAR = "better", "worse", "different", "unclear"

_ACCURACY, _AUC = "accuracy", "auc"


@dataclass(frozen=True)
class Comparison:
    """Both models' counts.

    Attributes:
        paired: Counts of both models' answers to the same rows.
        entities: The entities of the rows; None if every row is by itself.
    """

    paired: PairedCounts
    entities: Entities | None

    @property
    def is_clustered(self) -> bool:
        """Whether rows depend on each other, so that only entities are resampled."""
        return self.entities is not None and self.entities.repeat

    def differences(
        self,
        measured: Sequence[CellMetrics],
        statistics: Sequence[Statistics],
        slicing: int = 0,
        cell: int = 0,
    ) -> dict[str, Difference]:
        """Return the differences of the metrics on the rows of a cell, where they have a test.

        Args:
            measured: The metrics of both models.
            statistics: The statistics of both that the cell is in.
            slicing: 0 for all rows, or the place of a slicing from 1 on.
            cell: The cell.
        """
        ours, theirs = measured
        change = ours.minus(theirs)
        units = change.rows
        if self.entities is not None and self.is_clustered:
            units = min(units, self.entities.count)
        found: dict[str, Difference] = {}
        for metric, value in change.points.items():
            if not np.isfinite(value):
                continue
            replicates = change.replicates[metric]
            difference = self._tested(metric, value, statistics, slicing, cell)
            if difference is None:
                difference = differences.resampled(
                    value, replicates, units, clustered=self.is_clustered
                )
            if difference is not None:
                found[metric] = difference
        return found

    def _tested(
        self, metric: str, value: float, statistics: Sequence[Statistics], slicing: int, cell: int
    ) -> Difference | None:
        """Return a difference by a test of its own; None if the metric has none."""
        if metric == _ACCURACY and not self.is_clustered:
            return PairedAccuracies(self.paired.discordance(slicing, cell))
        first, second = statistics
        if not isinstance(first, BinaryStatistics) or not isinstance(second, BinaryStatistics):
            return None
        pairs = self.paired.pairs(slicing, cell) if metric == _AUC else None
        # A sample of rows has not all rows of an entity.
        if pairs is None or (self.is_clustered and not self.paired.is_complete):
            return None
        both = (first.ranks.histograms(cell), second.ranks.histograms(cell), pairs)
        if not self.is_clustered:
            error = delong.standard_error(*both)
            return None if error is None else Studentized(differences.DELONG, value, error, np.inf)
        found = delong.clustered_error(*both)
        if found is None:
            return None
        error, entities = found
        return Studentized(differences.CLUSTERED_DELONG, value, error, entities - 1.0)


def verdict(metric: str, change: float, p_value: float) -> str:
    """Return whether a change is shown to be for the better.

    Example:
        >>> verdict("auc", 0.01, 0.001), verdict("log_loss", 0.01, 0.001), verdict("auc", 0.01, 0.3)
        ('better', 'worse', 'unclear')
    """
    if p_value > LEVEL:
        return UNCLEAR
    improved = directions.sign(metric) * change
    if not improved:
        return DIFFERENT
    return BETTER if improved > 0 else WORSE


def rows(
    tested: Sequence[tuple[Mapping[str, Any], str, Difference]], correction: str = ""
) -> list[dict[str, Any]]:
    """Return the tests of differences as plain values.

    Args:
        tested: For each test what it is about, the metric, and the difference.
        correction: How p-values are adjusted within each metric; empty if they are not.
    """
    p_values = [difference.p_value() for _, _, difference in tested]
    adjusted = list(p_values)
    if correction:
        for metric in {name for _, name, _ in tested}:
            family = [at for at, (_, name, _) in enumerate(tested) if name == metric]
            changed = CORRECTIONS[correction]([p_values[at] for at in family]).tolist()
            for at, value in zip(family, changed, strict=True):
                adjusted[at] = value
    return [
        {
            **about,
            "metric": metric,
            "method": difference.method,
            "change": difference.value,
            "interval": list(difference.interval()),
            "p_value": p_value,
            **({"adjusted": value} if correction else {}),
            "verdict": verdict(metric, difference.value, value),
        }
        for (about, metric, difference), p_value, value in zip(
            tested, p_values, adjusted, strict=True
        )
    ]
