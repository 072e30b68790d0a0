"""Reads what the columns of a piece show."""

from collections.abc import Iterator
from dataclasses import dataclass

from kfp_tabular.components.common.processing.pieces import Piece
from kfp_tabular.components.data_ingestion.columns import column_evidence
from kfp_tabular.components.data_ingestion.columns.column_formats import Decider
from kfp_tabular.components.data_ingestion.columns.evidence_fold import Evidence
from kfp_tabular.components.data_ingestion.readers.source import Reader


@dataclass(frozen=True)
class ColumnObserver:
    """Reads what the columns of a piece show, block by block.

    Attributes:
        reader: Reads the piece.
        decider: Knows the texts that mean missing.
    """

    reader: Reader
    decider: Decider

    def __call__(self, piece: Piece) -> Iterator[Evidence]:
        """Yield the evidence of each block."""
        for block in self.reader(piece):
            parsed = block.parse()
            yield {
                name: column_evidence.observe(
                    column_evidence.without(values, self.decider.missing(name)),
                    stated=name in parsed.stated,
                ).evidence
                for name, values in parsed.columns.items()
            }
