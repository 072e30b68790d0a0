"""A validation on a Spark cluster: the outputs of one machine, whatever the cut into pieces."""

import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from kfp_tabular.components.common.artifacts import example_pieces
from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.common.processing import engines
from kfp_tabular.components.common.processing.engine import Engine
from kfp_tabular.components.common.processing.local_engine import LocalEngine
from kfp_tabular.components.common.statistics import statistics_files
from kfp_tabular.components.data_validation import validate
from kfp_tabular.components.data_validation.options import ValidationOptions
from tests.accumulator_laws import RELATIVE, assert_same
from tests.components.small_examples import WriteExamples
from tests.deadly_engine import DeadlyEngine
from tests.servers.stores import s3  # noqa: F401 - a fixture
from tests.spark_cluster import Cluster

ROWS = 2_100


@pytest.fixture(scope="module")
def spark(cluster: Cluster) -> Iterator[Engine]:
    """Spark on one master and two workers, each a process of its own."""
    with engines.opened(cluster.document(), "validate-data") as opened:
        yield opened.engine


@pytest.fixture
def examples(write_examples: WriteExamples) -> Examples:
    """Numbers, texts, times and missing values; the eval split has values that train lacks."""
    random = np.random.default_rng(3)
    start = datetime.datetime(2026, 1, 1)
    table = pa.table(
        {
            "fare": random.lognormal(2, 1, ROWS),
            "miles": pa.array(random.normal(size=ROWS), mask=random.random(ROWS) < 0.1),
            "trips": random.integers(0, 9, ROWS),
            "company": [f"company {number}" for number in random.zipf(1.6, ROWS) % 500],
            "start": [str(start + datetime.timedelta(hours=at)) for at in range(ROWS)],
            "tip": random.choice(["no", "yes"], ROWS),
        }
    )
    cut = ROWS * 2 // 3
    return write_examples(rows_per_shard=200, train=table.slice(0, cut), eval=table.slice(cut))


def outputs(examples: Examples, folder: Path, engine: Engine | None, **given: Any) -> Path:
    request = validate.ValidationRequest(
        examples=examples.path,
        schema=folder / "schema",
        statistics=folder / "statistics",
        anomalies=folder / "anomalies",
        report=folder / "report.html",
        options=ValidationOptions(label="tip", **given),
    )
    validate.run(request, engine)
    return folder


def test_equal_to_one_machine(
    spark: Engine, examples: Examples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = outputs(examples, tmp_path / "whole", None)
    monkeypatch.setattr(example_pieces, "ROWS_PER_PIECE", 200)
    assert len(example_pieces.pieces(examples, "train")) == 7
    parts = outputs(examples, tmp_path / "parts", LocalEngine(2))
    spread = outputs(examples, tmp_path / "spread", spark)
    # Every fold and map loses an executor.
    deadly = DeadlyEngine(spark, tmp_path / "deaths")
    lost = outputs(examples, tmp_path / "lost", deadly)

    assert deadly.killed >= 1
    for folder in (parts, spread, lost):
        for file in (
            "schema/schema.pbtxt",
            "anomalies/anomalies.json",
            "anomalies/anomalies.pbtxt",
        ):
            assert (folder / file).read_bytes() == (whole / file).read_bytes(), file
        expected = statistics_files.read(whole / "statistics")
        found = statistics_files.read(folder / "statistics")
        assert found.keys() == expected.keys()
        for split, proto in expected.items():
            assert_same(plain(found[split]), plain(proto), RELATIVE)


def test_values_outside_a_given_schema_are_counted_by_executors(
    spark: Engine, examples: Examples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema = text_format.Parse(
        (outputs(examples, tmp_path / "first", None) / "schema" / "schema.pbtxt").read_text(),
        schema_pb2.Schema(),
    )
    for feature in schema.feature:
        if feature.name == "trips":
            feature.ClearField("domain_info")
            feature.int_domain.min, feature.int_domain.max = 0, 5
        if feature.name == "fare":
            feature.type = schema_pb2.INT
    path = tmp_path / "schema.pbtxt"
    path.write_text(text_format.MessageToString(schema))
    given = {"schema_uri": str(path), "fail_on": "never"}
    whole = outputs(examples, tmp_path / "whole", None, **given)
    monkeypatch.setattr(example_pieces, "ROWS_PER_PIECE", 200)
    spread = outputs(examples, tmp_path / "spread", spark, **given)

    expected = (whole / "anomalies" / "anomalies.json").read_text()
    assert "values outside the domain" in expected
    assert "wrong type" in expected
    assert (spread / "anomalies" / "anomalies.json").read_text() == expected


def plain(proto: Any) -> Any:
    """A message as nested lists and numbers."""
    if hasattr(proto, "ListFields"):
        return {field.name: plain(value) for field, value in proto.ListFields()}
    if isinstance(proto, (str, bytes, int, float, bool)):
        return proto
    return [plain(value) for value in proto]
