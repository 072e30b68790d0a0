"""Small examples artifacts, and validation of them."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2

from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.common.artifacts.raw_features import read_schema
from kfp_tabular.components.data_validation import validate
from kfp_tabular.components.data_validation.options import ValidationOptions
from tests.components.small_examples import write_examples  # noqa: F401 - a fixture


@dataclass(frozen=True)
class Done:
    """The outputs of a validation."""

    result: validate.ValidationResult
    folder: Path

    @property
    def schema(self) -> schema_pb2.Schema:
        return read_schema(self.folder / "schema")

    @property
    def page(self) -> str:
        return (self.folder / "report.html").read_text(encoding="utf-8")

    @property
    def listed(self) -> list[dict[str, Any]]:
        return json.loads((self.folder / "anomalies" / "anomalies.json").read_text("utf-8"))

    def anomalies(self, split: str = "") -> anomalies_pb2.Anomalies:
        file = self.folder / "anomalies" / split / "anomalies.pbtxt"
        return text_format.Parse(file.read_text("utf-8"), anomalies_pb2.Anomalies())

    def found(self, kind: str) -> dict[tuple[str, str], dict[str, Any]]:
        """The anomalies of a kind, by column and split."""
        return {(a["column"], a["split"]): a for a in self.listed if a["kind"] == kind}


@pytest.fixture
def validated(tmp_path: Path) -> Callable[..., Done]:
    """Validate an examples artifact into a new folder."""
    count = 0

    def run(examples: Examples, **arguments: Any) -> Done:
        nonlocal count
        count += 1
        folder = tmp_path / f"validated-{count}"
        request = validate.ValidationRequest(
            examples=examples.path,
            schema=folder / "schema",
            statistics=folder / "statistics",
            anomalies=folder / "anomalies",
            report=folder / "report.html",
            options=ValidationOptions(**arguments),
        )
        return Done(validate.run(request), folder)

    return run


def repeated(rows: int, columns: Mapping[str, list[Any]]) -> pa.Table:
    """A table whose columns repeat their values."""
    return pa.table({n: pa.array([v[i % len(v)] for i in range(rows)]) for n, v in columns.items()})
