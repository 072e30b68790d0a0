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
    model_type=st.sampled_from(["wide_and_deep", "tabm"]),
)
def test_a_schedule_is_sound(rows, batch, steps, epochs, replicas, model_type):
    hyperparameters = Hyperparameters(
        batch_size=batch, train_steps=steps, epochs=epochs, model_type=model_type
    )
    schedule = plan(hyperparameters, rows, replicas)
    assert schedule.batch == schedule.replica_batch * replicas >= 1
    assert schedule.batch <= min(batch, rows) + replicas
    assert schedule.steps >= 1
    assert 1 <= schedule.interval <= schedule.steps
    assert 1 <= schedule.steps_per_call * schedule.replica_batch <= max(8192, batch)
    evaluations = -(-schedule.steps // schedule.interval)
    assert min(schedule.steps, 6) <= evaluations <= (25 if model_type == "tabm" else 50)
    assert 1 <= schedule.averaged_steps <= schedule.steps
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


def test_the_passes_of_tabm_follow_the_rows():
    """A step on large data costs what two of a plain network do; small data needs many passes."""
    tabm = Hyperparameters(model_type="tabm")
    tiny, few, some, middle, large = (
        plan(tabm, rows) for rows in (100, 1_000, 4_000, 40_000, 1_000_000)
    )
    assert (tiny.steps, few.epoch(few.steps), some.steps) == (500, 150, 2_000)
    assert (middle.epoch(middle.steps), large.epoch(large.steps)) == (13, 4)
