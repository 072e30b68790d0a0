"""Ingestion and transform of several data sets: the same bytes, whatever the cut and the engine.

One machine in one piece is compared with one machine in many, with Spark, and with Beam.
Validation, in its own environment, is compared in `data_validation/test_equal_validation.py`.
"""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kfp_tabular.components.common.artifacts import example_pieces, lineage
from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.common.processing.engine import Engine
from kfp_tabular.components.data_ingestion import ingest
from kfp_tabular.components.data_ingestion.options import IngestionOptions
from kfp_tabular.components.data_ingestion.readers import csv_source, source_pieces
from kfp_tabular.components.feature_engineering import transform
from kfp_tabular.components.feature_engineering.options import TransformOptions
from tests.components.data_sets import DATA_SETS, Source
from tests.components.feature_engineering.conftest import schema_of, write_schema
from tests.components.several_engines import (  # noqa: F401 - fixtures
    any_engine,
    beam,
    spark,
    threads,
)


def run(source: Source, folder: Path, engine: Engine | None) -> Path:
    """Ingest a data set and transform it."""
    ingest.run(
        ingest.IngestionRequest(
            IngestionOptions(str(source.path), label=source.label),
            folder / "examples",
            folder / "rejected",
            folder / "ingestion.md",
        ),
        engine,
    )
    schema = schema_of(rows_of(folder / "examples")["train"])
    transform.run(
        transform.TransformRequest(
            TransformOptions(label=source.label),
            folder / "examples",
            write_schema(folder / "schema", schema),
            folder / "graph",
            folder / "transformed",
            folder / "transform.md",
        ),
        engine,
    )
    return folder


def rows_of(examples: Path) -> dict[str, pa.Table]:
    found = Examples(examples)
    return {
        split: pa.Table.from_batches(found.batches(split), found.schema).combine_chunks()
        for split in found.splits
    }


def check(whole: Path, other: Path) -> None:
    """Compare what two runs of the steps wrote."""
    for name in ("examples", "transformed"):
        expected, found = rows_of(whole / name), rows_of(other / name)
        assert list(found) == list(expected)
        for split, table in expected.items():
            assert found[split].equals(table), (name, split)
    for name in (
        "schema/schema.pbtxt",
        "examples/_columns.json",
        "examples/_findings.json",
        "transform.md",
    ):
        assert (other / name).read_bytes() == (whole / name).read_bytes(), name
    rejected = [pq.read_table(each / "rejected" / "part-00000.parquet") for each in (whole, other)]
    assert rejected[0].equals(rejected[1])
    # The graph with its vocabularies.
    assert lineage.read(other / "graph")["digest"] == lineage.read(whole / "graph")["digest"]


@pytest.fixture(scope="module", params=DATA_SETS, ids=lambda made: made.__name__)
def whole(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Source, Path]:
    """A data set, and what one machine makes of it in one piece."""
    make: Callable[[Path], Source] = request.param
    folder = tmp_path_factory.mktemp(make.__name__)
    source = make(folder)
    return source, run(source, folder / "whole", None)


@pytest.fixture
def small_pieces(whole: tuple[Source, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    size = whole[0].path.stat().st_size
    monkeypatch.setattr(csv_source, "BLOCK_BYTES", size // 30)
    monkeypatch.setattr(csv_source, "_BYTES_PER_COLUMN", 0)
    monkeypatch.setattr(source_pieces, "_SMALLEST", size // 5)
    monkeypatch.setattr(example_pieces, "ROWS_PER_PIECE", 1)


@pytest.mark.usefixtures("small_pieces")
def test_any_cut_and_engine_give_the_same(
    whole: tuple[Source, Path],
    any_engine: Engine,  # noqa: F811
    tmp_path: Path,
) -> None:
    source, expected = whole

    check(expected, run(source, tmp_path, any_engine))

    assert len(list((tmp_path / "examples" / "split=train").iterdir())) > 1
