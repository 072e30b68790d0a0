"""What becomes of a piece on a cluster: a result, or the message of a user error.

Bad input travels as a result, because a cluster tries a task that fails again.
"""

import socket
from dataclasses import dataclass
from typing import Generic

from kfp_tabular.components.common.processing.engine import Result
from kfp_tabular.components.common.processing.pieces import Piece


@dataclass(frozen=True)
class Outcome(Generic[Result]):
    """What became of a piece.

    Attributes:
        number: The number of the piece.
        result: What was made of it.
        error: The message of a user error, in place of a result; empty for none.
    """

    number: int
    result: Result | None
    error: str = ""


def not_found(piece: Piece, where: str) -> str:
    """Return what to tell about a file that a process of the cluster does not see.

    Args:
        piece: What was read.
        where: What the cluster calls its processes, such as "executor".
    """
    return (
        f"{piece.uri}: not on the {where} {socket.gethostname()}. {where.capitalize()}s on other "
        "machines read object stores (gs://, s3://, minio://), or a volume that is mounted at the "
        "same path everywhere."
    )
