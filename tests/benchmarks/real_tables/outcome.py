"""What a run decided, found and measured, and expectations about it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

Expectation = Callable[["Outcome"], str]
"""Takes an outcome; returns what is wrong, or an empty text."""


@dataclass(frozen=True)
class Outcome:
    """A run that has ended.

    Attributes:
        code: The exit code.
        console: Everything it printed.
        output: The run's folder.
    """

    code: int
    console: str
    output: Path

    @cached_property
    def summary(self) -> Mapping[str, Any]:
        """The content of `summary.json`; empty where there is none."""
        file = self.output / "summary.json"
        return json.loads(file.read_text()) if file.exists() else {}

    @cached_property
    def findings(self) -> list[Mapping[str, Any]]:
        """The findings in `summary.json`."""
        return list(self.summary.get("findings", []))

    @cached_property
    def columns(self) -> Mapping[str, Any]:
        """The format of each column, as ingestion decided it."""
        return dict(self._document("ingest-data", "_columns.json").get("columns", {}))

    @cached_property
    def features(self) -> Mapping[str, str]:
        """The kind of each feature; `dropped` for a column that is left out."""
        document = self._document("transform-features", "features.json")
        kinds = {entry["column"]: entry["kind"] for entry in document.get("features", [])}
        return kinds | {entry["column"]: "dropped" for entry in document.get("dropped", [])}

    @cached_property
    def task(self) -> Mapping[str, Any]:
        """The supervised task: kind, label, classes."""
        return self._document("transform-features", "task.json")

    @property
    def metrics(self) -> Mapping[str, float]:
        """The metrics of the evaluation."""
        return dict(self.summary.get("metrics", {}))

    def _document(self, task: str, name: str) -> Mapping[str, Any]:
        found = sorted(self.output.glob(f"artifacts/*/{task}*/**/{name}"))
        return json.loads(found[0].read_text()) if found else {}


def succeeds(outcome: Outcome) -> str:
    """Expect a run without an error."""
    return "" if outcome.code == 0 else f"exit code {outcome.code}"


def refused(*parts: str) -> Expectation:
    """Expect exit code 2 and a message with these parts."""

    def check(outcome: Outcome) -> str:
        missing = [part for part in parts if part not in outcome.console]
        wrong = [] if outcome.code == 2 else [f"exit code {outcome.code}, expected 2"]
        wrong += [f"the message lacks {part!r}" for part in missing]
        wrong += ["a traceback"] if "Traceback" in outcome.console else []
        return "; ".join(wrong)

    return check


def auc(least: float, most: float = 1.0) -> Expectation:
    """Expect an AUC within these limits."""
    return metric("auc", least, most)


def metric(name: str, least: float, most: float) -> Expectation:
    """Expect a metric within these limits."""

    def check(outcome: Outcome) -> str:
        value = outcome.metrics.get(name)
        if value is not None and least <= value <= most:
            return ""
        return f"{name} is {value}, expected {least} to {most}"

    return check


def blessed(wanted: bool) -> Expectation:
    """Expect the model to be blessed, or not to be."""

    def check(outcome: Outcome) -> str:
        actual = outcome.summary.get("blessed")
        return "" if actual is wanted else f"blessed is {actual}, expected {wanted}"

    return check


def column(name: str, kind: str) -> Expectation:
    """Expect ingestion to read a column as a kind; several are separated by `|`."""

    def check(outcome: Outcome) -> str:
        actual = outcome.columns.get(name, {}).get("kind")
        return "" if actual in kind.split("|") else f"{name} holds {actual}, expected {kind}"

    return check


def feature(name: str, kind: str) -> Expectation:
    """Expect a column to become a kind of feature, or `dropped`; several separated by `|`."""

    def check(outcome: Outcome) -> str:
        actual = outcome.features.get(name)
        return "" if actual in kind.split("|") else f"{name} becomes {actual}, expected {kind}"

    return check


def says(*parts: str, severity: str = "") -> Expectation:
    """Expect a finding with all these parts, also on the console."""

    def check(outcome: Outcome) -> str:
        for finding in outcome.findings:
            text = " ".join(str(value) for value in finding.values()).lower()
            right = not severity or finding["severity"] in severity.split("|")
            if right and all(part.lower() in text for part in parts):
                return ""
        return f"no finding {severity} with {parts}"

    return check


def quiet(outcome: Outcome) -> str:
    """Expect no warning and no error."""
    loud = [entry["message"] for entry in outcome.findings if entry["severity"] != "note"]
    return f"warnings: {loud}" if loud else ""


def classes(*wanted: str) -> Expectation:
    """Expect these classes, the positive one of two last."""

    def check(outcome: Outcome) -> str:
        actual = tuple(outcome.task.get("classes") or ())
        return "" if actual == wanted else f"classes are {actual}, expected {wanted}"

    return check


def rows(count: int) -> Expectation:
    """Expect so many rows in the examples of all splits."""

    def check(outcome: Outcome) -> str:
        import pyarrow.parquet as pq

        shards = outcome.output.glob("artifacts/*/ingest-data*/examples/split=*/*.parquet")
        actual = sum(pq.read_metadata(shard).num_rows for shard in shards)
        return "" if actual == count else f"{actual} rows, expected {count}"

    return check
