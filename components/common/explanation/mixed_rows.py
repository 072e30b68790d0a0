"""Rows with the values of a row to explain in some features, and the baseline's in the rest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from kfp_tabular.components.common.artifacts.model_document import ModelInput
from kfp_tabular.components.common.prediction.column_decoder import Texts
from kfp_tabular.components.common.prediction.instances import Decoder, InstanceError
from kfp_tabular.components.common.prediction.packed_columns import Columns, rows_of

_MOST_NAMED = 20

Baseline = Mapping[str, "np.ndarray[Any, Any]"]
"""The baseline: an array of one value for each input, by `ModelInput.input`."""


def baseline(inputs: Sequence[ModelInput], given: Mapping[str, Any]) -> Baseline:
    """Return a baseline of raw values; what is not given is missing.

    A number that was never missing in training must be given: the model has no answer without it,
    or one that means nothing. A missing text is one that training did not know.

    Args:
        inputs: The model's inputs.
        given: Raw values by feature name.

    Raises:
        InstanceError: If a feature is unknown, its value has the wrong type, or a number that the
            model requires has none.

    Example:
        >>> fare = ModelInput("fare", "float32", required=True, input="fare")
        >>> tips = ModelInput("tips", "float32", required=False, input="tips")
        >>> baseline([fare, tips], {"fare": 2.5})
        {'fare': array([2.5], dtype=float32), 'tips': array([nan], dtype=float32)}
        >>> baseline([fare, tips], {})
        Traceback (most recent call last):
        ...
        kfp_tabular.components.common.prediction.instances.InstanceError: instance 0: no value for
        feature 'fare', which was never missing in training; name one for it.
    """
    found = Decoder([replace(entry, required=False) for entry in inputs]).tensors([given])
    absent = [
        entry.name
        for entry in inputs
        if entry.required
        and entry.dtype != "string"
        and _is_missing(found[entry.input][0], entry.missing)
    ]
    if absent:
        raise InstanceError(
            f"no value for {_told(absent)} never missing in training; name one for "
            f"{'each' if len(absent) > 1 else 'it'}.",
            reason="missing",
            feature=absent[0],
            row=0,
        )
    return found


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

    def declared(self) -> tuple[str, ...]:
        """Return the names of the features that are not missing in the baseline."""
        return tuple(
            entry.name
            for entry in self.inputs
            if not _is_missing(self.base[entry.input][0], entry.missing)
        )

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


def _told(names: Sequence[str]) -> str:
    """Return features in words.

    Example:
        >>> _told(["a"]), _told(["a", "b", "c"])
        ("feature 'a', which was", "features 'a', 'b' and 'c', which were")
    """
    if len(names) == 1:
        return f"feature {names[0]!r}, which was"
    shown = [repr(name) for name in names[:_MOST_NAMED]]
    if len(names) > _MOST_NAMED:
        shown.append(f"{len(names) - _MOST_NAMED} more")
    return f"features {', '.join(shown[:-1])} and {shown[-1]}, which were"


def _is_missing(value: Any, marker: float | int | str) -> bool:
    if isinstance(marker, str):
        return bool(value == marker.encode("utf-8"))
    return bool(value == marker or value != value)  # noqa: PLR0124  NaN marks missing numbers


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
