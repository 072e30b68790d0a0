"""Rows with the values of a row to explain in some features, and the baseline's in the rest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from kfp_tabular.components.common.artifacts.model_document import ModelInput
from kfp_tabular.components.common.prediction.column_decoder import Texts
from kfp_tabular.components.common.prediction.packed_columns import Columns, rows_of

Baseline = Mapping[str, "np.ndarray[Any, Any]"]
"""The baseline: an array of one value for each input, by `ModelInput.input`."""


@dataclass(frozen=True)
class MixedRows:
    """The rows to explain beside the baseline.

    Attributes:
        inputs: The model's inputs.
        columns: The rows' values.
        base: The baseline.
    """

    inputs: tuple[ModelInput, ...]
    columns: Columns
    base: Baseline

    def __len__(self) -> int:
        """Return the number of rows."""
        first = self.columns[self.inputs[0].input]
        return len(first.codes if isinstance(first, Texts) else first)

    def part(self, rows: "slice | npt.NDArray[np.int64]") -> "MixedRows":
        """Return some of the rows."""
        return replace(self, columns=rows_of(self.columns, rows))

    def mixed(self, rows: npt.NDArray[np.int64], masks: npt.NDArray[np.bool_]) -> Columns:
        """Return rows of which some features have the baseline's values.

        Args:
            rows: The position of each row among those to explain.
            masks: Whether a feature has the row's value, `[rows, features]`.
        """
        found: dict[str, Any] = {}
        for place, entry in enumerate(self.inputs):
            values, base = self.columns[entry.input], self.base[entry.input]
            if isinstance(values, Texts):
                codes = np.where(masks[:, place], values.codes[rows], len(values.distinct))
                found[entry.input] = Texts(codes.astype(np.int32), (*values.distinct, base[0]))
            else:
                found[entry.input] = np.where(masks[:, place], values[rows], base)
        return found

    def differs(self) -> npt.NDArray[np.bool_]:
        """Return whether each value is another one than the baseline's, `[rows, features]`."""
        return np.stack([self._differs(entry.input) for entry in self.inputs], axis=1)

    def _differs(self, name: str) -> npt.NDArray[np.bool_]:
        values, base = self.columns[name], self.base[name]
        if isinstance(values, Texts):
            distinct = np.array([text != base[0] for text in values.distinct], np.bool_)
            return np.asarray(distinct[values.codes])
        found = values != base
        if values.dtype.kind == "f":
            found &= ~(np.isnan(values) & np.isnan(base))
        return np.asarray(found)


def as_columns(
    arrays: Mapping[str, "np.ndarray[Any, Any]"], inputs: Sequence[ModelInput]
) -> Columns:
    """Return arrays of raw values with their texts as codes.

    Example:
        >>> shop = ModelInput("shop", "string", required=True, input="shop")
        >>> as_columns({"shop": np.array([b"b", b"a", b"b"], object)}, [shop])["shop"].distinct
        (b'b', b'a')
    """
    return {
        entry.input: _texts(arrays[entry.input]) if entry.dtype == "string" else arrays[entry.input]
        for entry in inputs
    }


def _texts(values: "np.ndarray[Any, Any]") -> Texts:
    distinct: dict[bytes, int] = {}
    codes = [distinct.setdefault(text, len(distinct)) for text in values.tolist()]
    return Texts(np.array(codes, np.int32), tuple(distinct))
