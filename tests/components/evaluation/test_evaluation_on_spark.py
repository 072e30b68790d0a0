"""An evaluation on a Spark cluster: the document of one machine."""

from kfp_tabular.components.common.artifacts import example_pieces
from kfp_tabular.components.common.processing import engines
from tests.components.evaluation.spread_evaluation import Evaluations
from tests.deadly_engine import DeadlyEngine


def test_equal_to_one_machine(cluster, data, export, tmp_path, monkeypatch):
    evaluations = Evaluations(data, export, tmp_path)
    evaluations.run()
    monkeypatch.setattr(example_pieces, "ROWS_PER_PIECE", 1)
    with engines.opened(cluster.document(), "evaluate-model") as opened:
        evaluations.run(opened.engine)
        # Every fold and map loses an executor.
        deadly = DeadlyEngine(opened.engine, tmp_path / "deaths")
        evaluations.run(deadly)

    assert deadly.killed >= 1
    evaluations.check()
