"""Columns that the page of a validation shows in their own way: points in time, identifiers."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.common.html.charts.time_axis import FIRST, LAST
from kfp_tabular.components.common.statistics.column_summary import SplitSummaries
from kfp_tabular.components.common.values import identifiers
from kfp_tabular.components.common.values.identifiers import IdentifierKind
from kfp_tabular.components.data_validation.report_content import Floats

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0 import schema_pb2

IDENTIFIER_ROWS = 20_000
"""Rows that show whether a column holds identifiers."""

_MOST_CANDIDATES = 200  # columns whose values are read for it


def points_in_time(
    schema: "schema_pb2.Schema",
    samples: Mapping[str, Mapping[str, Floats]],
    texts: Mapping[str, Mapping[str, Sequence[str]]],
) -> dict[str, dict[str, Floats]]:
    """Return samples of the columns that hold points in time, in seconds since 1970.

    Args:
        schema: The schema; its time domains tell which whole numbers are times.
        samples: Samples of numbers, by split and column.
        texts: Samples of texts that hold times, by split and column.

    Returns:
        Seconds by split and column. Values that are no time, or beyond the years 1 to 9999, are
        left out.
    """
    units, forms = _time_domains(schema)
    found: dict[str, dict[str, Floats]] = {}
    for split in samples.keys() | texts.keys():
        columns = {
            name: values * units[name]
            for name, values in samples.get(split, {}).items()
            if name in units
        }
        columns |= {
            name: _parsed(written, forms.get(name, ""))
            for name, written in texts.get(split, {}).items()
        }
        found[split] = {
            name: values[(values >= FIRST) & (values <= LAST)] for name, values in columns.items()
        }
    return found


def _time_domains(schema: "schema_pb2.Schema") -> tuple[dict[str, float], dict[str, str]]:
    """Return the seconds of a unit of each column of numbers, and the format of each of texts."""
    from tensorflow_metadata.proto.v0 import schema_pb2

    seconds = {
        schema_pb2.TimeDomain.UNIX_DAYS: 86_400.0,
        schema_pb2.TimeDomain.UNIX_SECONDS: 1.0,
        schema_pb2.TimeDomain.UNIX_MILLISECONDS: 1e-3,
        schema_pb2.TimeDomain.UNIX_MICROSECONDS: 1e-6,
        schema_pb2.TimeDomain.UNIX_NANOSECONDS: 1e-9,
    }
    timed = [feature for feature in schema.feature if feature.HasField("time_domain")]
    units = {
        feature.name: seconds[feature.time_domain.integer_format]
        for feature in timed
        if feature.time_domain.integer_format in seconds
    }
    return units, {feature.name: feature.time_domain.string_format for feature in timed}


def _parsed(texts: Iterable[str], form: str) -> Floats:
    moments = []
    for text in texts:
        moment = _moment(text, form)
        if moment is not None:
            aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            moments.append(aware.timestamp())
    return np.array(moments, np.float64)


def _moment(text: str, form: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        pass
    try:
        return datetime.strptime(text, form) if form else None
    except ValueError:
        return None


def identifiers_among(
    examples: Examples, summaries: SplitSummaries, leave_out: Iterable[str]
) -> dict[str, IdentifierKind]:
    """Return what columns of identifiers identify, by column.

    Args:
        examples: The data.
        summaries: Their statistics, which tell the columns with many distinct values.
        leave_out: Columns that hold no identifiers, as the label and points in time.
    """
    rows = examples.rows()
    if not any(rows.values()):
        return {}
    split = max(rows, key=lambda name: rows[name])
    candidates = _candidates(examples.schema.names, summaries, split, set(leave_out))
    if not candidates:
        return {}
    batch = next(iter(examples.batches(split, candidates, IDENTIFIER_ROWS)))
    found = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        kind = identifiers.of_column(name, column)
        if kind is not None:
            found[name] = kind
    return found


def _candidates(
    columns: Sequence[str], summaries: SplitSummaries, split: str, out: set[str]
) -> list[str]:
    """Return the columns whose few rows per value suggest identifiers."""
    candidates = []
    for name in columns:
        summary = summaries.get(split, {}).get(name)
        if summary is None or name in out:
            continue
        if summary.numeric:
            many = not summary.ranked and summary.low == np.rint(summary.low)
        else:
            many = summary.present <= identifiers.ROWS_PER_ENTITY * summary.distinct
        if many and summary.present >= identifiers.FEWEST_ROWS:
            candidates.append(name)
    return candidates[:_MOST_CANDIDATES]
