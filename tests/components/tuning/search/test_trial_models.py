import pytest

from kfp_tabular.components.common.artifacts.hyperparameters import Hyperparameters
from kfp_tabular.components.tuning.search import search_space, trial_models


def space_of(*names):
    ranges = {"min": "1", "max": "3"}
    return search_space.parse(
        [
            {"name": "model_type", "parameterType": "categorical", "feasibleSpace": {"list": found}}
            if (found := {"model_type": ["dnn", "trees"]}.get(name))
            else {"name": name, "parameterType": "int", "feasibleSpace": ranges}
            for name in names
        ]
    )


@pytest.mark.parametrize(
    ("searched", "model_fn", "trained"),
    [
        (("epochs",), "", "tabm"),
        (("tree_depth",), "", "trees"),
        (("epochs", "tree_depth"), "", "tabm and trees"),
        (("model_type", "epochs"), "", "each"),
        (("epochs",), "own:model", "own:model"),
    ],
)
def test_trials_train_what_is_searched_and_say_so(caplog, searched, model_fn, trained):
    caplog.set_level("INFO")
    base, space = Hyperparameters(model_type="auto"), space_of(*searched)
    trial_models.log_narrowing(base, space, model_fn)
    kind = trial_models.trial_base(base, space, model_fn).model_type
    if trained in ("tabm", "trees"):
        assert kind == trained
        assert f"trials train {trained} alone" in caplog.text
    else:
        assert kind == "auto"
        assert not caplog.text


def test_a_search_over_types_leaves_each_its_own_defaults():
    space = space_of("model_type", "epochs")
    base = trial_models.trial_base(Hyperparameters(), space)
    assert (base.learning_rate, base.hidden_units) == (0, "")
    rates = {
        name: base.updated({"model_type": name, "epochs": 1}).chosen().learning_rate
        for name in ("dnn", "tabm")
    }
    assert rates == {"dnn": 0.001, "tabm": 0.005}


@pytest.mark.parametrize(("base", "rate"), [("tabm", 0.005), ("dnn", 0.001), ("auto", 0.005)])
def test_what_is_searched_beside_the_type_begins_with_the_base_types_default(base, rate):
    """The base is the first trial, so it must lie in the space: a rate of 0 would not."""
    space = space_of("model_type", "learning_rate")
    found = trial_models.trial_base(Hyperparameters(model_type=base), space)
    assert (found.model_type, found.learning_rate, found.hidden_units) == (base, rate, "")


def test_a_chosen_type_is_trained_in_every_trial(caplog):
    caplog.set_level("INFO")
    base = Hyperparameters(model_type="blend")
    assert trial_models.trial_base(base, space_of("epochs")).model_type == "blend"
    trial_models.log_narrowing(base, space_of("epochs"))
    assert not caplog.text


def test_each_type_of_the_space_is_checked():
    base, space = Hyperparameters(), space_of("model_type")
    assert trial_models.problems(base, space, model_fn="") == []
    (problem,) = trial_models.problems(base, space, model_fn="", workers=2)
    assert "'trees' trains in one process" in problem
    (problem,) = trial_models.problems(base, space, model_fn="own:model")
    assert "model_fn" in problem
