"""Spark, whose every fold and map loses an executor while a piece is at work."""

import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kfp_tabular.components.common.processing.engine import Engine
from kfp_tabular.components.common.processing.pieces import Piece


class DeadlyEngine:
    """Runs folds and maps on Spark, and kills the first executor that is halfway through one.

    Attributes:
        spark: The engine, with executors of this machine.
        folder: Holds a file for each fold and map that lost an executor.
    """

    def __init__(self, spark: Engine, folder: Path) -> None:
        folder.mkdir()
        self.spark, self.folder = spark, folder
        self._started = 0

    def fold(
        self,
        pieces: Sequence[Piece],
        factory: Callable[[], Any],
        read: Callable[[Piece], Iterable[Any]],
        what: str = "",
    ) -> Any:
        return self.spark.fold(pieces, factory, Deadly(self._next(pieces, what), read), what)

    def map(
        self, pieces: Sequence[Piece], function: Callable[[Piece], Any], what: str = ""
    ) -> Iterator[tuple[Piece, Any]]:
        return self.spark.map(pieces, DeadlyMap(self._next(pieces, what), function), what)

    @property
    def killed(self) -> int:
        """How many executors have died."""
        return len(list(self.folder.iterdir()))

    def _next(self, pieces: Sequence[Piece], what: str) -> "Death":
        self._started += 1
        middle = pieces[len(pieces) // 2] if pieces else None
        return Death(self.folder / f"{self._started:02} {what.replace('/', ' ')}", middle)


@dataclass(frozen=True)
class Death:
    """Ends the executor that gets to a piece, once.

    Attributes:
        file: Says that it has died.
        piece: The piece; none if there are no pieces.
    """

    file: Path
    piece: Piece | None

    def comes(self, piece: Piece) -> None:
        if piece != self.piece:
            return
        try:
            self.file.touch(exist_ok=False)
        except FileExistsError:
            return
        # This process was forked by Python's daemon, which is the executor's child.
        daemon = Path(f"/proc/{os.getppid()}/stat").read_text()
        executor = int(daemon.rpartition(")")[2].split()[1])
        assert b"ExecutorBackend" in Path(f"/proc/{executor}/cmdline").read_bytes()
        os.kill(executor, signal.SIGKILL)
        signal.pause()


@dataclass(frozen=True)
class Deadly:
    """Reads a piece, and dies between its first batch and the next."""

    death: Death
    read: Callable[[Piece], Iterable[Any]]

    def __call__(self, piece: Piece) -> Iterator[Any]:
        for batch in self.read(piece):
            yield batch
            self.death.comes(piece)


@dataclass(frozen=True)
class DeadlyMap:
    """Works on a piece, and dies before it says so."""

    death: Death
    function: Callable[[Piece], Any]

    def __call__(self, piece: Piece) -> Any:
        done = self.function(piece)
        self.death.comes(piece)
        return done
