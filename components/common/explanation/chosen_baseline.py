"""Which baseline explanations are measured from: what is given, and the model's typical row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kfp_tabular.components.common.artifacts.model_document import ModelInput, ModelSpec
from kfp_tabular.components.common.explanation.mixed_rows import Baseline
from kfp_tabular.components.common.prediction.instances import Decoder, InstanceError

OTHERS = "*"
"""`{"*": null}` in what is given: features that are not named are missing."""

_MOST_NAMED = 20


@dataclass(frozen=True)
class ChosenBaseline:
    """A baseline, and where its values are from.

    Attributes:
        values: An array of one value for each input, by `ModelInput.input`.
        declared: The features whose value was given.
        typical: Those whose value is that of the model's typical row.
        missing: Those that are missing.
    """

    values: Baseline
    declared: tuple[str, ...]
    typical: tuple[str, ...]
    missing: tuple[str, ...]

    def document(self) -> dict[str, list[str]]:
        """Return where the values are from, as JSON; no values, which may be personal."""
        return {
            "declared": list(self.declared),
            "typical": list(self.typical),
            "missing": list(self.missing),
        }


def choose(spec: ModelSpec, given: Mapping[str, Any]) -> ChosenBaseline:
    """Return the baseline of a model's explanations.

    A feature that is not given has the value of the model's typical row, or is missing if the model
    is of an earlier version, which has none. A number that was never missing in training must have
    a value: the model has no answer without it, or one that means nothing. A missing text is one
    that training did not know.

    Args:
        spec: The model's description.
        given: Raw values by feature name; None for missing. `"*": None` makes those missing that
            are not named.

    Raises:
        InstanceError: If a feature is unknown, its value has the wrong type, or a number that the
            model requires has none.

    Example:
        >>> fare = ModelInput("fare", "float32", required=True, input="fare")
        >>> tips = ModelInput("tips", "float32", required=False, input="tips")
        >>> spec = ModelSpec(
        ...     "regression", "y", (), None, (fare, tips), "", typical_row={"fare": 9, "tips": 1}
        ... )
        >>> choose(spec, {"tips": 2.5}).values
        {'fare': array([9.], dtype=float32), 'tips': array([2.5], dtype=float32)}
        >>> choose(spec, {"*": None, "fare": 3}).document()
        {'declared': ['fare'], 'typical': [], 'missing': ['tips']}
        >>> choose(replace(spec, typical_row=None), {})
        Traceback (most recent call last):
        ...
        kfp_tabular.components.common.prediction.instances.InstanceError: instance 0: no value for
        feature 'fare', which was never missing in training; name one for it.
    """
    inputs = spec.inputs
    known = {entry.name for entry in inputs}
    named = dict(given)
    typical = dict(spec.typical_row or {})
    if OTHERS in named and OTHERS not in known and named[OTHERS] is None:
        del named[OTHERS]
        typical = {}
    for entry in inputs:
        # Of a text that is given, ingestion's parts are read.
        if entry.format is not None and entry.format.derived_from in named:
            typical.pop(entry.name, None)
    decoder = Decoder([replace(entry, required=False) for entry in inputs])
    values = decoder.tensors([{**typical, **named}])
    has_value = [entry for entry in inputs if not _is_missing(values[entry.input][0], entry)]
    absent = [
        entry.name
        for entry in inputs
        if entry.required and entry.dtype != "string" and entry not in has_value
    ]
    if absent:
        raise InstanceError(
            f"no value for {_told(absent)} never missing in training; name one for "
            f"{'each' if len(absent) > 1 else 'it'}.",
            reason="missing",
            feature=absent[0],
            row=0,
        )
    present = [entry.name for entry in has_value]
    own = [name for name in present if name in typical and name not in named]
    return ChosenBaseline(
        values,
        tuple(name for name in present if name not in own),
        tuple(own),
        tuple(entry.name for entry in inputs if entry.name not in present),
    )


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


def _is_missing(value: Any, entry: ModelInput) -> bool:
    if entry.dtype == "float32":
        return bool(np.isnan(value))
    return bool(value == (b"" if entry.dtype == "string" else entry.missing))
