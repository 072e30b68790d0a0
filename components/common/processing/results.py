"""Results of maps as bytes, so that they can lie in a file without being pickled there.

Unpickling runs whatever code the bytes name. A result is JSON instead, read back as the type that
the function declares to return. A function whose results are more than plain values, such as
accumulators or arrays, packs them itself.
"""

import functools
import json
import types
from collections.abc import Callable
from typing import Any, Protocol, TypeVar, cast, get_type_hints, runtime_checkable

from kfp_tabular.components.common.processing.pieces import Piece
from kfp_tabular.components.common.processing.plain_values import from_plain, to_plain

Result = TypeVar("Result")


@runtime_checkable
class PacksResults(Protocol):
    """The function of a map that turns its own results into bytes and back."""

    def pack(self, result: Any) -> bytes:
        """Return a result as bytes."""

    def unpack(self, packed: bytes) -> Any:
        """Return the result that `pack` was given."""


def pack(function: Callable[[Piece], Result], result: Result) -> bytes:
    """Return a result of a map's function as bytes.

    Args:
        function: The function.
        result: What it returned.

    Raises:
        TypeError: It holds more than plain values, or is a dataclass that the function's
            annotations do not name.

    Example:
        >>> def size(piece: Piece) -> tuple[int, str]:
        ...     return piece.stop - piece.start, piece.uri
        >>> packed = pack(size, size(Piece("a.csv", "bytes", 4, 9)))
        >>> packed, unpack(size, packed)
        (b'[5, "a.csv"]', (5, 'a.csv'))
    """
    if isinstance(function, PacksResults):
        return function.pack(result)
    if returned(function) is Any and not isinstance(result, int | float | str | None):
        raise TypeError(
            f"{function!r} returns a {type(result).__name__}, which its annotations do not tell"
        )
    return json.dumps(to_plain(result)).encode()


def unpack(function: Callable[[Piece], Result], packed: bytes) -> Result:
    """Return the result that `pack` was given."""
    if isinstance(function, PacksResults):
        return cast(Result, function.unpack(packed))
    return cast(Result, from_plain(returned(function), json.loads(packed)))


def returned(function: Callable[[Piece], Any]) -> Any:
    """Return the type that a function's annotations name; `Any` without any."""
    while isinstance(function, functools.partial):
        function = function.func
    plain = isinstance(function, types.FunctionType | types.MethodType)
    return get_type_hints(function if plain else type(function).__call__).get("return", Any)
