"""The algorithms of the local backend, their settings and what they cannot search."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.tuning.local import samplers
from kfp_tabular.components.tuning.search import search_space
from kfp_tabular.components.tuning.search.algorithm_settings import NOT_OFFERED

SPACE = search_space.parse(
    [
        {
            "name": "dropout",
            "parameterType": "double",
            "feasibleSpace": {"min": "0", "max": "0.3", "step": "0.1"},
        },
        {
            "name": "hidden_units",
            "parameterType": "categorical",
            "feasibleSpace": {"list": ["64", "32", "16"]},
        },
    ]
)


@settings(deadline=None)
@given(st.integers(0, 2**32))
def test_a_grid_visits_each_point_once(seed):
    points = [tuple(point.items()) for point in samplers.grid(SPACE, seed)]
    assert len(points) == len(set(points)) == samplers.grid_size(SPACE) == 12


def test_algorithm_settings_are_katibs():
    parsed = samplers.parse("tpe", {"n_startup_trials": "5", "n_EI_candidates": 12.0}, SPACE)
    assert parsed.settings == {"n_startup_trials": "5", "n_EI_candidates": "12"}


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("tpe", {"gamma": "0.3", "prior_weight": 2, "n_EI_candidates": 8, "n_startup_trials": 2}),
        ("multivariate-tpe", {"n_startup_trials": 2, "n_ei_candidates": 8}),
        ("cmaes", {"sigma": 0.2, "restart_strategy": "none"}),
    ],
)
def test_every_setting_reaches_the_sampler(name, settings):
    import optuna

    space = {"x": optuna.distributions.FloatDistribution(0, 1), "y": None}
    space["y"] = space["x"]
    numbers = search_space.parse(
        [
            {
                "name": name,
                "parameterType": "double",
                "feasibleSpace": {"min": "0", "max": "1"},
            }
            for name in ("dropout", "l2")
        ]
    )
    sampler = samplers.parse(name, settings, numbers).sampler(seed=1)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=sampler)
    for _ in range(6):
        asked = study.ask(space)
        study.tell(asked.number, asked.params["x"] - asked.params["y"])
    other = samplers.parse(name, {}, numbers).sampler(seed=1)
    plain = optuna.create_study(sampler=other)
    for _ in range(6):
        asked = plain.ask(space)
        plain.tell(asked.number, asked.params["x"] - asked.params["y"])
    assert [t.params for t in study.trials] != [t.params for t in plain.trials]


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        *((name, {}, "needs backend katib; backend local has") for name in samplers.KATIB_ONLY),
        *((name, {}, "is not offered: it") for name in NOT_OFFERED),
        ("tpe", {"gamma": 1}, "a number above 0 and below 1, found 1"),
        ("cmaes", {"restart_strategy": "ipop"}, "one of none, found 'ipop'"),
        ("cmaes", {}, r"search_space \(hidden_units\): cmaes searches only numbers"),
        ("tpe", {"random_state": 3}, "use the argument seed instead"),
        ("tpe", {"sigma": 3}, "tpe has no setting 'sigma'"),
        ("random", {"sigma": 3}, "It has no settings"),
        ("tpe", {"n_startup_trials": "many"}, "a whole number of at least 0, found 'many'"),
        ("tpe", {"n_startup_trials": 1.5}, "a whole number of at least 0, found 1.5"),
        ("tpe", {"n_startup_trials": -1}, "at least 0"),
        ("tpe", {"n_startup_trials": float("nan")}, "at least 0"),
        ("tpe", {"n_startup_trials": True}, "at least 0"),
    ],
)
def test_an_algorithm_that_does_not_fit(name, settings, message):
    with pytest.raises(UserError, match=message):
        samplers.parse(name, settings, SPACE)


def test_limits_of_grid_and_cmaes():
    rate = {
        "name": "l2",
        "parameterType": "double",
        "feasibleSpace": {"min": "0", "max": "1"},
    }
    with pytest.raises(UserError, match=r"\(l2\): the grid algorithm needs a step"):
        samplers.parse("grid", {}, search_space.parse([rate]))
    rate["feasibleSpace"]["step"] = "0.000001"
    with pytest.raises(UserError, match="the grid has 1,000,001 points"):
        samplers.parse("grid", {}, search_space.parse([rate]))
    with pytest.raises(UserError, match="at least two"):
        samplers.parse("cmaes", {}, search_space.parse([rate]))
