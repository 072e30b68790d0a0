"""The values that a v2 datatype allows where they are written as JSON or typed contents.

The protocol says a datatype for each tensor, and JSON has only numbers, so a client that writes
1.5 into an INT64 tensor has an error somewhere. Null is a missing value in every datatype. A whole
number may be written `3.0`, as JavaScript and pandas do.
"""

from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any, NamedTuple

from kfp_tabular.components.common.prediction.instances import FLOAT32_OVERFLOW, described
from kfp_tabular.serving.protocol.request_error import RequestError


class _Datatype(NamedTuple):
    """A datatype.

    Attributes:
        types: The Python types of its usual values.
        fits: Whether a value of one of these types is in range; None where all of them are.
        fits_otherwise: Whether another value is allowed.
        expected: What is allowed, for messages.
    """

    types: frozenset[type]
    fits: Callable[[Any], bool] | None
    fits_otherwise: Callable[[Any], bool]
    expected: str


def check_values(values: Sequence[Any], datatype: str, name: str) -> Set[type]:
    """Check values against their tensor's datatype.

    Args:
        values: The values; None is a missing one. Texts may be `bytes`, as in gRPC.
        datatype: The datatype, in upper case.
        name: The tensor's name.

    Returns:
        The types of the values.

    Raises:
        RequestError: For the first value that the datatype does not allow.

    Example:
        >>> check_values([7, 8], "INT64", "hour")
        {<class 'int'>}
        >>> check_values([7, 300], "UINT8", "hour")
        Traceback (most recent call last):
        kfp_tabular.serving.protocol.request_error.RequestError: instance 1: feature 'hour':
        expected a whole number from 0 to 255 (UINT8), found a number out of range.
    """
    kind = _DATATYPES[datatype]
    types = set(map(type, values))
    if types <= kind.types and (kind.fits is None or _extremes_fit(values, types, kind.fits)):
        return types
    for row, value in enumerate(values):
        if value is None:
            continue
        usual = type(value) in kind.types
        if (kind.fits is None or kind.fits(value)) if usual else kind.fits_otherwise(value):
            continue
        found = "a number out of range" if usual else described(value)
        raise RequestError(
            f"instance {row}: feature {name!r}: expected {kind.expected} ({datatype}), "
            f"found {found}.",
            reason="type",
            feature=name,
            row=row,
        )
    return types


def _extremes_fit(values: Sequence[Any], types: Set[type], fits: Callable[[Any], bool]) -> bool:
    """Return whether the least and the greatest value fit; NaN, which only gRPC has, does."""
    if type(None) in types:
        values = [value for value in values if value is not None]
    return not values or (fits(min(values)) and fits(max(values)))


def _never(_: Any) -> bool:
    return False


def _integers(low: int, high: int) -> _Datatype:
    def fits(value: int) -> bool:
        return low <= value <= high

    def whole(value: Any) -> bool:
        return type(value) is float and value.is_integer() and fits(int(value))

    return _Datatype(
        frozenset((int, type(None))), fits, whole, f"a whole number from {low} to {high}"
    )


def _floats(fits: Callable[[float], bool] | None) -> _Datatype:
    numbers: frozenset[type] = frozenset((int, float, type(None)))
    return _Datatype(numbers, fits, _never, "a number in the datatype's range")


def _rounds_below(beyond: float) -> Callable[[float], bool]:
    """Return the check for numbers whose amount is below `beyond`, which rounds to infinity."""

    def fits(value: float) -> bool:
        # Infinity and NaN come over gRPC only. The model's type decides about them.
        return not beyond <= abs(value) < _INFINITY

    return fits


_INFINITY = float("inf")
_BITS = (8, 16, 32, 64)
_DATATYPES: Mapping[str, _Datatype] = {
    "BOOL": _Datatype(frozenset((bool, type(None))), None, _never, "true or false"),
    "BYTES": _Datatype(frozenset((str, bytes, type(None))), None, _never, "text"),
    **{f"INT{bits}": _integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in _BITS},
    **{f"UINT{bits}": _integers(0, 2**bits - 1) for bits in _BITS},
    "FP16": _floats(_rounds_below(65_520.0)),
    "FP32": _floats(_rounds_below(FLOAT32_OVERFLOW)),
    "FP64": _floats(None),
}
