"""The standard error of a difference, from the losses that the folder keeps."""

import csv
import functools
import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tests.benchmarks.quality import paired, row_losses
from tests.benchmarks.quality.catalog import TABLES
from tests.benchmarks.quality.comparison import StandardError
from tests.benchmarks.quality.results import Result
from tests.benchmarks.quality.splits import TEST


def standard_error(folder: Path, kept: Iterable[Result]) -> StandardError:
    """Return a function that gives the standard error for a table and two models.

    It is NaN without the losses of both, or if they are not those of the results.

    Args:
        folder: The benchmark's folder.
        kept: The results; of several the last counts.
    """
    scores = {(one.table, one.seed, one.model): one.values["score"] for one in kept if one.values}

    def of(table: str, model: str, other: str) -> float:
        task = TABLES[table].task
        seeds = sorted(
            seed
            for name, seed, measured in scores
            if (name, measured) == (table, model) and (table, seed, other) in scores
        )
        losses = []
        for seed in seeds:
            place = folder / "tables" / table / f"seed{seed}"
            both = []
            for name in (model, other):
                if not row_losses.exist(place, name):
                    return math.nan
                labels, each = row_losses.read(place, name)
                score = float(np.mean(each)) ** (0.5 if task == "regression" else 1)
                if not math.isclose(score, scores[table, seed, name], rel_tol=1e-6):
                    return math.nan
                both.append((labels, each))
            (labels, ours), (others, theirs) = both
            rows = _tested(place / "data.csv")
            if not paired.same_rows(task, labels, others) or len(rows) != len(ours):
                return math.nan
            losses.append(paired.SeedLosses(rows, ours, theirs))
        return paired.standard_error(task, losses)

    return of


@functools.cache
def _tested(file: Path) -> npt.NDArray[np.int64]:
    """Return which rows of a table are tested; the split is its last column."""
    with file.open(encoding="utf-8", newline="") as opened:
        rows = csv.reader(opened)
        next(rows)
        return np.flatnonzero([row[-1] == TEST for row in rows])
