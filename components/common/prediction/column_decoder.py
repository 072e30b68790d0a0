"""Decoding of whole columns into the values of a model's inputs, for files and tables.

It takes what `instances.Decoder` takes and refuses what that refuses. Usual spellings are read a
column at a time. What is left is read by the decoder's own rules, each distinct value once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kfp_tabular.components.common.artifacts.model_document import ModelInput
from kfp_tabular.components.common.artifacts.raw_features import MISSING_INT
from kfp_tabular.components.common.prediction import spellings
from kfp_tabular.components.common.prediction.instances import Decoder, Feature, InstanceError
from kfp_tabular.components.common.values import arrays, reading
from kfp_tabular.components.common.values.arrays import Mask
from kfp_tabular.components.common.values.column_format import ColumnFormat

_FLOAT32_MAX = float(np.finfo(np.float32).max)
_NUMBERS = ("number", "integer")
_NUMBER, _INTEGER = ColumnFormat("number"), ColumnFormat("integer")


@dataclass(frozen=True)
class Refusal:
    """A row that the endpoint would refuse.

    Attributes:
        row: The row, counted from 0.
        feature: The first feature at fault.
        problem: What is wrong with it, in the endpoint's words.
    """

    row: int
    feature: str
    problem: str


@dataclass(frozen=True)
class DecodedColumns:
    """The inputs of a model for some rows.

    Attributes:
        values: The values by the name of the signature's input: `float32` or `int64` arrays of
            numpy, or `Texts`. Missing values are the feature's marker.
        refused: The rows that the model must not be asked about, in order; their values mean
            nothing.
        unreadable: How many values that cannot be read count as missing, by feature.
    """

    values: "Mapping[str, np.ndarray[Any, Any] | Texts]"
    refused: Sequence[Refusal]
    unreadable: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Texts:
    """Texts as codes: position in a list of distinct texts.

    Attributes:
        codes: The position of each row's text, `int32`.
        distinct: The texts as bytes.

    Example:
        >>> Texts(np.array([1, 0, 1], np.int32), (b"card", b"cash")).whole().tolist()
        [b'cash', b'card', b'cash']
    """

    codes: "np.ndarray[Any, np.dtype[np.int32]]"
    distinct: tuple[bytes, ...]

    def __len__(self) -> int:
        return len(self.codes)

    def whole(self) -> "np.ndarray[Any, Any]":
        """Return the text of each row, as `tf.constant` takes it."""
        found = np.empty(len(self.distinct), dtype=object)
        found[:] = self.distinct
        return np.asarray(found[self.codes])


class ColumnDecoder:
    """Decodes columns of files and tables; lenient, as `Decoder.lenient`.

    Args:
        inputs: The inputs of the model.
        tolerant: Whether text that cannot be read counts as missing.

    Attributes:
        columns: The columns that the model takes, or that its features are derived from.

    Example:
        >>> fare = ModelInput("fare", "float32", required=True, input="fare")
        >>> found = ColumnDecoder([fare]).decode({"fare": pa.array(["5.5", "free"])}, rows=2)
        >>> found.values["fare"][:1], found.refused[0].problem
        (array([5.5], dtype=float32),
        "feature 'fare': expected a finite number in float32's range, found text.")
    """

    def __init__(self, inputs: Sequence[ModelInput], *, tolerant: bool = False) -> None:
        self._decoder = Decoder(inputs)
        self._tolerant = tolerant
        self.columns = tuple(
            dict.fromkeys([*(entry.name for entry in inputs), *sorted(self._decoder.sources)])
        )

    def decode(self, columns: Mapping[str, pa.Array], rows: int) -> DecodedColumns:
        """Decode the values of some rows.

        Args:
            columns: The values by column, missing is null. A column that is not there is missing
                in all rows, and others are ignored.
            rows: The number of rows.
        """
        derived = {
            name: _part(columns.get(given.derived_from or ""), source, given, rows)
            for name, given, source in self._decoder.derived
            if name not in columns
        }
        values: dict[str, np.ndarray[Any, Any] | Texts] = {}
        refused: dict[int, Refusal] = {}
        unreadable: dict[str, int] = {}
        for feature in self._decoder.features:
            reading_of = _FeatureReading(
                feature, self._tolerant, is_lenient=feature.name not in derived
            )
            column = derived.get(feature.name, columns.get(feature.name))
            values[feature.input] = reading_of.read(pa.nulls(rows) if column is None else column)
            for row, problem in reading_of.refused.items():
                refused.setdefault(row, Refusal(row, feature.name, problem))
            if reading_of.unreadable:
                unreadable[feature.name] = reading_of.unreadable
        return DecodedColumns(values, [refused[row] for row in sorted(refused)], unreadable)


class _FeatureReading:
    """Reads a column as the values of a feature."""

    def __init__(self, feature: Feature, tolerant: bool, *, is_lenient: bool) -> None:
        self.refused: dict[int, str] = {}
        self.unreadable = 0
        self._feature = feature
        self._tolerant = tolerant
        self._is_lenient = is_lenient

    def read(self, column: pa.Array) -> "np.ndarray[Any, Any] | Texts":
        column = _plain_type(column)
        if self._feature.dtype == "string":
            return self._texts(column)
        return self._numbers(column)

    def _numbers(self, column: pa.Array) -> "np.ndarray[Any, Any]":
        feature = self._feature
        values, left = (
            _usual_floats(column, feature.format)
            if feature.dtype == "float32"
            else _usual_integers(column, feature.format)
        )
        missing = ~arrays.to_valid(column)
        if missing.any():
            values[missing] = feature.missing
            self._refuse_missing(np.flatnonzero(missing))
        rows = np.flatnonzero(left & ~missing)
        if len(rows):
            found, codes = self._one_by_one(column, rows)
            distinct = np.empty(len(found), values.dtype)
            for place, value in enumerate(found):
                distinct[place] = value
            values[rows] = distinct[codes]
        return values

    def _texts(self, column: pa.Array) -> Texts:
        text = _usual_texts(column, self._feature.format)
        present = arrays.to_valid(column)
        encoded = text.dictionary_encode()
        distinct = [value.encode() for value in encoded.dictionary.to_pylist()]
        codes = _codes(encoded.indices, len(distinct))
        distinct.append(_as_bytes(self._feature.missing))
        if not present.all():
            self._refuse_missing(np.flatnonzero(~present))
        rows = np.flatnonzero(present & ~arrays.to_valid(text))
        if len(rows):
            found, more = self._one_by_one(column, rows)
            codes[rows] = more + len(distinct)
            distinct += [_as_bytes(value) for value in found]
        return Texts(codes, tuple(distinct))

    def _one_by_one(
        self, column: pa.Array, rows: "np.ndarray[Any, Any]"
    ) -> "tuple[list[Any], np.ndarray[Any, Any]]":
        """Return distinct values of some rows, and which of them each row has."""
        encoded = column.take(arrays.from_integers(rows)).dictionary_encode()
        given = encoded.dictionary.to_pylist()
        codes = _codes(encoded.indices, len(given))
        found, problems = self._values(given)
        self._spread(problems, codes, rows)
        return [self._feature.missing if value is None else value for value in found], codes

    def _values(self, given: Sequence[Any]) -> "tuple[list[Any], dict[int, str]]":
        """Read distinct values; return what is wrong with some, by position."""
        feature = self._feature
        found: list[Any] = []
        problems: dict[int, str] = {}
        for place, each in enumerate(given):
            value = None
            try:
                value = feature.value(feature.plain(each) if self._is_lenient else each)
                if value is None and feature.required:
                    problems[place] = feature.absent(0).problem
            except spellings.UnreadableError:
                problems[place] = "" if self._tolerant else feature.unreadable(0).problem
                if self._tolerant and feature.required:
                    problems[place] = feature.absent(0).problem
            except InstanceError as error:
                problems[place] = error.problem
            found.append(value)
        return found, problems

    def _spread(
        self,
        problems: Mapping[int, str],
        codes: "np.ndarray[Any, Any]",
        rows: "np.ndarray[Any, Any]",
    ) -> None:
        for place, problem in problems.items():
            places = rows[codes == place]
            if not problem:
                self.unreadable += len(places)
                continue
            for row in places.tolist():
                self.refused[row] = problem

    def _refuse_missing(self, rows: "np.ndarray[Any, Any]") -> None:
        if self._feature.required and len(rows):
            problem = self._feature.absent(0).problem
            for row in rows.tolist():
                self.refused[row] = problem


def _usual_floats(
    column: pa.Array, given: ColumnFormat | None
) -> "tuple[np.ndarray[Any, Any], Mask]":
    """Read a column as `float32`; return the rows that are still to be read, too."""
    doubles = None
    if pa.types.is_string(column.type) and (given is None or given.kind in _NUMBERS):
        doubles = arrays.to_doubles(reading.read(column, given or _NUMBER).values)
    elif _is_number(column) and (given is None or given.kind != "bag"):
        doubles = arrays.to_doubles(column)
    if doubles is None:
        return np.full(len(column), np.nan, np.float32), np.ones(len(column), np.bool_)
    left = ~(np.abs(doubles) <= _FLOAT32_MAX)
    doubles[left] = np.nan
    return doubles.astype(np.float32), left


def _usual_integers(
    column: pa.Array, given: ColumnFormat | None
) -> "tuple[np.ndarray[Any, Any], Mask]":
    """Read a column as `int64`; return the rows that are still to be read, too."""
    found = None
    if pa.types.is_string(column.type) and (
        given is None or given.kind in _NUMBERS or _has_unit(given)
    ):
        found = reading.read(column, given or _INTEGER).values
    elif _is_number(column) and (given is None or given.kind != "bag"):
        found = column
    if found is None:
        return np.full(len(column), MISSING_INT, np.int64), np.ones(len(column), np.bool_)
    if pa.types.is_int64(found.type):
        values = arrays.to_integers(found)
        return values, ~arrays.to_valid(found) | (values == MISSING_INT)
    doubles = arrays.to_doubles(found)
    # NaN compares as False.
    left = ~((np.trunc(doubles) == doubles) & (np.abs(doubles) < 2.0**63))
    doubles[left] = 0
    return doubles.astype(np.int64), left


def _usual_texts(column: pa.Array, given: ColumnFormat | None) -> pa.StringArray:
    """Read a column as text; what is still to be read is null."""
    if not pa.types.is_string(column.type):
        return pa.nulls(len(column), pa.string())
    if given is None:
        return column
    if given.kind == "text" or (given.kind == "time" and not _has_unit(given)):
        return reading.read(column, given).values
    return pa.nulls(len(column), pa.string())


def _has_unit(given: ColumnFormat) -> bool:
    return given.time is not None and bool(given.time.unit)


def _is_number(column: pa.Array) -> bool:
    return bool(pa.types.is_int64(column.type) or pa.types.is_float64(column.type))


def _codes(indices: pa.Array, missing: int) -> "np.ndarray[Any, np.dtype[np.int32]]":
    """Return the indices of a dictionary array; null becomes a code of its own."""
    codes = np.frombuffer(indices.buffers()[1] or b"", np.int32)
    codes = codes[indices.offset : indices.offset + len(indices)].copy()
    if indices.null_count:
        codes[~arrays.to_valid(indices)] = missing
    return codes


def _as_bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def _part(
    column: pa.Array | None, source: ColumnFormat, given: ColumnFormat, rows: int
) -> pa.Array:
    """Return the column that ingestion derives from the text of another one."""
    part = given.part or "odd"
    if column is None:
        return reading.read_part(pa.nulls(rows, pa.string()), source, part)
    column = _plain_type(column)
    if pa.types.is_string(column.type):
        return reading.read_part(column, source, part)
    empty = pa.nulls(rows, pa.string())
    if part == "unit":
        return empty
    valid = arrays.to_valid(column)
    nothing = reading.read_part(empty, source, part)
    return pc.if_else(arrays.from_mask(valid), arrays.from_integers(np.zeros(rows)), nothing)


def _plain_type(column: pa.Array) -> pa.Array:  # noqa: PLR0911 - one per type
    """Return a column in a type that is read at once, where there is one for its values."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _plain_type(column.dictionary_decode())
    if pa.types.is_null(kind) or pa.types.is_large_string(kind):
        return pc.cast(column, pa.string())
    if pa.types.is_integer(kind) and not pa.types.is_int64(kind):
        try:
            return pc.cast(column, pa.int64())
        except pa.ArrowInvalid:  # unsigned, beyond 63 bits
            return column
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return pc.cast(column, pa.float64(), safe=False)
    if pa.types.is_date32(kind):
        return pc.cast(column, pa.string())
    if pa.types.is_timestamp(kind) and kind.tz is None:
        try:
            return pc.cast(pc.cast(column, pa.timestamp("s")), pa.string())
        except pa.ArrowInvalid:  # fractions of seconds
            return column
    return column
