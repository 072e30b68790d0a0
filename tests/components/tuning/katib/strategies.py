"""Random searches, as users could request them: within bounds, but not all are possible."""

from typing import Any

from hypothesis import strategies as st

from kfp_tabular.components.tuning.katib.algorithm_checks import ALGORITHMS
from kfp_tabular.components.tuning.katib.experiment_request import ExperimentRequest
from kfp_tabular.components.tuning.options import RESUME_POLICIES, TuningOptions

_DISTRIBUTIONS = ("uniform", "logUniform", "normal", "logNormal")
_SETTINGS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "random": {},
    "tpe": {
        "gamma": st.sampled_from([0.1, "0.5", 0.9]),
        "prior_weight": st.sampled_from([0.5, 1.0, "2"]),
        "n_EI_candidates": st.sampled_from([1, "24", 30.0]),
    },
    "multivariate-tpe": {
        "n_startup_trials": st.sampled_from([0, 3.0, "10"]),
        "n_ei_candidates": st.sampled_from([1, 24.0]),
    },
    "grid": {},
    "bayesianoptimization": {
        "base_estimator": st.sampled_from(["GP", "RF", "ET", "GBRT"]),
        "n_initial_points": st.sampled_from([1, 5.0, "10"]),
        "acq_func": st.sampled_from(["gp_hedge", "LCB", "EI", "PI"]),
        "acq_optimizer": st.sampled_from(["auto", "sampling", "lbfgs"]),
    },
    "cmaes": {
        "sigma": st.sampled_from([0.1, "1"]),
        "restart_strategy": st.sampled_from(["none", "ipop", "bipop"]),
    },
    "sobol": {},
    "hyperband": {
        "r_l": st.sampled_from([1, 4, 9.0, "12.5"]),
        "eta": st.sampled_from([2.0, 3]),
        "resource_name": st.just("epochs"),
    },
}


@st.composite
def numbers(draw: st.DrawFn, name: str, kind: str) -> dict[str, Any]:
    """Return an entry of type double or int."""
    if kind == "int":
        step = draw(st.sampled_from([None, 1, 2, 5]))
        low = draw(st.integers(1, 20)) * (step or 1)
        high = low + draw(st.integers(0, 12)) * (step or 1)
    else:
        # In thousandths, so that bounds and steps are what they look like.
        step = draw(st.sampled_from([None, None, 1, 5, 25]))
        low = draw(st.integers(0, 40)) * (step or 1)
        high = low + draw(st.integers(0, 12)) * (step or 1)
    feasible: dict[str, Any] = {"min": _number(low, kind), "max": _number(high, kind)}
    if step is not None:
        feasible["step"] = _number(step, kind)
    if draw(st.booleans()):
        feasible["distribution"] = draw(st.sampled_from(_DISTRIBUTIONS))
    return {"name": name, "parameterType": kind, "feasibleSpace": feasible}


def _number(value: int, kind: str) -> str:
    return str(value) if kind == "int" else f"{value / 1000:.3f}"


@st.composite
def spaces(draw: st.DrawFn, least: int = 1) -> list[dict[str, Any]]:
    """Return a `search_space` with at least `least` entries."""
    possible: dict[str, st.SearchStrategy[dict[str, Any]]] = {
        "learning_rate": numbers("learning_rate", "double"),
        "dropout": numbers("dropout", "double"),
        "l2": _choice("l2", "discrete", ["0", "0.5", "1e-05", 0.25, 1]),
        "epochs": numbers("epochs", "int"),
        "batch_size": _choice("batch_size", "discrete", [32.0, "64", 128, 256.0]),
        "cross_layers": numbers("cross_layers", "int"),
        "hidden_units": _choice("hidden_units", "categorical", ["64", "128, 64", "256,128,64", 32]),
        "learning_rate_schedule": _choice(
            "learning_rate_schedule", "categorical", ["cosine", "constant", "exponential"]
        ),
    }
    names = draw(
        st.lists(st.sampled_from(sorted(possible)), min_size=least, max_size=4, unique=True)
    )
    return [draw(possible[name]) for name in names]


def _simplified(space: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a space without what only some algorithms can do."""
    for entry in space:
        for key in ("distribution", "step"):
            entry["feasibleSpace"].pop(key, None)
    return space


_EPOCHS = {
    "name": "epochs",
    "parameterType": "int",
    "feasibleSpace": {"min": "1", "max": "100"},
}


def _spaces_for(algorithm: str) -> st.SearchStrategy[list[dict[str, Any]]]:
    any_space = spaces()
    if algorithm == "cmaes":
        return spaces(3).map(_simplified) | any_space
    if algorithm == "hyperband":
        others = any_space.map(
            lambda space: [entry for entry in space if entry["name"] != "epochs"]
        )
        return others.map(lambda space: [*_simplified(space), _EPOCHS]) | any_space
    return any_space | any_space.map(_simplified)


def _choice(name: str, kind: str, values: list[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.lists(st.sampled_from(values), min_size=1, max_size=3, unique=True).map(
        lambda chosen: {
            "name": name,
            "parameterType": kind,
            "feasibleSpace": {"list": chosen},
        }
    )


@st.composite
def jobs(draw: st.DrawFn, kind: str) -> dict[str, Any]:
    """Return a `job` that the kind of trial can express."""
    job: dict[str, Any] = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "cpu": st.sampled_from(["500m", "4"]),
                "memory": st.sampled_from(["512Mi", "8Gi"]),
                "gpus": st.sampled_from([0, 1.0]),
                "env": st.just({"QUOTED": 'it\'s "$HOME" & <x>'}),
                "labels": st.just({"team": "a"}),
                "volumes": st.just([{"claim": "data", "mount_path": "/data", "read_only": True}]),
                "node_selector": st.just({"pool": "cpu"}),
                "service_account": st.just("trainer"),
            },
        )
    )
    if kind != "job":
        job["workers"] = draw(st.integers(1, 3))
    if kind == "tfjob":
        job["evaluator"] = draw(st.booleans())
    return job


@st.composite
def requests(draw: st.DrawFn, algorithm: str = "") -> ExperimentRequest:
    """Return a search, possible or not."""
    algorithm = algorithm or draw(st.sampled_from(sorted(ALGORITHMS)))
    known = _SETTINGS[algorithm]
    settings = draw(
        st.fixed_dictionaries(known)
        if algorithm == "hyperband"
        else st.fixed_dictionaries({}, optional=known)
    )
    max_trials = draw(st.sampled_from([1, 2, 4, 9, 12, 27]))
    parallel = max_trials if algorithm == "hyperband" else draw(st.integers(1, max_trials))
    trial_kind = draw(st.sampled_from(["tfjob", "trainjob", "job"]))
    options = TuningOptions(
        base_hyperparameters={"hidden_units": draw(st.sampled_from(["64", "128, 64"]))},
        search_space=draw(_spaces_for(algorithm) | st.just([])),
        algorithm=algorithm,
        algorithm_settings=settings,
        max_trials=max_trials,
        parallel_trials=parallel,
        max_failed_trials=draw(st.integers(0, 30)),
        objective_strategy=draw(st.sampled_from(["", "max", "min", "latest"])),
        objective_target=draw(st.sampled_from(["", "0.9", "1e-3"])),
        additional_metrics=draw(
            st.sampled_from([{}, {"train_loss": "", "eval_accuracy": "latest"}])
        ),
        early_stopping="none" if algorithm == "hyperband" else draw(_STOPPING),
        trial_kind=trial_kind,
        job={"volumes": [{"claim": "data", "mount_path": "/data"}], **draw(jobs(trial_kind))},
        resume_policy=draw(st.sampled_from(RESUME_POLICIES)),
        retain_trials=draw(st.booleans()),
        model_fn=draw(st.sampled_from(["", "a.b:c"])),
        seed=draw(st.sampled_from([0, 1, 2**31 - 1])),
    )
    return ExperimentRequest(
        options=options,
        transformed_examples=draw(
            st.sampled_from(['minio://bucket/a b/it\'s "x" $(HOME) `id` ${HOME}', "/data/x;rm"])
        ),
        transform_graph="gs://bucket/graph",
        task=draw(st.sampled_from(["binary", "multiclass", "regression"])),
    )


_STOPPING = st.sampled_from(["none", "medianstop"])
