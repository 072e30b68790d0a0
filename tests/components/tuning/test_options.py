import pytest

from kfp_tabular.components.common import options
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.tuning.options import TuningOptions


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"max_trials": -1}, "max_trials: expected at least 0, found -1."),
        ({"parallel_trials": 0}, "parallel_trials: expected at least 1"),
        ({"max_failed_trials": -1}, "max_failed_trials: expected at least 0"),
        ({"min_trials_required": 0}, "min_trials_required: expected at least 1, found 0."),
        ({"objective_target": "nan"}, "objective_target: expected a number, found 'nan'."),
        ({"trial_kind": "jobs"}, "expected tfjob, trainjob or job, found 'jobs'. Did you mean"),
    ],
)
def test_a_value_that_does_not_fit(given, message):
    with pytest.raises(UserError) as refused:
        options.check(TuningOptions(**given))

    assert message in str(refused.value)


def test_the_defaults_fit():
    options.check(TuningOptions())
