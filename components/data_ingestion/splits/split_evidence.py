"""What the rows show about how to split them: their kinds, identifiers, entities and times.

Evidence of blocks merges to the evidence of all rows. It does not depend on how the rows were cut
into blocks, and its size is bounded.
"""

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from kfp_tabular.components.common.values import arrays
from kfp_tabular.components.common.values.hashes import (
    MISSING,
    Hashes,
    mix,
)
from kfp_tabular.components.common.values.identifiers import (
    IdentifierKind,
    ValueEvidence,
    recognize,
)
from kfp_tabular.components.data_ingestion.splits.splitters import Assigned
from kfp_tabular.components.data_ingestion.splits.value_sample import Counts, ValueSample

MOST_KINDS = 1_000
"""Up to this many distinct rows are counted exactly."""

_PROBE = 64
_SAMPLED_CELLS = 4 << 20
_SAMPLED_ROWS = (512, 4_096)  # Least and most, of a column.
_SAMPLED_KINDS = 8_192
_SHOWN_TEXTS = 64
_FEWEST_SHOWN = 50  # A column with fewer distinct values in a block needs none.


@dataclass(frozen=True)
class ColumnEvidence:
    """What the values of a column show.

    Attributes:
        sample: Distinct values with their rows; None for numbers with fractions.
        is_text: Whether the values are text.
        texts: Some of the texts by hash.
        present: Rows with a value.
    """

    sample: ValueSample | None
    is_text: bool
    present: int
    texts: Mapping[int, str] = field(default_factory=dict)

    @classmethod
    def of(cls, values: pa.Array, hashes: Hashes, expected: int) -> "ColumnEvidence":
        """Take the evidence of some rows.

        Args:
            values: The column.
            hashes: Its `hash_values`.
            expected: As for `ValueSample`.
        """
        is_text = pa.types.is_string(values.type)
        present = len(values) - values.null_count
        if pa.types.is_float64(values.type) and not _are_whole(values):
            return cls(None, is_text, present)
        sample = ValueSample.of(hashes, expected, MISSING)
        shown = is_text and len(sample.keys) >= _FEWEST_SHOWN
        return cls(sample, is_text, present, _texts(values, hashes, sample.keys) if shown else {})

    @classmethod
    def merge(cls, parts: "Sequence[ColumnEvidence]") -> "ColumnEvidence":
        """Return the evidence of all rows together; at least one part."""
        samples = [part.sample for part in parts if part.sample is not None]
        texts = {key: text for part in parts for key, text in part.texts.items()}
        return cls(
            ValueSample.merge(samples) if len(samples) == len(parts) else None,
            any(part.is_text for part in parts),
            sum(part.present for part in parts),
            {key: texts[key] for key in heapq.nsmallest(_SHOWN_TEXTS, texts)},
        )

    @property
    def numbers(self) -> "np.ndarray[Any, np.dtype[np.float64]]":
        """Some of the distinct numbers, ascending; empty for text and numbers with fractions."""
        if self.is_text or self.sample is None:
            return np.empty(0)
        return np.sort(self.sample.keys.view(np.float64))

    def identifies(self, name: str) -> IdentifierKind | None:
        """Return what the column identifies, by the rule that `transform_features` follows, too."""
        sample = self.sample
        if sample is None or not len(sample.keys):
            return None
        if self.is_text and not self.texts:
            return None
        numbers = self.numbers
        return recognize(
            ValueEvidence(
                name,
                rows=sample.rows,
                distinct=min(sample.distinct, sample.rows),
                exact=sample.is_exact,
                numbers=numbers,
                low=float(numbers[0]) if len(numbers) else 0.0,
                high=float(numbers[-1]) if len(numbers) else 0.0,
                texts=list(self.texts.values()),
            )
        )


@dataclass(frozen=True)
class Kinds:
    """How many rows there are of each kind: rows that are equal in the columns of the key.

    Attributes:
        sample: The kinds in a sample, by row hash.
        few: All kinds with their rows; None where there are more than `MOST_KINDS`.
        by_split: Rows by split, if equal rows stay together.
    """

    sample: ValueSample
    few: "tuple[Hashes, Counts] | None"
    by_split: Counts

    @classmethod
    def of(cls, hashes: Hashes, splits: Assigned, names: int) -> "Kinds":
        """Take the evidence of some rows.

        Args:
            hashes: The hash of each row's key.
            splits: The split of each row, if equal rows stay together.
            names: The number of splits.
        """
        whole = ValueSample.of(hashes, max(len(hashes), 1))
        return cls(
            whole.limited(_SAMPLED_KINDS),
            (whole.keys, whole.counts) if len(whole.keys) <= MOST_KINDS else None,
            np.bincount(splits, minlength=names),
        )

    @classmethod
    def merge(cls, parts: "Sequence[Kinds]") -> "Kinds":
        """Return the evidence of all rows together; at least one part."""
        few = None
        counted = [part.few for part in parts if part.few is not None]
        if len(counted) == len(parts):
            rows = sum(part.rows for part in parts)
            merged = ValueSample.merge(
                [ValueSample(keys, counts, int(counts.sum()), rows) for keys, counts in counted]
            )
            few = (merged.keys, merged.counts) if len(merged.keys) <= MOST_KINDS else None
        return cls(
            ValueSample.merge([part.sample for part in parts]),
            few,
            np.sum([part.by_split for part in parts], axis=0),
        )

    @property
    def rows(self) -> int:
        """All rows."""
        return self.sample.rows

    @property
    def distinct(self) -> int:
        """The number of kinds; an estimate where there are many."""
        return len(self.few[0]) if self.few is not None else self.sample.distinct

    @property
    def is_exact(self) -> bool:
        """Whether `distinct` is counted."""
        return self.few is not None or self.sample.is_exact


@dataclass(frozen=True)
class SplitEvidence:
    """What some rows show.

    Attributes:
        columns: The evidence of each column that may be part of the key.
        kinds: The kinds of row by the key that was assumed.
    """

    columns: Mapping[str, ColumnEvidence]
    kinds: Kinds

    @classmethod
    def merge(cls, parts: "Sequence[SplitEvidence]") -> "SplitEvidence":
        """Return the evidence of all rows together; at least one part."""
        if len(parts) == 1:
            return parts[0]
        names = parts[0].columns
        return cls(
            {name: ColumnEvidence.merge([part.columns[name] for part in parts]) for name in names},
            Kinds.merge([part.kinds for part in parts]),
        )


def sampled_rows(columns: int) -> int:
    """Return how many rows of a column to sample, so that memory is bounded.

    Example:
        >>> sampled_rows(20), sampled_rows(2_000)
        (4096, 2097)
    """
    least, most = _SAMPLED_ROWS
    return max(least, min(most, _SAMPLED_CELLS // max(1, columns)))


def _are_whole(values: pa.Array) -> bool:
    # A few values answer for most columns.
    return _all_whole(values[:_PROBE]) and _all_whole(values)


def _all_whole(values: pa.Array) -> bool:
    numbers = arrays.to_doubles(values)
    return bool(np.all((numbers == np.floor(numbers)) | np.isnan(numbers)))


def _texts(values: pa.StringArray, hashes: Hashes, distinct: Hashes) -> dict[int, str]:
    """Return the texts with the smallest hashes, so that the choice depends on the values only."""
    smallest = np.sort(mix(distinct))[:_SHOWN_TEXTS]
    mixed = mix(hashes)
    rows = np.flatnonzero(mixed <= smallest[-1])
    found = dict(zip(mixed[rows].tolist(), rows.tolist(), strict=True))
    texts = {key: values[row].as_py() for key, row in found.items()}
    return {key: text for key, text in texts.items() if text is not None}
