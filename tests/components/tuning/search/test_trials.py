from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.tuning.search import trials
from kfp_tabular.components.tuning.search.trials import Trial


def test_a_failure_names_trials_and_reasons_together():
    crashed = Trial(1, {}, "failed", message="signal 9: out of memory")
    refused = Trial(2, {}, "failed", message="exit code 2: no such split")
    also = Trial(3, {}, "failed", message="exit code 2: no such split")
    error = trials.failure([crashed, refused, also], "no trial succeeded")
    assert isinstance(error, RuntimeError)
    assert str(error) == (
        "tuning: no trial succeeded. trial 1: signal 9: out of memory; "
        "trials 2, 3: exit code 2: no such split"
    )
    assert isinstance(trials.failure([refused, also], "no trial succeeded"), UserError)
