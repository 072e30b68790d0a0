"""Steps and evaluations of a training."""

from hypothesis import given
from hypothesis import strategies as st

from kfp_tabular.components.common.artifacts.hyperparameters import Hyperparameters
from kfp_tabular.components.training.loop.schedule import plan


@given(
    rows=st.integers(1, 10**7),
    batch=st.integers(1, 10**5),
    steps=st.integers(0, 5000),
    epochs=st.integers(0, 200),
    replicas=st.integers(1, 16),
)
def test_a_schedule_is_sound(rows, batch, steps, epochs, replicas):
    hyperparameters = Hyperparameters(batch_size=batch, train_steps=steps, epochs=epochs)
    schedule = plan(hyperparameters, rows, replicas)
    assert schedule.batch == schedule.replica_batch * replicas >= 1
    assert schedule.batch <= min(batch, rows) + replicas
    assert schedule.steps >= 1
    assert 1 <= schedule.interval <= schedule.steps
    assert 1 <= schedule.steps_per_call * schedule.replica_batch <= max(8192, batch)
    evaluations = -(-schedule.steps // schedule.interval)
    assert min(schedule.steps, 6) <= evaluations <= 50
    if steps:
        assert schedule.steps == steps
    elif epochs:
        assert schedule.epoch(schedule.steps) == epochs


def test_epochs_are_evaluated_each():
    schedule = plan(Hyperparameters(epochs=20, batch_size=100), 1000)
    assert (schedule.steps, schedule.interval) == (200, 10)


def test_small_data_gets_enough_steps():
    assert plan(Hyperparameters(), 150).steps >= 500
    assert plan(Hyperparameters(), 1_000_000).steps == 10 * -(-1_000_000 // 256)
