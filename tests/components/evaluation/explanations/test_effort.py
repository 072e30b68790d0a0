from hypothesis import given
from hypothesis import strategies as st

from kfp_tabular.components.evaluation.explanations import effort


def predicted(planned, inputs):
    """How many rows are predicted to explain a model."""
    measured = planned.kept * planned.repetitions * planned.rows
    screened = inputs * planned.screened_rows
    dependent = effort.DEPENDENT_FEATURES * (effort.GRID_POINTS + 1) * planned.dependent_rows
    return measured + screened + dependent


@given(inputs=st.integers(1, 2000), evaluated=st.integers(1, 10**8), repetitions=st.integers(1, 5))
def test_the_work_is_bounded_and_all_inputs_are_compared(inputs, evaluated, repetitions):
    planned = effort.plan(inputs, evaluated, 0, repetitions)
    assert planned.kept == inputs or planned.screened_rows
    assert predicted(planned, inputs) <= 1_200_000


def test_at_three_million_rows_less_than_a_quarter_is_predicted_again():
    for inputs in (1, 11, 50, 200, 1000):
        planned = effort.plan(inputs, 3_000_000, 0, 3)
        assert predicted(planned, inputs) < 3_000_000 / 4


def test_given_rows_are_used_for_every_input():
    planned = effort.plan(500, 1000, 5000, 2)
    assert (planned.rows, planned.kept, planned.screened_rows) == (5000, 500, 0)
