from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kfp_tabular.components.common import options
from kfp_tabular.components.common.artifacts import findings as findings_document
from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.common.artifacts.findings import Finding
from kfp_tabular.components.common.values import column_format
from kfp_tabular.components.common.values.column_format import ColumnFormat
from kfp_tabular.components.data_ingestion import ingest
from kfp_tabular.components.data_ingestion.options import IngestionOptions
from tests.servers.stores import gcs, s3  # noqa: F401 - fixtures


@dataclass
class Ingested:
    """The outputs of an ingestion."""

    result: ingest.IngestionResult
    path: Path

    @property
    def examples(self) -> Examples:
        return Examples(self.path / "examples")

    def split(self, name: str) -> pa.Table:
        return pa.concat_tables([pq.read_table(file.uri) for file in self.examples.shards[name]])

    @property
    def table(self) -> pa.Table:
        """All splits."""
        return pa.concat_tables([self.split(name) for name in self.examples.splits])

    def column(self, name: str) -> list[Any]:
        return self.table[name].to_pylist()

    @property
    def types(self) -> dict[str, str]:
        return {field.name: str(field.type) for field in self.examples.schema}

    @property
    def rejected(self) -> list[dict[str, Any]]:
        return pq.read_table(self.path / "rejected" / "part-00000.parquet").to_pylist()

    @property
    def findings(self) -> list[Finding]:
        return findings_document.read(self.path / "examples")

    @property
    def warnings(self) -> list[Finding]:
        return [found for found in self.findings if found.severity == "warning"]

    @property
    def formats(self) -> dict[str, ColumnFormat]:
        return column_format.read(self.path / "examples")

    @property
    def summary(self) -> str:
        return (self.path / "summary.md").read_text(encoding="utf-8")


Ingest = Callable[..., Ingested]


@pytest.fixture
def run(tmp_path: Path) -> Ingest:
    """Ingest a URI, or CSV given as text or bytes; one split unless told otherwise."""

    def call(data: str | bytes | Path, out: str = "out", **arguments: Any) -> Ingested:
        if isinstance(data, bytes) or (isinstance(data, str) and "\n" in data):
            file = tmp_path / "data.csv"
            file.write_bytes(data if isinstance(data, bytes) else data.encode())
            data = file
        path = tmp_path / out
        chosen = {"data_uri": str(data), "split_fractions": {"train": 1}, **arguments}
        unknown = chosen.keys() - options.describe(IngestionOptions).keys()
        assert not unknown, unknown
        request = ingest.IngestionRequest(
            options=options.build(IngestionOptions, chosen),
            examples=path / "examples",
            rejected_rows=path / "rejected",
            summary=path / "summary.md",
        )
        return Ingested(ingest.run(request), path)

    return call
