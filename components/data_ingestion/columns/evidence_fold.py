"""What the columns show, as a fold."""

from collections.abc import Mapping, Sequence

from kfp_tabular.components.common.processing import state as states
from kfp_tabular.components.common.processing.plain_values import from_plain, to_plain
from kfp_tabular.components.data_ingestion.columns.column_evidence import ColumnEvidence

Evidence = Mapping[str, ColumnEvidence]


class EvidenceFold:
    """Collects what columns show.

    Args:
        names: The columns.

    Attributes:
        fresh: The columns that showed something of a new kind since this was last cleared.

    Example:
        >>> import pyarrow as pa
        >>> from kfp_tabular.components.data_ingestion.columns import column_evidence
        >>> fold = EvidenceFold(["fare"])
        >>> fold.add({"fare": column_evidence.observe(pa.array(["1", "2.5"])).evidence})
        >>> fold.result()["fare"].decimals, fold.fresh
        (1, {'fare'})
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.fresh: set[str] = set()
        self._names = names
        self._evidence = {name: ColumnEvidence() for name in names}

    def add(self, batch: Evidence) -> None:
        """Add what a block shows."""
        self.fresh |= {name for name, shown in batch.items() if self._evidence[name].add(shown)}

    def merge(self, other: "EvidenceFold") -> None:
        """Add what other blocks show."""
        self.add(other._evidence)

    def state(self) -> bytes:
        """Return what the blocks so far show."""
        shown = [to_plain(evidence) for evidence in self._evidence.values()]
        return states.pack({"evidence": shown})

    def from_state(self, state: bytes) -> "EvidenceFold":
        """Return a fold of the same columns with a state."""
        found = EvidenceFold(self._names)
        shown = states.unpack(state)["evidence"]
        for name, plain in zip(self._names, shown, strict=True):
            found._evidence[name] = from_plain(ColumnEvidence, plain)
        return found

    def result(self) -> Evidence:
        """Return what the columns show."""
        return self._evidence
