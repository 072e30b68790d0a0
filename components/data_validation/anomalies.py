"""An anomaly: what is wrong with which column, in which split, in how many rows."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from kfp_tabular.components.common import files
from kfp_tabular.components.common.errors import UserError, closest

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2

Severity = Literal["error", "warning"]

FILE_NAME = "anomalies.pbtxt"
LIST_FILE = "anomalies.json"

FAIL_ON = ("error", "warning", "never")
"""From which severity on a task fails."""

_DATASET = ""


@dataclass(frozen=True)
class Anomaly:
    """Something wrong with the data.

    Attributes:
        severity: `error` or `warning`.
        column: The column's name; empty where it is about a whole split.
        split: The split's name; empty where it is about all of them.
        kind: What it is, in a few words.
        expected: What should have been.
        found: What is.
        rows: The rows concerned, where they can be counted.
        total: The rows that were looked at.
        reason: The name of the TensorFlow Metadata anomaly type.
    """

    severity: Severity
    column: str
    split: str
    kind: str
    expected: str
    found: str
    rows: int | None = None
    total: int = 0
    reason: str = "CUSTOM_VALIDATION"

    @property
    def message(self) -> str:
        """All of it in one line."""
        place = f"column {self.column!r}" if self.column else "the data"
        split = f" in split {self.split}" if self.split else ""
        share = "" if self.rows is None else f" ({self.rows:,} of {self.total:,} rows)"
        return f"{place}{split}: {self.kind}: expected {self.expected}, found {self.found}{share}"


def by_severity(anomalies: Iterable[Anomaly]) -> list[Anomaly]:
    """Sorts anomalies: errors first, then those that concern more rows."""
    return sorted(
        anomalies, key=lambda a: (a.severity != "error", -(a.rows or 0), a.column, a.split, a.kind)
    )


def check_fail_on(fail_on: str) -> None:
    """Raises `UserError` for anything but `error`, `warning` and `never`."""
    if fail_on not in FAIL_ON:
        raise UserError(
            f"fail_on: expected {', '.join(FAIL_ON)}, found {fail_on!r}."
            + closest(fail_on, FAIL_ON)
        )


def is_valid(anomalies: Iterable[Anomaly], fail_on: str) -> bool:
    """Tells whether the data are fit for use.

    Args:
        anomalies: What was found.
        fail_on: With `warning` any anomaly counts, else errors alone.
    """
    return not any(fail_on == "warning" or a.severity == "error" for a in anomalies)


def failure(anomalies: Sequence[Anomaly], fail_on: str, most: int = 3) -> str:
    """Gives the line to fail with; empty where the task is to go on.

    Args:
        anomalies: Sorted, the most severe first.
        fail_on: From which severity on to fail.
        most: At most this many anomalies are named.
    """
    if fail_on == "never" or is_valid(anomalies, fail_on):
        return ""
    counted = [a for a in anomalies if fail_on == "warning" or a.severity == "error"]
    errors = sum(a.severity == "error" for a in counted)
    warnings = len(counted) - errors
    parts = [_plural(n, word) for n, word in ((errors, "error"), (warnings, "warning")) if n]
    lines = by_severity(_over_splits(counted))
    named = "; ".join(a.message for a in lines[:most])
    more = f"; and {len(lines) - most} more" if len(lines) > most else ""
    return (
        f"the data have {' and '.join(parts)}: {named}{more}. The report shows all of them; "
        "correct the data or the schema, or set fail_on=never to go on regardless."
    )


def write(
    directory: Path,
    schema: "schema_pb2.Schema",
    anomalies: Sequence[Anomaly],
    splits: Iterable[str],
    comparisons: Mapping[str, Sequence["anomalies_pb2.DriftSkewInfo"]],
) -> None:
    """Writes the anomalies artifact.

    Args:
        directory: To write into: `anomalies.pbtxt` for all splits together, the same for each split
            in `<split>/anomalies.pbtxt`, without the schema as baseline, and `anomalies.json`, a
            list of `Anomaly` as objects.
        schema: What the data were compared with.
        anomalies: Sorted, the most severe first.
        splits: The names of all splits.
        comparisons: Distances between distributions, by split.
    """
    from google.protobuf import text_format

    everything = [info for split in splits for info in comparisons.get(split, ())]
    protos = {directory / FILE_NAME: _proto(schema, anomalies, everything)}
    for split in splits:
        here = [a for a in anomalies if a.split in ("", split)]
        found = _proto(None, here, comparisons.get(split, ()))
        protos[directory / split / FILE_NAME] = found
    for file, proto in protos.items():
        files.write_text(file, text_format.MessageToString(proto, as_utf8=True))
    listed = [{**asdict(a), "message": a.message} for a in anomalies]
    files.write_text(directory / LIST_FILE, json.dumps(listed, indent=2, ensure_ascii=False) + "\n")


def _proto(
    schema: "schema_pb2.Schema | None",
    anomalies: Sequence[Anomaly],
    comparisons: Iterable["anomalies_pb2.DriftSkewInfo"],
) -> "anomalies_pb2.Anomalies":
    from tensorflow_metadata.proto.v0 import anomalies_pb2

    result = anomalies_pb2.Anomalies(
        baseline=schema, anomaly_name_format=anomalies_pb2.Anomalies.SERIALIZED_PATH
    )
    grouped: dict[str, list[Anomaly]] = {}
    for anomaly in anomalies:
        grouped.setdefault(anomaly.column, []).append(anomaly)
    for column, found in grouped.items():
        if column == _DATASET:
            info = result.dataset_anomaly_info
        else:
            info = result.anomaly_info[column]
            info.path.step.append(column)
        severe = any(a.severity == "error" for a in found)
        kind = anomalies_pb2.AnomalyInfo
        info.severity = kind.ERROR if severe else kind.WARNING
        kinds = sorted({a.kind for a in found})
        info.short_description = kinds[0] if len(kinds) == 1 else "Multiple errors"
        info.description = " ".join(f"{a.message}." for a in found)
        for a in found:
            info.reason.add(
                type=kind.Type.Value(a.reason), short_description=a.kind, description=a.message
            )
    result.drift_skew_info.extend(comparisons)
    return result


def _over_splits(anomalies: Iterable[Anomaly]) -> list[Anomaly]:
    """Makes one of the anomalies that say the same of several splits."""
    grouped: dict[tuple[str, str, str, str], list[Anomaly]] = {}
    for a in anomalies:
        grouped.setdefault((a.severity, a.column, a.kind, a.expected), []).append(a)
    found = []
    for same in grouped.values():
        first = same[0]
        if len(same) > 1:
            rows = None if first.rows is None else sum(a.rows or 0 for a in same)
            first = replace(
                first,
                split=", ".join(a.split for a in same),
                found=", ".join(dict.fromkeys(a.found for a in same)),
                rows=rows,
                total=sum(a.total for a in same),
            )
        found.append(first)
    return found


def _plural(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
