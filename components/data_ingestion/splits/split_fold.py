"""What rows show about how to split them, as a fold."""

from typing import Any

import numpy as np

from kfp_tabular.components.common.processing import state as states
from kfp_tabular.components.data_ingestion.splits.split_evidence import (
    ColumnEvidence,
    Kinds,
    SplitEvidence,
)
from kfp_tabular.components.data_ingestion.splits.value_sample import ValueSample

_MERGED_AT_ONCE = 16


class SplitFold:
    """Collects the evidence of blocks; its result is None where there was none.

    Every block must know the columns by which equal rows stay together; they are the same for all.
    """

    def __init__(self) -> None:
        self._parts: list[SplitEvidence] = []

    def add(self, batch: SplitEvidence) -> None:
        """Add what a block shows."""
        self._parts.append(batch)
        if len(self._parts) >= _MERGED_AT_ONCE:
            self._parts = [SplitEvidence.merge(self._parts)]

    def merge(self, other: "SplitFold") -> None:
        """Add what other blocks show."""
        for part in other._parts:
            self.add(part)

    def state(self) -> bytes:
        """Return what the blocks so far show."""
        found = self.result()
        if found is None:
            return states.pack({})
        parts: dict[str, Any] = {
            "columns": [
                [name, shown.is_text, shown.present, list(shown.texts.items())]
                for name, shown in found.columns.items()
            ],
            "few": found.kinds.few is not None,
            "by_split": np.asarray(found.kinds.by_split),
        }
        parts |= _packed("kinds", found.kinds.sample)
        if found.kinds.few is not None:
            parts["few_keys"], parts["few_counts"] = found.kinds.few
        for number, shown in enumerate(found.columns.values()):
            parts |= _packed(str(number), shown.sample)
        return states.pack(parts)

    def from_state(self, state: bytes) -> "SplitFold":
        """Return a fold with a state."""
        found, parts = SplitFold(), states.unpack(state)
        if parts:
            columns = {
                name: ColumnEvidence(
                    _unpacked(str(number), parts), is_text, present, dict(map(tuple, texts))
                )
                for number, (name, is_text, present, texts) in enumerate(parts["columns"])
            }
            few = (parts["few_keys"], parts["few_counts"]) if parts["few"] else None
            sample = _unpacked("kinds", parts)
            if sample is not None:
                kinds = Kinds(sample, few, parts["by_split"])
                found.add(SplitEvidence(columns, kinds))
        return found

    def result(self) -> SplitEvidence | None:
        """Return what all rows show."""
        return SplitEvidence.merge(self._parts) if self._parts else None


def _packed(name: str, sample: ValueSample | None) -> dict[str, Any]:
    if sample is None:
        return {}
    sizes = [sample.rows, sample.expected]
    return {f"{name}_keys": sample.keys, f"{name}_counts": sample.counts, f"{name}_rows": sizes}


def _unpacked(name: str, parts: dict[str, Any]) -> ValueSample | None:
    if f"{name}_rows" not in parts:
        return None
    rows, expected = parts[f"{name}_rows"]
    return ValueSample(parts[f"{name}_keys"], parts[f"{name}_counts"], rows, expected)
