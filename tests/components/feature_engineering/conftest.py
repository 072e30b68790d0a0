"""Small tables as examples and schema artifacts, and a transform of them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from kfp_tabular.components.common.artifacts.examples import Examples, ExamplesWriter
from kfp_tabular.components.common.artifacts.raw_features import RawFeature
from kfp_tabular.components.common.values import column_format
from kfp_tabular.components.feature_engineering import transform
from kfp_tabular.components.feature_engineering.options import TransformOptions

TYPES = {"double": schema_pb2.FLOAT, "int64": schema_pb2.INT, "string": schema_pb2.BYTES}


def write_examples(path: Path, splits: Mapping[str, pa.Table]) -> Path:
    path.mkdir(parents=True)
    schema = next(iter(splits.values())).schema
    with ExamplesWriter(path, schema, list(splits)) as writer:
        for split, table in splits.items():
            writer.write(split, table)
    return path


def schema_of(table: pa.Table) -> schema_pb2.Schema:
    schema = schema_pb2.Schema()
    for field, column in zip(table.schema, table.columns, strict=True):
        feature = schema.feature.add(name=field.name, type=TYPES[str(field.type)])
        feature.presence.min_fraction = float(column.null_count == 0)
    return schema


def write_schema(path: Path, schema: schema_pb2.Schema) -> Path:
    path.mkdir(parents=True)
    (path / "schema.pbtxt").write_text(text_format.MessageToString(schema), encoding="utf-8")
    return path


@dataclass(frozen=True)
class Done:
    """A finished transform."""

    result: transform.TransformResult
    request: transform.TransformRequest

    @property
    def graph(self) -> Path:
        return self.request.transform_graph

    @property
    def summary(self) -> str:
        return self.request.summary.read_text(encoding="utf-8")

    @property
    def features(self) -> dict[str, Any]:
        return json.loads((self.graph / "features.json").read_text(encoding="utf-8"))

    @property
    def kinds(self) -> dict[str, str]:
        return {entry["column"]: entry["kind"] for entry in self.features["features"]}

    @property
    def dropped(self) -> dict[str, str]:
        return {entry["column"]: entry["why"] for entry in self.features["dropped"]}

    def table(self, split: str = "train") -> pa.Table:
        files = Examples(self.request.transformed_examples).shards[split]
        return pa.concat_tables([pq.ParquetFile(file.uri).read() for file in files])

    def column(self, name: str, split: str = "train") -> np.ndarray:
        return self.table(split)[name].to_numpy()


@pytest.fixture
def run(tmp_path):
    """Transform a table, or splits of one; the schema is that of the train split."""
    return transformer(tmp_path)


def transformer(root: Path):
    """Return the function that the fixture `run` is, for fixtures of a wider scope."""
    count = iter(range(100))

    def _run(splits, schema=None, label="y", formats=None, engine=None, **settings):
        folder = root / f"run{next(count)}"
        if isinstance(splits, pa.Table):
            splits = {"train": splits}
        examples = write_examples(folder / "examples", splits)
        if formats:
            column_format.write(formats, examples)
        request = transform.TransformRequest(
            examples=examples,
            schema=write_schema(folder / "schema", schema or schema_of(splits["train"])),
            transform_graph=folder / "out" / "graph",
            transformed_examples=folder / "out" / "examples",
            summary=folder / "out" / "summary",
            options=TransformOptions(label=label, **settings),
        )
        return Done(transform.run(request, engine), request)

    return _run


@pytest.fixture
def raw():
    def _raw(name="x", dtype="float32", required=True):
        return RawFeature(name, dtype, required)

    return _raw
