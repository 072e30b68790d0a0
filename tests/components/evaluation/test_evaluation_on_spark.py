"""An evaluation on a Spark cluster: the document of one machine."""

from kfp_tabular.components.common.artifacts import example_pieces
from kfp_tabular.components.common.processing import engines
from kfp_tabular.components.evaluation.evaluate import EvaluationRequest, run
from kfp_tabular.components.evaluation.options import EvaluationOptions
from tests import accumulator_laws
from tests.deadly_engine import DeadlyEngine


def test_equal_to_one_machine(cluster, data, export, tmp_path, monkeypatch):
    test, train = data.binary_rows(2000), data.binary_rows(600, seed=3)
    examples = data.write(tmp_path / "examples", train=train, test=test)

    def request(name):
        return EvaluationRequest(
            examples=examples,
            model=export(),
            evaluation=tmp_path / name / "evaluation",
            golden_examples=tmp_path / name / "golden",
            report=tmp_path / name / "report.html",
            options=EvaluationOptions(bootstrap_samples=200, slice_columns=["kind", "Größe (m)"]),
        )

    here = run(request("here")).document
    monkeypatch.setattr(example_pieces, "ROWS_PER_PIECE", 1)
    with engines.opened(cluster.document(), "evaluate-model") as opened:
        spread = run(request("spread"), opened.engine).document
        # Every fold and map loses an executor.
        deadly = DeadlyEngine(opened.engine, tmp_path / "deaths")
        lost = run(request("lost"), deadly).document

    assert deadly.killed >= 1
    for document in (spread, lost):
        accumulator_laws.assert_same(document, here, 1e-9, 1e-15)
    golden = [tmp_path / name / "golden" / "golden.json" for name in ("here", "spread", "lost")]
    assert len({each.read_bytes() for each in golden}) == 1
