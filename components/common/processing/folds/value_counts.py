"""How often which values occur, and how many distinct ones there are.

Values are counted exactly up to a limit. Beyond it only their number is estimated, by the smallest
hashes of all values (Bar-Yossef et al., "Counting Distinct Elements in a Data Stream", 2002), which
do not depend on the order. Whether the limit is exceeded depends on all values together.
"""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from kfp_tabular.components.common.processing import state as states

_COMPACT_VALUES = 50_000
_COMPACT_PARTS = 64
_MOST_BYTES = 256 << 20  # of texts


class ValueCounts:
    """Counts distinct values up to a limit, and estimates their number beyond it.

    Args:
        most: The most distinct values to count.
        hashes: How many hashes the estimate is made from. It is exact up to as many distinct
            values, and off by about 1 / sqrt(hashes) beyond. 0 for no estimate: then `distinct` is
            one more than `most`.

    Example:
        >>> counts = ValueCounts(most=100)
        >>> counts.add(pa.array(["a", "b", "b"]))
        >>> counts.result().ranked()
        [('b', 2), ('a', 1)]
    """

    def __init__(self, most: int, hashes: int = 4_096) -> None:
        self._most = most
        self._hashes = hashes
        self._parts: list[pa.Table] = []
        self._pending = self._pending_bytes = 0
        self._are_many = False
        self._sketch: Any = None

    def add(self, batch: pa.Array) -> None:
        """Add values, without nulls: texts, or numbers of one type."""
        # A few rows often show that there are too many values: do not hash the rest.
        if (
            not (self._hashes or self._are_many)
            and len(batch) > 4 * self._most
            and len(pc.unique(batch[: 2 * self._most])) > self._most
        ):
            self._estimate()
        if self._are_many:
            self._add_to_sketch(batch)
        else:
            counts = pc.value_counts(batch)
            self.add_counts(counts.field("values"), counts.field("counts"))

    def add_counts(self, values: pa.Array, rows: pa.Array) -> None:
        """Add distinct values with the rows of each."""
        if self._are_many:
            self._add_to_sketch(values)
        else:
            self._wait(pa.table({"value": values, "rows": rows}))

    def merge(self, other: "ValueCounts") -> None:
        """Add what another accumulator has seen."""
        if other._are_many:
            self._estimate()
            if self._sketch is not None:
                self._sketch.Merge(other._sketch)
        for part in other._parts:
            if not self._are_many:
                self._wait(part)
            else:
                self._add_all_to_sketch(part)

    def state(self) -> bytes:
        """Return the state as bytes."""
        self._compact()
        if self._are_many:
            return states.pack(
                {"sketch": self._sketch.Serialize() if self._sketch is not None else b""}
            )
        return states.pack({"counts": self._parts[0]} if self._parts else {})

    def from_state(self, state: bytes) -> "ValueCounts":
        """Return an accumulator with a state."""
        parts = states.unpack(state)
        found = ValueCounts(self._most, self._hashes)
        if "sketch" in parts:
            found._are_many = True
            if self._hashes:
                from tfx_bsl import sketches

                found._sketch = sketches.KmvSketch.Deserialize(parts["sketch"])
        elif "counts" in parts:
            found._parts = [parts["counts"]]
            found._pending = parts["counts"].num_rows
        return found

    def result(self) -> "ValueCounts":
        """Return the counts."""
        self._compact()
        return self

    @property
    def are_exact(self) -> bool:
        """Whether the values are counted."""
        self._compact()
        return not self._are_many

    @property
    def distinct(self) -> int:
        """How many distinct values there are; an estimate if they are not counted."""
        self._compact()
        if self._are_many:
            return int(self._sketch.Estimate()) if self._sketch is not None else self._most + 1
        return self._parts[0].num_rows if self._parts else 0

    def ranked(self) -> list[tuple[Any, int]]:
        """Return values with their rows: most frequent first, then ascending by value.

        Empty if they are not counted.
        """
        self._compact()
        if not self._parts:
            return []
        table = self._parts[0].sort_by([("rows", "descending"), ("value", "ascending")])
        return list(zip(table["value"].to_pylist(), table["rows"].to_pylist(), strict=True))

    def _wait(self, part: pa.Table) -> None:
        if not part.num_rows:
            return
        self._parts.append(part)
        self._pending += part.num_rows
        self._pending_bytes += part.nbytes
        if part.num_rows > self._most:
            self._estimate()
        elif (
            self._pending > self._most + _COMPACT_VALUES
            or self._pending_bytes > 2 * _MOST_BYTES
            or len(self._parts) > _COMPACT_PARTS
        ):
            self._compact()

    def _compact(self) -> None:
        if len(self._parts) > 1:
            grouped = pa.concat_tables(self._parts).group_by("value").aggregate([("rows", "sum")])
            named = grouped.rename_columns(_GROUPED[grouped.column_names[0]])
            self._parts = [named.select(["value", "rows"])]
            self._pending, self._pending_bytes = named.num_rows, named.nbytes
        if self._pending > self._most or self._bytes() > _MOST_BYTES:
            self._estimate()

    def _bytes(self) -> int:
        """Return the bytes of all texts; each distinct one counts once."""
        if not self._parts or not _is_text(self._parts[0]["value"].type):
            return 0
        return int(pc.sum(pc.binary_length(self._parts[0]["value"])).as_py() or 0)

    def _estimate(self) -> None:
        """Turn counts into hashes; a sketch of distinct values ignores how often each occurs."""
        if not self._are_many and self._hashes:
            from tfx_bsl import sketches

            self._sketch = sketches.KmvSketch(self._hashes)
        self._are_many = True
        for part in self._parts:
            self._add_all_to_sketch(part)
        self._parts, self._pending, self._pending_bytes = [], 0, 0

    def _add_all_to_sketch(self, part: pa.Table) -> None:
        for chunk in part["value"].chunks:
            self._add_to_sketch(chunk)

    def _add_to_sketch(self, values: pa.Array) -> None:
        if self._sketch is not None and len(values):
            self._sketch.AddValues(values)


# Older Arrow versions put the aggregates before the keys.
_GROUPED = {"value": ["value", "rows"], "rows_sum": ["rows", "value"]}


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_binary(kind))
