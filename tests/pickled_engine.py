"""An engine as a cluster is one: what runs, its states and its results travel as bytes.

Functions are pickled; results are packed as on an engine whose results lie in files.
"""

import pickle
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from kfp_tabular.components.common.processing import results
from kfp_tabular.components.common.processing.pieces import Piece


def sent(value: Any) -> Any:
    """Return a value as another process would get it."""
    return pickle.loads(pickle.dumps(value))


class PickledEngine:
    """Runs folds and maps piece by piece; merges in pairs, as a tree does.

    Attributes:
        pieces: The number of pieces of each fold and map.
    """

    def __init__(self) -> None:
        self.pieces: list[int] = []

    def fold(
        self,
        pieces: Sequence[Piece],
        factory: Callable[[], Any],
        read: Callable[[Piece], Any],
        what: str = "",
    ) -> Any:
        self.pieces.append(len(pieces))
        states = []
        for piece in pieces:
            accumulator = sent(factory)()
            for batch in sent(read)(sent(piece)):
                accumulator.add(batch)
            states.append(accumulator.state())
        while len(states) > 1:
            pairs = [states[start : start + 2] for start in range(0, len(states), 2)]
            states = [self._merged(factory, pair) for pair in pairs]
        return (factory().from_state(states[0]) if states else factory()).result()

    def map(
        self, pieces: Sequence[Piece], function: Callable[[Piece], Any], what: str = ""
    ) -> Iterator[tuple[Piece, Any]]:
        self.pieces.append(len(pieces))
        for piece in pieces:
            there = sent(function)
            yield piece, results.unpack(function, results.pack(there, there(sent(piece))))

    @staticmethod
    def _merged(factory: Callable[[], Any], states: Sequence[bytes]) -> bytes:
        total = factory().from_state(states[0])
        for state in states[1:]:
            total.merge(factory().from_state(state))
        return total.state()
