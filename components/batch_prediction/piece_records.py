"""What an attempt has done, piece by piece, so that the next one goes on from there.

A record is written after all that a piece writes, so a piece with a record is whole. Its shards are
looked for all the same: someone may have removed some.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from kfp_tabular.components.common import files
from kfp_tabular.components.common.artifacts.examples import ShardDestination
from kfp_tabular.components.common.artifacts.manifest import Shard
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.processing import state as states
from kfp_tabular.components.common.processing.pieces import Piece
from kfp_tabular.components.common.storage import Folder, is_remote, local_copy

FOLDER = "_pieces"
ANY_SIZE = -1
"""Stands for the size of a file that need only be there."""


@dataclass(frozen=True)
class PieceResult:
    """What was made of a piece.

    Attributes:
        number: The number of the piece.
        shards: The shards of its predictions; none where no row was predicted.
        others: The sizes of the other files that were written, by path, or `ANY_SIZE`.
        facts: The state of `ScoredRows`.
        drift: The state of `DriftFold`.
        is_earlier: Whether an earlier attempt made it.
    """

    number: int
    shards: Sequence[Shard]
    others: dict[str, int]
    facts: bytes
    drift: bytes
    is_earlier: bool = False

    @property
    def files(self) -> dict[str, int]:
        """The sizes of all files, by path."""
        return {**self.others, **{shard.path: shard.bytes for shard in self.shards}}


@dataclass(frozen=True)
class RecordedPieces:
    """Makes results of pieces, records them, and does not make again what is recorded.

    Attributes:
        function: Makes a result of a piece, and writes its files.
        destination: Where it writes.
        recorded: The pieces that have a record.
    """

    function: Callable[[Piece], PieceResult]
    destination: ShardDestination
    recorded: frozenset[int]

    def __call__(self, piece: Piece) -> Iterator[PieceResult]:
        """Yield what was made of a piece, now or earlier."""
        if piece.number in self.recorded:
            found = _read(self.destination, piece.number)
            if found is not None:
                yield found
                return
        result = self.function(piece)
        _write(self.destination, result)
        yield result


def recorded(destination: ShardDestination) -> frozenset[int]:
    """Return the numbers of the pieces that have a record."""
    names: Sequence[str]
    if is_remote(destination.root):
        names = list(Folder(f"{destination.root}/{FOLDER}").list())
    else:
        names = [path.name for path in Path(destination.root, FOLDER).glob("part-*.arrow")]
    return frozenset(
        int(number)
        for name in names
        if (number := name.removeprefix("part-").removesuffix(".arrow")).isdecimal()
    )


def remove(destination: ShardDestination, pieces: Sequence[Piece]) -> None:
    """Remove the records of an artifact that is complete."""
    destination.discard(_path(piece.number) for piece in pieces)
    if not is_remote(destination.root):
        files.remove(Path(destination.root, FOLDER))


def _path(number: int) -> str:
    return f"{FOLDER}/part-{number:05d}.arrow"


def _write(destination: ShardDestination, result: PieceResult) -> None:
    with destination.file() as file:
        file.write_bytes(_packed(result))
        destination.put(file, _path(result.number))


def _read(destination: ShardDestination, number: int) -> PieceResult | None:
    """Return what an earlier attempt made of a piece; None where it is damaged or incomplete."""
    try:
        with local_copy(f"{destination.root}/{_path(number)}") as file:
            found = _unpacked(file.read_bytes())
    except (UserError, OSError, ValueError, KeyError, TypeError):
        return None
    return replace(found, is_earlier=True) if _are_there(destination, found.files) else None


def _packed(result: PieceResult) -> bytes:
    shards = [asdict(shard) for shard in result.shards]
    return states.pack({**vars(result), "shards": shards})


def _unpacked(packed: bytes) -> PieceResult:
    parts = states.unpack(packed)
    shards = [
        Shard(**{**shard, "row_groups": tuple(shard["row_groups"])}) for shard in parts["shards"]
    ]
    return PieceResult(**{**parts, "shards": shards})


def _are_there(destination: ShardDestination, wanted: dict[str, int]) -> bool:
    """Return whether all files are there, with their sizes."""
    found: dict[str, int | None] = {}
    if is_remote(destination.root):
        folder = Folder(destination.root)
        for path in wanted:
            stored = folder.stat(path)
            found[path] = None if stored is None else stored.size
    else:
        for path in wanted:
            file = Path(destination.root, path)
            found[path] = file.stat().st_size if file.is_file() else None
    return all(
        size == wanted[path] or (size is not None and wanted[path] == ANY_SIZE)
        for path, size in found.items()
    )
