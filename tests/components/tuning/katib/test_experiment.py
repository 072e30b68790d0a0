"""The Experiment as a resource: what Katib's schema, types and webhook require."""

import json
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from kfp_tabular.components.common.artifacts.supervised_task import TaskKind
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.tuning.katib import algorithm_checks
from kfp_tabular.components.tuning.katib.experiment import (
    METRICS_FORMAT,
    choices,
    parameter,
    read_value,
)
from kfp_tabular.components.tuning.katib.experiment_plan import plan
from kfp_tabular.components.tuning.katib.experiment_request import ExperimentRequest
from kfp_tabular.components.tuning.options import TuningOptions
from kfp_tabular.components.tuning.search import search_space
from tests.cluster import schemas
from tests.components.tuning.katib import strategies

SLOW = (HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large)
MOST = settings(max_examples=60, deadline=None, suppress_health_check=SLOW)


def possible(search: ExperimentRequest) -> dict[str, Any]:
    """Return the Experiment of a search; skip a search that is not possible."""
    try:
        return plan(search, "run-1").resource
    except UserError:
        assume(False)
        raise


def minimal(task: TaskKind = "binary", **changes: Any) -> ExperimentRequest:
    return ExperimentRequest(
        options=TuningOptions(**{"max_trials": 12, "parallel_trials": 3, **changes}),
        transformed_examples="minio://bucket/examples",
        transform_graph="minio://bucket/graph",
        task=task,
    )


def rendered(**changes: Any) -> dict[str, Any]:
    return plan(minimal(**changes), "run-1").resource


@schemas.needed
@MOST
@given(st.data())
def test_what_is_accepted_fits_the_schemas(data: st.DataObject) -> None:
    # Algorithm by algorithm, so that the rarer ones are not drowned by those that take anything.
    for name in algorithm_checks.ALGORITHMS:
        search = data.draw(strategies.requests(name))
        try:
            resource = plan(search, "run-1").resource
        except UserError:
            continue
        assert schemas.problems(resource) == []


@MOST
@given(strategies.requests())
def test_what_is_accepted_fits_katibs_types(search: ExperimentRequest) -> None:
    models = pytest.importorskip("kubeflow_katib_api.models")
    resource = possible(search)
    model = strict(models.V1beta1Experiment)
    again = model.model_validate(resource).model_dump(by_alias=True, exclude_none=True, mode="json")
    assert again["spec"]["parameters"] == resource["spec"]["parameters"]
    assert again["spec"]["trialTemplate"] == resource["spec"]["trialTemplate"]


def strict(model: Any) -> Any:
    """Return a model that rejects unknown fields, in itself and in all models inside it."""
    seen: set[Any] = set()

    def forbid(found: Any) -> None:
        for candidate in [found, *getattr(found, "__args__", ())]:
            if candidate in seen or not hasattr(candidate, "model_fields"):
                if candidate is not found:
                    forbid(candidate) if getattr(candidate, "__args__", ()) else None
                continue
            seen.add(candidate)
            candidate.model_config["extra"] = "forbid"
            for field in candidate.model_fields.values():
                forbid(field.annotation)
            candidate.model_rebuild(force=True)

    forbid(model)
    return model


def test_katibs_types_refuse_an_unknown_field() -> None:
    models = pytest.importorskip("kubeflow_katib_api.models")
    resource = rendered()
    resource["spec"]["objective"]["strategy"] = "max"
    with pytest.raises(ValueError, match="strategy"):
        strict(models.V1beta1Experiment).model_validate(resource)


@MOST
@given(strategies.requests())
def test_placeholders_and_parameters_are_the_same(search: ExperimentRequest) -> None:
    resource = possible(search)
    template = resource["spec"]["trialTemplate"]
    names = [entry["name"] for entry in resource["spec"]["parameters"]]
    assert [entry["reference"] for entry in template["trialParameters"]] == names
    text = json.dumps(template["trialSpec"])
    assert set(re.findall(r"\$\{trialParameters\.(.+?)\}", text)) == set(names)
    # Katib replaces in the JSON text; what it puts there must not be able to end a string.
    for entry in resource["spec"]["parameters"]:
        for value in entry["feasibleSpace"].get("list", ()):
            assert json.dumps(value) == f'"{value}"'


@MOST
@given(strategies.requests())
def test_names_fit_whatever_the_run_is_called(search: ExperimentRequest) -> None:
    assume(possible(search))
    made = plan(search, "a-very-long-run-id-" * 6)
    name = made.name
    assert re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", name)
    assert len(name) <= 40
    suffix = {"tfjob": "-evaluator-0", "trainjob": "-node-0-99-abcde", "job": "-abcde"}
    assert len(f"{name}-12345678{suffix[search.options.trial_kind]}") <= 63
    # A Deployment and a Service.
    assert len(f"{name}-{search.options.algorithm}") <= 63


def test_the_name_is_that_of_the_search() -> None:
    first = plan(minimal(), "run-1").name
    assert plan(minimal(), "run-1", image="registry.example.com/x:1").name == first
    assert plan(minimal(), "run-2").name != first
    assert plan(minimal(seed=1), "run-1").name != first
    assert plan(minimal(), "run-1", name="chosen").name == "chosen"
    with pytest.raises(UserError, match=r"has 41 characters; .* TFJob may have 39"):
        plan(minimal(), "run-1", name="x" * 41)
    with pytest.raises(UserError, match="is not valid for an Experiment"):
        plan(minimal(), "run-1", name="-x")


def test_failures_are_counted_as_they_are_locally() -> None:
    # Katib gives up when as many have failed, not when more have.
    assert rendered(max_failed_trials=0)["spec"]["maxFailedTrialCount"] == 1
    assert rendered(max_failed_trials=3)["spec"]["maxFailedTrialCount"] == 4
    assert rendered(max_failed_trials=99)["spec"]["maxFailedTrialCount"] == 12


def test_objective_and_early_stopping() -> None:
    spec = rendered(
        task="regression",
        objective_target="0.5",
        additional_metrics={"eval_mae": "", "train_loss": "latest"},
        min_trials_required=2,
        start_step=5,
    )["spec"]
    assert spec["objective"] == {
        "type": "minimize",
        "objectiveMetricName": "eval_rmse",
        "goal": 0.5,
        "additionalMetricNames": ["eval_mae", "train_loss"],
        "metricStrategies": [
            {"name": "eval_rmse", "value": "min"},
            {"name": "eval_mae", "value": "min"},
            {"name": "train_loss", "value": "latest"},
        ],
    }
    assert spec["earlyStopping"] == {
        "algorithmName": "medianstop",
        "algorithmSettings": [
            {"name": "min_trials_required", "value": "2"},
            {"name": "start_step", "value": "5"},
        ],
    }
    assert "earlyStopping" not in rendered(early_stopping="none")["spec"]


@pytest.mark.parametrize(
    ("algorithm", "settings", "expected"),
    [
        ("random", {}, {"random_state": "7"}),
        (
            "tpe",
            {"n_EI_candidates": 12.0, "gamma": 0.25},
            {"n_EI_candidates": "12", "gamma": "0.25", "random_state": "7"},
        ),
        ("sobol", {}, {}),
    ],
)
def test_settings_are_text_and_the_seed_is_one(
    algorithm: str, settings: dict[str, Any], expected: dict[str, str]
) -> None:
    spec = rendered(
        algorithm=algorithm,
        algorithm_settings=settings,
        seed=7,
        search_space=[
            {
                "name": "dropout",
                "parameterType": "double",
                "feasibleSpace": {"min": 0, "max": 0.5},
            }
        ],
    )["spec"]["algorithm"]
    found = {entry["name"]: entry["value"] for entry in spec.get("algorithmSettings", [])}
    assert found == expected


def test_what_is_not_searched_is_a_flag_of_every_trial() -> None:
    resource = rendered(
        class_weights="balanced",
        search_space=[
            {"name": "epochs", "parameterType": "int", "feasibleSpace": {"min": 1, "max": 3}}
        ],
    )
    chief = resource["spec"]["trialTemplate"]["trialSpec"]["spec"]["tfReplicaSpecs"]["Chief"]
    (container,) = chief["template"]["spec"]["containers"]
    assert container["command"][:2] == ["sh", "-c"]
    assert "args" not in container
    words = container["command"][2].split()
    assert words[:3] == ["python", "-m", "kfp_tabular.components.training.worker"]
    assert {
        "--transformed-examples=minio://bucket/examples",
        "--metrics-file=/var/log/katib/metrics.log",
        "--no-export",
        "--class-weights=balanced",
        "--model-type=tabm",
        "--learning-rate=0.005",
        "--epochs=${trialParameters.epochs}",
    } <= set(words)
    assert not [word for word in words if word.startswith("--model-fn")]
    assert "--epochs=0" not in words


def test_every_pod_of_a_trial_has_the_same_command() -> None:
    resource = rendered(job={"workers": 3, "evaluator": True})
    replicas = resource["spec"]["trialTemplate"]["trialSpec"]["spec"]["tfReplicaSpecs"]
    commands = [
        container["command"]
        for replica in replicas.values()
        for container in replica["template"]["spec"]["containers"]
    ]
    assert len(commands) == 3
    assert commands[0] == commands[1] == commands[2]


def test_the_pod_that_reports() -> None:
    kinds = {
        kind: rendered(trial_kind=kind)["spec"]["trialTemplate"]
        for kind in ("tfjob", "trainjob", "job")
    }
    assert kinds["tfjob"]["primaryPodLabels"] == {"training.kubeflow.org/job-role": "master"}
    assert kinds["trainjob"]["primaryPodLabels"] == {
        "jobset.sigs.k8s.io/replicatedjob-name": "node",
        "batch.kubernetes.io/job-completion-index": "0",
    }
    assert "primaryPodLabels" not in kinds["job"]
    conditions = [kind["successCondition"] for kind in kinds.values()]
    assert [re.search('=="(.+?)"', text).group(1) for text in conditions] == [  # type: ignore[union-attr]
        "Succeeded",
        "Complete",
        "Complete",
    ]
    for template in kinds.values():
        assert not {"name", "namespace"} & template["trialSpec"]["metadata"].keys()


def test_the_metrics_format_skips_what_is_not_a_number() -> None:
    # Go's RE2 and Python agree on this pattern.
    line = "step=10 eval_auc=0.5 loss=nan eval_log_loss=-1.25e-05 x=inf eval-f1 = 3 a|b=+7"
    found = [(m[0], m[1]) for m in re.findall(METRICS_FORMAT, line)]
    assert found == [
        ("step", "10"),
        ("eval_auc", "0.5"),
        ("eval_log_loss", "-1.25e-05"),
        ("eval-f1", "3"),
        ("a|b", "+7"),
    ]


@MOST
@given(strategies.spaces())
def test_values_come_back_as_they_were_meant(space: list[dict[str, Any]]) -> None:
    parsed, problems = search_space.read(space)
    assume(parsed and not problems)
    for entry in parsed:
        if isinstance(entry, search_space.Choice):
            assert [read_value(entry, text) for text in choices(entry)] == list(entry.values)
            continue
        feasible = parameter(entry)["feasibleSpace"]
        assert read_value(entry, feasible["min"]) == entry.typed(entry.low)
        assert "e" not in f"{feasible['min']}{feasible['max']}".lower()
        if entry.kind == "int":
            int(feasible["min"])
            # As population-based algorithms and Python's floats write them.
            assert read_value(entry, f"{float(entry.high)}") == int(entry.high)
