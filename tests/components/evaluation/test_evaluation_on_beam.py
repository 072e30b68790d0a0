"""An evaluation on a portable runner of Beam: the document of one machine."""

from kfp_tabular.components.common.artifacts import example_pieces
from kfp_tabular.components.common.processing import engines
from tests.components.evaluation.spread_evaluation import Evaluations


def test_equal_to_one_machine(beam_services, data, export, tmp_path, monkeypatch):
    evaluations = Evaluations(data, export, tmp_path)
    evaluations.run()
    monkeypatch.setattr(example_pieces, "ROWS_PER_PIECE", 1)
    with engines.opened(beam_services.document(), "evaluate-model") as opened:
        evaluations.run(opened.engine)

    evaluations.check()
