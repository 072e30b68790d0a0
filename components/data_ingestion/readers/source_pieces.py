"""Groups the blocks of a source into pieces."""

from collections.abc import Sequence

from kfp_tabular.components.common.processing.pieces import Piece, PieceKind

_SMALLEST, _LARGEST = 12 << 20, 32 << 20
_WANTED_PIECES = 16


def grouped(sizes: Sequence[int], kind: PieceKind, uri: str) -> list[Piece]:
    """Group consecutive blocks into pieces of similar size.

    There are enough pieces to keep some processors busy. They are small enough that little is lost
    with one, and large enough that each fills row groups. The number of processors plays no part,
    so that the same data give the same shards everywhere.

    Args:
        sizes: The bytes of each block.
        kind: What a piece counts.
        uri: What the blocks are of.

    Returns:
        Pieces from `start` to `stop`, numbers of blocks.

    Example:
        >>> [(piece.start, piece.stop) for piece in grouped([4 << 20] * 5, "blocks", "a.csv")]
        [(0, 3), (3, 5)]
    """
    total = sum(sizes)
    wanted = min(max(total // _WANTED_PIECES, _SMALLEST), _LARGEST)
    count = max(1, -(-total // wanted))
    pieces: list[Piece] = []
    start = held = 0
    for number, size in enumerate(sizes):
        held += size
        if held * count >= total * (len(pieces) + 1) or number + 1 == len(sizes):
            pieces.append(Piece(uri, kind, start, number + 1))
            start = number + 1
    return pieces
