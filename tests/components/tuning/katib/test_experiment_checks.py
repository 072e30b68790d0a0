"""Everything that Katib would reject is found before an Experiment exists, and all at once."""

import shlex
from typing import Any

import pytest

from kfp_tabular.components.common.artifacts.hyperparameters import Hyperparameters
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.training.worker import program
from kfp_tabular.components.tuning.katib.experiment import experiment
from kfp_tabular.components.tuning.katib.experiment_checks import check, check_placeholders
from kfp_tabular.components.tuning.katib.experiment_request import ExperimentRequest
from kfp_tabular.components.tuning.katib.render import render_experiment
from kfp_tabular.components.tuning.options import TuningOptions
from kfp_tabular.components.tuning.search.algorithm_settings import NOT_OFFERED


def number(name: str, kind: str = "double", **feasible: Any) -> dict[str, Any]:
    return {"name": name, "parameterType": kind, "feasibleSpace": feasible}


RATE = number("learning_rate", min="0.001", max="0.1")
EPOCHS = number("epochs", "int", min="1", max="9")
UNITS = number("hidden_units", "categorical", list=["64", "128,64"])


def requested(**changes: Any) -> ExperimentRequest:
    places = {
        name: changes.pop(name, f"s3://bucket/{name}")
        for name in ("transformed_examples", "transform_graph")
    }
    options = {"search_space": [RATE, EPOCHS], "max_trials": 12, "parallel_trials": 3, **changes}
    return ExperimentRequest(options=TuningOptions(**options), task="binary", **places)


def problem(**changes: Any) -> str:
    with pytest.raises(UserError) as found:
        check(requested(**changes))
    return str(found.value)


def test_what_can_be_done_passes() -> None:
    spec = check(requested())
    assert spec.algorithm_settings == {"random_state": "0"}
    assert [entry.name for entry in spec.space] == ["learning_rate", "epochs"]


def test_everything_is_said_at_once() -> None:
    message = problem(
        search_space=[RATE, number("epochz", "int", min=1, max=2), number("dropout", max=1)],
        algorithm="gird",
        algorithm_settings={},
        max_trials=2,
        parallel_trials=3,
        max_failed_trials=-1,
        early_stopping="median",
        objective_metric="eval_acuracy",
        objective_target="high",
        resume_policy="never",
        trial_kind="tfjobs",
        job={"cpus": 3},
        transformed_examples="/tmp/examples",
        seed=-1,
    )
    for part in (
        "Katib would reject this search, for 13 reasons: (1) max_failed_trials: expected",
        "parallel_trials: 3 at a time are more than max_trials (2)",
        "search_space[1]: hyperparameter 'epochz' is unknown. Did you mean 'epochs'?",
        "search_space[2] (dropout): feasibleSpace: 'min' is missing",
        "early_stopping: expected medianstop or none, found 'median'. Did you mean 'medianstop'?",
        "Did you mean 'eval_auc' or 'accuracy'?",
        "objective_target: expected a number, found 'high'",
        "algorithm: 'gird' is unknown. Did you mean 'grid'?",
        "found 'never'. Did you mean 'Never'?",
        "seed: expected at least 0, found -1",
        "job: unknown key 'cpus'. Did you mean 'cpu' or 'gpus'?",
        "transformed_examples: /tmp/examples is a path in this task's pod",
        "found 'tfjobs'. Did you mean 'tfjob'",
    ):
        assert part in message, message
    assert "\n" not in message


@pytest.mark.parametrize("name", NOT_OFFERED)
def test_algorithms_without_a_search_space_are_refused_by_name(name: str) -> None:
    assert problem(algorithm=name).startswith(f"algorithm: {name} is not offered: it ")


@pytest.mark.parametrize(
    ("algorithm", "changes", "message"),
    [
        # Settings.
        ("tpe", {"algorithm_settings": {"gamma": 1}}, "gamma must be a number above 0 and below 1"),
        ("tpe", {"algorithm_settings": {"n_EI_candidate": 1}}, "Did you mean 'n_EI_candidates'?"),
        ("tpe", {"algorithm_settings": {"n_EI_candidates": 1.5}}, "a whole number of at least 1"),
        ("tpe", {"algorithm_settings": {"n_startup_trials": 3}}, "Katib's tpe has no setting"),
        ("sobol", {"algorithm_settings": {"x": 1}}, "It has no settings."),
        ("cmaes", {"algorithm_settings": {"restart_strategy": "pop"}}, "one of none, ipop, bipop"),
        ("random", {"algorithm_settings": {"random_state": 1}}, "use the argument seed instead"),
        (
            "bayesianoptimization",
            {"algorithm_settings": {"acq_func": "EIps"}},
            "acq_func must be one of gp_hedge, LCB, EI, PI, found 'EIps'",
        ),
        ("bayesianoptimization", {"algorithm_settings": {"n_initial_points": 0}}, "at least 1"),
        (
            "bayesianoptimization",
            {"algorithm_settings": {"base_estimator": "RF", "acq_optimizer": "lbfgs"}},
            "acq_optimizer lbfgs needs base_estimator GP",
        ),
        # Spaces.
        (
            "random",
            {"search_space": [number("epochs", "int", min=1, max=10, step=4)]},
            "count steps from 0, not from min",
        ),
        ("tpe", {"search_space": [number("epochs", "int", min=3, max=3)]}, "a min below max"),
        (
            "multivariate-tpe",
            {"search_space": [number("dropout", min=0.1, max=0.5, distribution="normal")]},
            "have no distribution normal",
        ),
        (
            "multivariate-tpe",
            {"search_space": [number("l2", min=0.1, max=0.5, step=0.1, distribution="logUniform")]},
            "ignore a step of a logUniform",
        ),
        ("grid", {}, "search_space (learning_rate): the grid algorithm needs a step"),
        (
            "grid",
            {"search_space": [number("epochs", "int", min=1, max=9), UNITS], "max_trials": 19},
            "max_trials: 19 trials are more than the grid's 18 points, which Katib rejects; use 18",
        ),
        (
            "bayesianoptimization",
            {"search_space": [number("dropout", min=0, max=0.5)]},
            "min must be above 0",
        ),
        ("bayesianoptimization", {"search_space": [RATE]}, "searches doubles as logUniform"),
        (
            "sobol",
            {"search_space": [number("l2", min=0.1, max=1, distribution="logUniform")]},
            "search every number uniformly",
        ),
        ("cmaes", {"search_space": [RATE, UNITS]}, "at least two hyperparameters of type double"),
        # Hyperband.
        ("hyperband", {}, "hyperband needs r_l and resource_name"),
        (
            "hyperband",
            {"algorithm_settings": {"r_l": 9, "resource_name": "epoch"}},
            "resource_name 'epoch' must be a hyperparameter of type int in search_space, such as "
            "epochs or train_steps. Did you mean 'epochs'?",
        ),
        (
            "hyperband",
            {"algorithm_settings": {"r_l": 27, "resource_name": "epochs"}},
            "hyperband uses values from 1 to 27",
        ),
        (
            "hyperband",
            {"algorithm_settings": {"r_l": 9, "resource_name": "epochs"}},
            "needs at least 9 trials at a time, found 3",
        ),
        (
            "hyperband",
            {"algorithm_settings": {"r_l": 9, "resource_name": "epochs"}},
            "max_trials must equal parallel_trials, found 12 and 3",
        ),
        (
            "hyperband",
            {"algorithm_settings": {"r_l": 9, "resource_name": "epochs"}},
            "cannot continue from a trial that was stopped early",
        ),
    ],
)
def test_what_an_algorithm_cannot_do(algorithm: str, changes: dict[str, Any], message: str) -> None:
    assert message in problem(algorithm=algorithm, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_trials": 0}, "max_trials: an Experiment needs at least 1, found 0."),
        ({"max_trials": 2**31}, "max_trials: must be below"),
        (
            {"search_space": [number("learning_rate_schedule", "categorical", list=["a b"])]},
            "the value 'a b' in feasibleSpace.list would not reach the trial unchanged",
        ),
        (
            {"search_space": [number("learning_rate_schedule", "categorical", list=["it's"])]},
            "would not reach the trial unchanged",
        ),
        (
            {"model_fn": "${trialParameters.epochs}"},
            "model_fn: '${trialParameters.epochs}' contains a Katib placeholder",
        ),
        ({"transform_graph": "ftp://host/graph"}, "transform_graph: "),
        ({"job": {"ttl_seconds": 0}}, "job.ttl_seconds: Katib removes the jobs"),
        (
            {"job": {"volumes": [{"claim": "c", "mount_path": "/var/log/katib"}]}},
            "Katib uses mount_path /var/log/katib itself",
        ),
        ({"trial_kind": "job", "job": {"workers": 2}}, "job.workers: a plain Job is one pod"),
        (
            {"trial_kind": "trainjob", "job": {"evaluator": True}},
            "job.evaluator: all pods of a TrainJob are workers",
        ),
        ({"additional_metrics": {"eval_auc": ""}}, "'eval_auc' is already the objective"),
        ({"additional_metrics": {"a b": ""}}, "'a b' is not a valid metric name"),
        ({"additional_metrics": {"x": "mean"}}, "expected max, min or latest for x"),
    ],
)
def test_what_katib_would_stumble_over(changes: dict[str, Any], message: str) -> None:
    assert message in problem(**changes)


def test_a_parameter_that_is_used_must_be_searched() -> None:
    resource = experiment(check(requested(job={"env": {"X": "${trialParameters.dropout}"}})))
    with pytest.raises(UserError, match="uses Katib's parameter 'dropout', which search_space"):
        check_placeholders(resource)
    resource = experiment(check(requested()))
    resource["spec"]["trialTemplate"]["trialParameters"].append({"name": "l2", "reference": "l2"})
    with pytest.raises(UserError, match=r"search_space \(l2\): no flag of the trial uses it"):
        check_placeholders(resource)


def test_hyperband_where_it_ends() -> None:
    spec = check(
        requested(
            algorithm="hyperband",
            algorithm_settings={"r_l": 9.0, "eta": 3.0, "resource_name": "epochs"},
            max_trials=9,
            parallel_trials=9,
            early_stopping="none",
        )
    )
    assert spec.algorithm_settings == {"r_l": "9.0", "eta": "3", "resource_name": "epochs"}


@pytest.mark.parametrize("model_type", ["trees", "tabm", "dnn", "auto"])
def test_trials_of_a_search_over_types_have_the_defaults_of_their_type(model_type: str) -> None:
    types = {"list": ["auto", "trees", "tabm", "dnn"]}
    resource = render_experiment(
        {
            "transformed_examples": "gs://bucket/examples",
            "transform_graph": "gs://bucket/graph",
            "max_trials": 4,
            "algorithm": "random",
            "search_space": [
                {"name": "model_type", "parameterType": "categorical", "feasibleSpace": types}
            ],
            "job": {"image": "registry.example.com/x:1"},
        }
    )
    (container,) = (
        found["template"]["spec"]["containers"][0]
        for found in resource["spec"]["trialTemplate"]["trialSpec"]["spec"][
            "tfReplicaSpecs"
        ].values()
    )
    script = container["command"][-1].replace("${trialParameters.model_type}", model_type)
    words = shlex.split(script)
    given = program.parse([word for word in words if word.startswith("--")])
    chosen = Hyperparameters().updated(given.values).chosen()
    assert chosen.model_type == model_type
    assert (chosen.learning_rate, chosen.hidden_units) == {
        "tabm": (0.005, "96,96"),
        "dnn": (0.001, "256,128"),
    }.get(model_type, (chosen.learning_rate, chosen.hidden_units))


def test_rendering_a_configuration() -> None:
    config = {
        "transformed_examples": "gs://bucket/examples",
        "transform_graph": "gs://bucket/graph",
        "run_id": "run-1",
        "namespace": "team",
        "max_trials": 5.0,
        "model_type": "linear",
        "base_hyperparameters": {"l2": 0.1},
        "job": {"image": "registry.example.com/x:1"},
    }
    resource = render_experiment(config)
    assert resource["metadata"]["namespace"] == "team"
    assert resource["metadata"]["name"].startswith("tune-hyperparameters-")
    assert resource["metadata"]["labels"]["kfp-tabular.dev/run-id"] == "run-1"
    assert "kfp-tabular.dev/spec-digest" in resource["metadata"]["annotations"]
    assert resource["spec"]["maxTrialCount"] == 5
    assert render_experiment({**config, "name": "mine"})["metadata"]["name"] == "mine"
    with pytest.raises(UserError, match="tune.yaml: unknown key 'max_trial'. Did you mean"):
        render_experiment({**config, "max_trial": 5}, "tune.yaml")
