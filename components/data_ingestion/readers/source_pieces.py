"""Groups the blocks of a source into pieces."""

from collections.abc import Sequence

from kfp_tabular.components.common.processing.pieces import Piece, PieceKind

_SMALLEST, _LARGEST = 4 << 20, 32 << 20
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
        >>> [(piece.start, piece.stop) for piece in grouped([3 << 20] * 3, "blocks", "a.csv")]
        [(0, 2), (2, 3)]
    """
    wanted = min(max(sum(sizes) // _WANTED_PIECES, _SMALLEST), _LARGEST)
    pieces, start, held = [], 0, 0
    for number, size in enumerate(sizes):
        held += size
        if held >= wanted:
            pieces.append(Piece(uri, kind, start, number + 1))
            start, held = number + 1, 0
    if start < len(sizes):
        pieces.append(Piece(uri, kind, start, len(sizes)))
    return pieces
