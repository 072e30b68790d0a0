"""Validations of several data sets: one schema and the same statistics, whatever the engine."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import csv

from kfp_tabular.components.common.artifacts import example_pieces
from kfp_tabular.components.common.artifacts.examples import ExamplesWriter, record
from kfp_tabular.components.common.processing.engine import Engine
from kfp_tabular.components.common.statistics import statistics_files
from kfp_tabular.components.data_validation import validate
from kfp_tabular.components.data_validation.options import ValidationOptions
from tests.accumulator_laws import RELATIVE, assert_same
from tests.components.data_sets import DATA_SETS, Source
from tests.components.data_validation.test_validation_on_spark import plain
from tests.components.several_engines import (  # noqa: F401 - fixtures
    any_engine,
    beam,
    spark,
    threads,
)


def run(examples: Path, source: Source, folder: Path, engine: Engine | None) -> Path:
    validate.run(
        validate.ValidationRequest(
            examples=examples,
            schema=folder / "schema",
            statistics=folder / "statistics",
            anomalies=folder / "anomalies",
            report=folder / "report.html",
            options=ValidationOptions(label=source.label, fail_on="never"),
        ),
        engine,
    )
    return folder


def examples_of(source: Source, folder: Path) -> Path:
    """Write a data set as examples: two splits, of more than one shard each."""
    table = csv.read_csv(
        source.path,
        parse_options=csv.ParseOptions(
            newlines_in_values=True, invalid_row_handler=lambda row: "skip"
        ),
        convert_options=csv.ConvertOptions(column_types={"start": pa.string()}),
    )
    cut = table.num_rows * 2 // 3
    folder.mkdir()
    with ExamplesWriter(folder, table.schema, ["train", "eval"], 500) as writer:
        for split, rows in (("train", table.slice(0, cut)), ("eval", table.slice(cut))):
            for batch in rows.combine_chunks().to_batches(max_chunksize=250):
                writer.write(split, batch)
    record(folder, writer.schema, writer.shards, inputs={})
    return folder


@pytest.fixture(scope="module", params=DATA_SETS, ids=lambda made: made.__name__)
def whole(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Source, Path, Path]:
    """A data set, its examples, and what one machine makes of them in large pieces."""
    make: Callable[[Path], Source] = request.param
    folder = tmp_path_factory.mktemp(make.__name__)
    source = make(folder)
    examples = examples_of(source, folder / "examples")
    return source, examples, run(examples, source, folder / "whole", None)


def test_any_cut_and_engine_give_the_same(
    whole: tuple[Source, Path, Path],
    any_engine: Engine,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source, examples, expected = whole
    monkeypatch.setattr(example_pieces, "ROWS_PER_PIECE", 250)

    found = run(examples, source, tmp_path, any_engine)

    for file in ("schema/schema.pbtxt", "anomalies/anomalies.json", "anomalies/anomalies.pbtxt"):
        assert (found / file).read_bytes() == (expected / file).read_bytes(), file
    expected_statistics = statistics_files.read(expected / "statistics")
    found_statistics = statistics_files.read(found / "statistics")
    assert found_statistics.keys() == expected_statistics.keys()
    for split, proto in expected_statistics.items():
        assert_same(plain(found_statistics[split]), plain(proto), RELATIVE)
