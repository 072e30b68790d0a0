"""The best evaluation, and when training stops."""

from kfp_tabular.components.training.loop.early_stopping import EarlyStopping


def test_training_stops_after_evaluations_without_improvement():
    stopping = EarlyStopping("auc", patience=2)
    values = [0.7, 0.8, float("nan"), 0.79]
    assert [stopping.update(value, step) for step, value in enumerate(values)] == [
        True,
        True,
        False,
        False,
    ]
    assert (stopping.best, stopping.best_step, stopping.exhausted) == (0.8, 1, True)
    assert not EarlyStopping("rmse", patience=0, waited=99).exhausted
    lower = EarlyStopping("log_loss", 1)
    assert lower.update(0.5, 1)
    assert lower.update(0.4, 2)
