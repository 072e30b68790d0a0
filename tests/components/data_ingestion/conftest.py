from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.data_ingestion import ingest
from kfp_tabular.components.data_ingestion.readers.csv_source import CsvOptions
from kfp_tabular.components.data_ingestion.splits.split_choice import SplitRequest
from tests.servers.stores import gcs, s3  # noqa: F401 - fixtures


@dataclass
class Ingested:
    """What an ingestion left on disk."""

    result: ingest.Result
    path: Path

    @property
    def examples(self) -> Examples:
        return Examples(self.path / "examples")

    def split(self, name: str) -> pa.Table:
        return pa.concat_tables([pq.read_table(file) for file in self.examples.shards[name]])

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
    def summary(self) -> str:
        return (self.path / "summary.md").read_text(encoding="utf-8")


Ingest = Callable[..., Ingested]


@pytest.fixture
def run(tmp_path: Path) -> Ingest:
    """Ingests a URI, or CSV given as text or bytes; one split unless told otherwise."""

    def call(data: str | bytes | Path, out: str = "out", **arguments: Any) -> Ingested:
        if isinstance(data, bytes) or (isinstance(data, str) and "\n" in data):
            file = tmp_path / "data.csv"
            file.write_bytes(data if isinstance(data, bytes) else data.encode())
            data = file
        csv = {name: arguments.pop(name) for name in list(arguments) if name in CSV_OPTIONS}
        split = {"fractions": {"train": 1}}
        split |= {
            name.removeprefix("split_"): arguments.pop(name)
            for name in list(arguments)
            if name.startswith("split_")
        }
        path = tmp_path / out
        request = ingest.Request(
            data_uri=str(data),
            examples=path / "examples",
            rejected_rows=path / "rejected",
            summary=path / "summary.md",
            split=SplitRequest(**split),
            csv=CsvOptions(**csv),
            **arguments,
        )
        return Ingested(ingest.run(request), path)

    return call


CSV_OPTIONS = ("delimiter", "encoding", "missing_values")
