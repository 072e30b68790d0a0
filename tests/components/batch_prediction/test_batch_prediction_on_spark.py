"""A batch prediction on a Spark cluster: the same rows as on one machine."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.processing import engines
from kfp_tabular.components.common.processing.engine import Engine
from tests.components.batch_prediction.conftest import predicted
from tests.components.batch_prediction.test_predict import as_csv, some_rows
from tests.spark_cluster import Cluster


@pytest.fixture(scope="module")
def spark(cluster: Cluster) -> Iterator[Engine]:
    """Spark on one master and two workers, each a process of its own."""
    with engines.opened(cluster.document()) as opened:
        yield opened.engine


def test_equal_to_one_machine(spark: Engine, small_pieces, model: Path, tmp_path: Path) -> None:
    small_pieces(4_000, 12_000)
    data = tmp_path / "rows.csv"
    data.write_text(as_csv(some_rows(3_000)))
    here = predicted(data, model, tmp_path / "here")
    there = predicted(data, model, tmp_path / "there", spark)
    for name in ("rows", "rejected", "findings", "facts"):
        assert there[name] == here[name]
    assert there["result"].pieces > 5
    with pytest.raises(UserError, match="max_rejected_fraction"):
        predicted(data, model, tmp_path / "bad", spark, max_rejected_fraction=0.0)
