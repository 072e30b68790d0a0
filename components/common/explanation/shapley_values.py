"""Shapley values of rows: the model's answers for coalitions of features, in batches."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from kfp_tabular.components.common.explanation.coalitions import Coalitions, Floats
from kfp_tabular.components.common.explanation.mixed_rows import MixedRows
from kfp_tabular.components.common.prediction.packed_columns import Columns

Answer = Callable[[Columns], Floats]
"""Returns the model's answers `[rows, classes]` (regression: one column) for raw columns."""

_BATCH_ROWS = 16_384
_CELLS = 4_000_000


def answers(
    rows: MixedRows, coalitions: Coalitions, answer: Answer, outputs: npt.NDArray[np.int64]
) -> Floats:
    """Return the model's answers for each coalition of each row's features.

    Args:
        rows: The rows.
        coalitions: The coalitions.
        answer: The model.
        outputs: Which of the model's answers is explained, by row.

    Returns:
        An array `[rows, coalitions]`.
    """
    count = len(coalitions.masks)
    found = np.empty(len(rows) * count)
    size = max(1, min(_BATCH_ROWS, _CELLS // coalitions.masks.shape[1]))
    for start in range(0, len(found), size):
        cells = np.arange(start, min(start + size, len(found)))
        row, coalition = np.divmod(cells, count)
        given = answer(rows.mixed(row, coalitions.masks[coalition]))
        found[cells] = given[np.arange(len(cells)), outputs[row]]
    return found.reshape(len(rows), count)
