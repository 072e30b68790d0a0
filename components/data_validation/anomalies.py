"""Anomalies, and the artifact that lists them."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from kfp_tabular.components.common import files
from kfp_tabular.components.common.artifacts.findings import Finding
from kfp_tabular.components.common.statistics.distances import Distance, Measure

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2

Severity = Literal["error", "warning"]

FILE_NAME = "anomalies.pbtxt"
LIST_FILE = "anomalies.json"

_DATASET = ""
_WORDS = re.compile(r"[a-z0-9]+")
_OPTIONS = {"skew": "skew_thresholds", "drift": "drift_thresholds"}

_DISTANCE_REASONS: Mapping[Measure, str] = {
    "L_INFTY": "COMPARATOR_L_INFTY_HIGH",
    "JENSEN_SHANNON_DIVERGENCE": "COMPARATOR_JENSEN_SHANNON_DIVERGENCE_HIGH",
}


@dataclass(frozen=True)
class Anomaly:
    """Something wrong with the data.

    Attributes:
        severity: `error` or `warning`.
        column: The column's name; empty where the anomaly concerns the whole dataset.
        split: The split's name; empty where the anomaly concerns all splits.
        kind: A short name of what is wrong.
        expected: What valid data would hold.
        found: What the data hold.
        rows: The number of rows concerned; None where rows cannot be counted.
        total: The number of rows checked.
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
        """The whole anomaly in one line."""
        place = f"column {self.column!r}" if self.column else "the data"
        split = f" in split {self.split}" if self.split else ""
        share = "" if self.rows is None else f" ({self.rows:,} of {self.total:,} rows)"
        return f"{place}{split}: {self.kind}: expected {self.expected}, found {self.found}{share}"


def by_severity(anomalies: Iterable[Anomaly]) -> list[Anomaly]:
    """Sort anomalies: errors first, then by the number of rows, largest first.

    Example:
        >>> warning = Anomaly("warning", "note", "", "no values", "some", "every row empty")
        >>> error = Anomaly("error", "fare", "eval", "not a number", "numbers", "NaN")
        >>> [anomaly.column for anomaly in by_severity([warning, error])]
        ['fare', 'note']
    """
    return sorted(
        anomalies, key=lambda a: (a.severity != "error", -(a.rows or 0), a.column, a.split, a.kind)
    )


def from_distance(distance: Distance) -> Anomaly:
    """Return the anomaly of a distance that is above its threshold.

    Example:
        >>> far = Distance("fare", "eval", "skew", "JENSEN_SHANNON_DIVERGENCE", 0.25, threshold=0.1)
        >>> from_distance(far).found
        '0.25'
    """
    other = "the train split" if distance.kind == "skew" else "the earlier data"
    return Anomaly(
        severity="error",
        column=distance.column,
        split=distance.split,
        kind=f"{distance.kind} against {other}",
        expected=f"{distance.measure_name} at most {distance.threshold:g}",
        found=f"{distance.value:.4g}",
        reason=_DISTANCE_REASONS[distance.measure],
    )


def findings(anomalies: Iterable[Anomaly]) -> list[Finding]:
    """Return anomalies as findings of the task; splits with the same one share a finding.

    Example:
        >>> warning = Anomaly("warning", "note", "", "no values", "some", "every row empty", 90, 90)
        >>> (found,) = findings([warning])
        >>> print(f"{found.code}: {found.message}")
        no-values: Column 'note': no values: expected some, found every row empty (90 of 90 rows).
    """
    return [
        Finding(
            severity=anomaly.severity,
            code="-".join(_WORDS.findall(anomaly.kind.lower())),
            message=f"{anomaly.message[0].upper()}{anomaly.message[1:]}.",
            column=anomaly.column,
            option=_OPTIONS.get(anomaly.kind.partition(" ")[0], ""),
        )
        for anomaly in by_severity(_over_splits(anomalies))
    ]


def is_valid(anomalies: Iterable[Anomaly], fail_on: str) -> bool:
    """Return whether the data are valid.

    Args:
        anomalies: All anomalies found.
        fail_on: With `warning` every anomaly counts, otherwise only errors.

    Example:
        >>> warning = Anomaly("warning", "note", "", "no values", "some", "every row empty")
        >>> is_valid([warning], fail_on="error"), is_valid([warning], fail_on="warning")
        (True, False)
    """
    return not any(fail_on == "warning" or a.severity == "error" for a in anomalies)


def failure(anomalies: Sequence[Anomaly], fail_on: str, most: int = 3) -> str:
    """Return the error message that the task fails with; empty where it does not fail.

    Args:
        anomalies: All anomalies found, most severe first.
        fail_on: The least severity that fails the task: `error`, `warning` or `never`.
        most: The largest number of anomalies to name.

    Example:
        >>> error = Anomaly("error", "fare", "eval", "not a number", "numbers", "NaN", 2, 90)
        >>> print(failure([error], fail_on="error"))
        the data have 1 error: column 'fare' in split eval: not a number: expected numbers, found
        NaN (2 of 90 rows). The report lists all of them. Correct the data or the schema, or set
        fail_on=never to continue anyway.
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
        f"the data have {' and '.join(parts)}: {named}{more}. The report lists all of them. "
        "Correct the data or the schema, or set fail_on=never to continue anyway."
    )


def write(
    directory: Path,
    schema: "schema_pb2.Schema",
    anomalies: Sequence[Anomaly],
    splits: Iterable[str],
    comparisons: Mapping[str, Sequence["anomalies_pb2.DriftSkewInfo"]],
) -> None:
    """Write the anomalies artifact.

    It holds `anomalies.pbtxt` for all splits together, `<split>/anomalies.pbtxt` for each split
    without the schema as baseline, and `anomalies.json`, a list with an object per `Anomaly`.

    Args:
        directory: An existing directory to write into.
        schema: The schema that the data were compared with.
        anomalies: All anomalies found, most severe first.
        splits: The names of all splits.
        comparisons: Distances between distributions, by split.

    Example:
        >>> import tempfile
        >>> from tensorflow_metadata.proto.v0 import schema_pb2
        >>> error = Anomaly("error", "fare", "eval", "not a number", "numbers", "NaN")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write(Path(folder), schema_pb2.Schema(), [error], ["eval"], {})
        ...     sorted(str(file.relative_to(folder)) for file in Path(folder).rglob("*.*"))
        ['anomalies.json', 'anomalies.pbtxt', 'eval/anomalies.pbtxt']
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
    """Merge anomalies that differ only in their split."""
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
