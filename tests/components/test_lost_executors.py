"""Ingestion and transform while each fold and map loses an executor: one machine's results."""

from pathlib import Path

import pytest

from kfp_tabular.components.common.artifacts import example_pieces
from kfp_tabular.components.common.processing import engines
from kfp_tabular.components.data_ingestion.readers import csv_source, source_pieces
from tests.components.data_sets import nasty
from tests.components.test_equal_results import check, run
from tests.deadly_engine import DeadlyEngine
from tests.spark_cluster import Cluster


def test_results_are_those_of_one_machine(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = nasty(tmp_path)
    whole = run(source, tmp_path / "whole", None)
    size = source.path.stat().st_size
    monkeypatch.setattr(csv_source, "BLOCK_BYTES", size // 12)
    monkeypatch.setattr(csv_source, "_BYTES_PER_COLUMN", 0)
    monkeypatch.setattr(source_pieces, "_SMALLEST", size // 4)
    monkeypatch.setattr(example_pieces, "ROWS_PER_PIECE", 1)

    with engines.opened(cluster.document(attempts=8)) as opened:
        engine = DeadlyEngine(opened.engine, tmp_path / "deaths")
        check(whole, run(source, tmp_path / "spread", engine))

    assert engine.killed > 3
