"""Facts that TFDV's statistics lack: whole-number codes, times in text, and a sample to draw."""

import math
import re
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kfp_tabular.components.common.statistics.text_times import TEXT_TIME_FORMATS, TextTimeFormat

MOST_CODES = 100
"""A whole-number column with more distinct values than this does not hold codes."""

_SAMPLED_CELLS = 4_000_000
_SAMPLED_ROWS = 20_000
_SAMPLED_TIMES = 4_000  # rows of a text column of times; each is parsed by itself


@dataclass
class BatchScan:
    """Collects facts about columns from each record batch, in one pass with bounded memory.

    Call `start_split` before the batches of a split, then `add` for each batch.

    Attributes:
        codes: Rows by value and split, for each whole-number column with at most `MOST_CODES`
            distinct values.
        times: The formats that every text of a column fits, most specific first.
        samples: Finite values of the numeric columns, by split and column: an evenly spread
            sample.
        written_times: Names of text columns that hold times in other formats than ISO 8601; they
            are sampled, too.

    Example:
        >>> scan = BatchScan()
        >>> scan.start_split("train", rows=4)
        >>> scan.add(pa.RecordBatch.from_pydict({"stars": [1, 2, 2, 5]}))
        >>> scan.codes["stars"]["train"].most_common(1)
        [(2, 2)]
    """

    codes: dict[str, dict[str, Counter[int]]] = field(default_factory=dict)
    times: dict[str, list[TextTimeFormat]] = field(default_factory=dict)
    written_times: frozenset[str] = frozenset()
    _chosen: dict[str, list[pa.RecordBatch]] = field(default_factory=dict)
    _texts: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    _seen: set[str] = field(default_factory=set)
    _split: str = ""
    _rows: int = 0
    _position: int = 0

    def start_split(self, split: str, rows: int) -> None:
        """Begin a split.

        Args:
            split: Its name.
            rows: The number of rows that it holds.
        """
        self._split, self._rows, self._position = split, rows, 0
        self._chosen[split] = []
        self._texts[split] = {}

    def add(self, batch: pa.RecordBatch) -> None:
        """Collect facts from the next batch of the split."""
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            if pa.types.is_integer(column.type):
                self._count_codes(name, column)
            elif pa.types.is_string(column.type):
                self._match_times(name, column)
        self._sample(batch)
        self._sample_times(batch)
        self._position += batch.num_rows

    @property
    def samples(self) -> dict[str, dict[str, npt.NDArray[np.float64]]]:
        """Samples of finite values, by split and column."""
        return {split: _finite_columns(batches) for split, batches in self._chosen.items()}

    @property
    def time_texts(self) -> dict[str, dict[str, list[str]]]:
        """Evenly spread samples of the text columns that hold times, by split and column."""
        return {
            split: {name: texts for name, texts in columns.items() if self._holds_times(name)}
            for split, columns in self._texts.items()
        }

    def _holds_times(self, name: str) -> bool:
        return name in self.times or name in self.written_times

    def _count_codes(self, name: str, column: pa.Array) -> None:
        first = name not in self._seen
        if not first and name not in self.codes:
            return
        self._seen.add(name)
        counts = self.codes.setdefault(name, {}).setdefault(self._split, Counter())
        # A column that does not hold codes usually shows it in a few rows: do not hash the rest.
        if first and len(column) > 2000 and len(pc.unique(column[:2000])) > MOST_CODES + 1:
            del self.codes[name]
            return
        tallied = pc.value_counts(column.drop_null())
        values, rows = tallied.field("values").to_pylist(), tallied.field("counts").to_pylist()
        if len(values) <= MOST_CODES:
            counts.update(dict(zip(values, rows, strict=True)))
        if len(values) > MOST_CODES or len(set().union(*self.codes[name].values())) > MOST_CODES:
            del self.codes[name]

    def _match_times(self, name: str, column: pa.Array) -> None:
        if name in self._seen and name not in self.times:
            return
        if column.null_count == len(column):
            return
        texts = column.drop_null()
        fits = self.times.get(name, TEXT_TIME_FORMATS)
        if name not in self._seen:
            self._seen.add(name)
            head = texts[:20].to_pylist()
            fits = [t for t in fits if all(re.search(t.pattern, text) for text in head)]
        fits = [t for t in fits if pc.all(pc.match_substring_regex(texts, t.pattern)).as_py()]
        if fits:
            self.times[name] = fits
        else:
            self.times.pop(name, None)

    def _sample(self, batch: pa.RecordBatch) -> None:
        numeric = [
            name
            for name, kind in zip(batch.schema.names, batch.schema.types, strict=True)
            if pa.types.is_integer(kind) or pa.types.is_floating(kind)
        ]
        if numeric:
            wanted = max(500, min(_SAMPLED_ROWS, _SAMPLED_CELLS // len(numeric)))
            stride = max(1, math.ceil(self._rows / wanted))
            rows = pa.array(range(-self._position % stride, batch.num_rows, stride), pa.int64())
            columns = [batch.column(batch.schema.get_field_index(name)) for name in numeric]
            self._chosen[self._split].append(
                pa.RecordBatch.from_arrays([column.take(rows) for column in columns], numeric)
            )

    def _sample_times(self, batch: pa.RecordBatch) -> None:
        stride = max(1, math.ceil(self._rows / _SAMPLED_TIMES))
        first = -self._position % stride
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            if pa.types.is_string(column.type) and self._holds_times(name):
                rows = pa.array(range(first, batch.num_rows, stride), pa.int64())
                chosen = self._texts[self._split].setdefault(name, [])
                chosen.extend(column.take(rows).drop_null().to_pylist())


def _finite_columns(batches: list[pa.RecordBatch]) -> dict[str, npt.NDArray[np.float64]]:
    if not batches:
        return {}
    table = pa.Table.from_batches(batches)
    found = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        values = column.drop_null().to_numpy().astype(np.float64)
        found[name] = values[np.isfinite(values)]
    return found
