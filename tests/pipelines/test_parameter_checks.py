"""Parameters that do not fit are found before the first long task."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from kfp_tabular.components.common.artifacts.examples import ExamplesWriter
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.parameters import checks
from kfp_tabular.components.training.model import prediction_metrics
from kfp_tabular.pipelines import compile as compiling
from kfp_tabular.pipelines import parameter_checks, registry
from kfp_tabular.pipelines import spec as specs
from kfp_tabular.pipelines.configuration import PipelineConfig
from kfp_tabular.pipelines.training.pipeline import training_pipeline
from tests import cases

SPEC = specs.of(training_pipeline)
REQUIRED = {"data_uri": "people.csv", "label": "churn"}

TYPES = [
    {
        "name": "model_type",
        "parameterType": "categorical",
        "feasibleSpace": {"list": ["trees", "tabm"]},
    }
]

WITHOUT_DATA = [
    ({"split_method": "hsh"}, "ingest-data: split_method: ", "'hash'"),
    ({"split_fractions": {"train": -1}}, "ingest-data: split_fractions: ", "-1"),
    ({"column_types": {"age": "intger"}}, "ingest-data: column_types: ", "'integer'"),
    ({"csv_encoding": "utf9"}, "ingest-data: csv_encoding: ", "'utf9'"),
    ({"fail_on": "erorr"}, "validate-data: fail_on: ", "'error'"),
    ({"skew_thresholds": {"age": 2}}, "validate-data: skew_thresholds: ", "2"),
    ({"task": "binry"}, "transform-features: task: ", "'binary'"),
    ({"feature_config": {"age": {"kind": "numerik"}}}, "feature_config: 'age'", "'numeric'"),
    ({"feature_config": {"age": {"kind": "hash", "bukets": 3}}}, "feature_config", "'buckets'"),
    ({"exclude": ["churn"]}, "transform-features: exclude: ", "the label"),
    ({"search_space": [{"name": "dropuot"}]}, "search_space[0]: ", "'dropout'"),
    ({"algorithm": "tpee"}, "tune-hyperparameters: algorithm: ", "'tpe'"),
    ({"algorithm_settings": {"gama": 1}}, "algorithm_settings: ", "'gamma'"),
    ({"objective_metric": "eval_acu", "max_trials": 2}, "objective_metric: ", "'eval_auc'"),
    ({"tuning_backend": "katb"}, "tune-hyperparameters: tuning_backend: ", "'katib'"),
    ({"trial_job": {"cpuu": 1}, "tuning_backend": "katib"}, "trial_job: ", "'cpu'"),
    ({"model_type": "dnm"}, "model_type: ", "'dnn'"),
    ({"hyperparameters": {"dropuot": 0.1}}, "hyperparameter 'dropuot'", "'dropout'"),
    ({"hyperparameters": {"dropout": 2}}, "hyperparameter dropout", "2"),
    ({"workers": 0}, "train-model: workers: ", "0"),
    ({"model_type": "trees", "workers": 2}, "train-model: model_type: 'trees'", "2 workers"),
    ({"model_type": "blend", "workers": 2}, "train-model: model_type: 'blend'", "2 workers"),
    ({"model_type": "trees", "model_fn": "my:model"}, "train-model: model_type: ", "model_fn"),
    ({"model_type": "blend", "model_fn": "my:model"}, "train-model: model_type: ", "model_fn"),
    ({"hyperparameters": {"model_type": "trees"}, "workers": 2}, "train-model: model_type: ", "2"),
    (
        {"model_type": "trees", "training_backend": "tfjob", "training_job": {"workers": 2}},
        "train-model: model_type: 'trees'",
        "2 workers",
    ),
    (
        {
            "model_type": "trees",
            "training_backend": "tfjob",
            "workers": 2,
            "training_job": {"parameter_servers": 1},
        },
        "train-model: model_type: 'trees'",
        "workers=1",
    ),
    (
        {"model_type": "trees", "training_backend": "trainjob", "workers": 2},
        "train-model: model_type: 'trees'",
        "2 workers",
    ),
    (
        {"search_space": TYPES, "max_trials": 3, "workers": 2},
        "train-model: model_type: 'trees'",
        "2",
    ),
    (
        {"search_space": TYPES, "max_trials": 3, "model_fn": "my:model"},
        "tune-hyperparameters: model_type: 'trees'",
        "model_fn",
    ),
    (
        {
            "model_type": "trees",
            "max_trials": 3,
            "tuning_backend": "katib",
            "trial_job": {"workers": 2},
        },
        "tune-hyperparameters: model_type: 'trees'",
        "2 workers",
    ),
    ({"task": "regression", "class_weights": "balanced"}, "train-model: class_weights: ", "none"),
    ({"training_job": {"cpuu": 1}, "training_backend": "tfjob"}, "training_job: ", "'cpu'"),
    ({"thresholds": {"aucc": {"min": 0.9}}}, "evaluate-model: thresholds: 'aucc'", "'auc'"),
    ({"thresholds": {"auc": {"mni": 0.9}}}, "evaluate-model: thresholds: 'auc'", "'min'"),
    ({"thresholds": {"auc": {"min": 0.9}}, "task": "regression"}, "thresholds: 'auc'", "rmse"),
    ({"thresholds": {"auc": {"min": 0.9, "slice": "city"}}}, "thresholds: 'auc'", "city"),
    ({"change_thresholds": {"auc": {"min": 0.9}}}, "change_thresholds: 'auc'", "min_change"),
    ({"slice_columns": ["city,city"]}, "evaluate-model: slice_columns: ", "city"),
    ({"bootstrap_samples": 3}, "evaluate-model: bootstrap_samples: ", "3"),
    ({"model_name": "My model"}, "deploy-model: model_name: ", "'My model'"),
    ({"service": {"strtegy": "x"}, "deployment_backend": "kserve"}, "service: ", "'strategy'"),
]

WITH_DATA = [
    ({"drift_thresholds": {"aeg": 0.1}}, "validate-data", "drift_thresholds: ", "'age'"),
    ({"feature_config": {"aeg": {"kind": "drop"}}}, "transform-features", "'aeg'", "'age'"),
    ({"task": "multiclas"}, "transform-features", "task: ", "'multiclass'"),
    ({"slice_columns": ["age,citty"]}, "evaluate-model", "slice_columns: ", "'city'"),
    ({"evaluation_split": "tset"}, "evaluate-model", "'tset'", "'test'"),
    ({"thresholds": {"rmse": {"max": 1}}}, "evaluate-model", "thresholds: 'rmse'", "binary"),
    ({"objective_metric": "eval_rmse", "max_trials": 2}, "tune-hyperparameters", "eval_rmse", "b"),
    ({"task": "regression", "decision_threshold": 0.3}, "train-model", "decision_thr", "binary"),
]


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("examples")
    table = pa.table(cases.people(200))
    with ExamplesWriter(folder, table.schema, ["train", "test"]) as writer:
        writer.write("train", table)
        writer.write("test", table)
    return folder


@pytest.mark.parametrize(("values", "begins", "names"), WITHOUT_DATA)
def test_what_needs_no_data_is_found_before_anything_runs(values, begins, names):
    with pytest.raises(UserError) as raised:
        parameter_checks.check(SPEC, REQUIRED | values)
    message = str(raised.value)
    assert begins in message
    assert names in message
    assert "\n" not in message


@pytest.mark.parametrize(("values", "task", "begins", "names"), WITH_DATA)
def test_the_rest_is_found_with_the_columns(values, task, begins, names, examples):
    message = parameter_checks.with_examples(SPEC, REQUIRED | values, examples)[task]
    assert begins in message
    assert names in message


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"exclude": ["income"], "slice_columns": ["city", "city,visits"]},
        {"thresholds": {"auc": [{"min": 0.7}, {"min": 0.5, "slice": "city"}]},
         "slice_columns": ["city"], "evaluation_split": "test"},
        {"feature_config": {"age": {"kind": "categorical"}}, "skew_thresholds": {"*": 0.1}},
        {"objective_metric": "eval_accuracy", "max_trials": 2, "additional_metrics":
         {"train_loss": "min"}},
        {"task": "regression", "thresholds": {"rmse": {"max": 1}}},
        {"model_type": "trees"},
        {"workers": 2},
        {"search_space": TYPES, "workers": 2},
        {"search_space": TYPES, "max_trials": 3},
        {"model_type": "trees", "training_job": {"parameter_servers": 1}},
    ],
)  # fmt: skip
def test_what_fits_passes(values, examples):
    parameter_checks.check(SPEC, REQUIRED | values)
    assert parameter_checks.with_examples(SPEC, REQUIRED | values, examples) == {}


def test_defaults_and_locked_parameters_are_checked_when_compiled(tmp_path):
    output = tmp_path / "pipeline.yaml"
    for config in (
        PipelineConfig(parameters={"model_type": "dnm"}),
        PipelineConfig(locked={"model_type": "dnm"}),
    ):
        with pytest.raises(UserError, match="model_type: .*'dnn'"):
            compiling.compile_pipeline("training", config, output)
    assert not output.exists()


@pytest.mark.parametrize("name", list(registry.PIPELINES))
def test_every_pipeline_is_fine_as_it_is(name):
    parameter_checks.check(specs.of(registry.find(name).build(PipelineConfig())), {})


@pytest.mark.parametrize("kind", checks.TASK_KINDS)
def test_training_reports_what_an_objective_may_name(kind):
    label = np.array([0, 1])
    prediction = label.astype(float) if kind == "regression" else np.eye(2)
    assert set(checks._REPORTED[kind]) == set(prediction_metrics.score(kind, label, prediction))


def test_on_a_cluster_a_task_checks_right_after_ingestion(tmp_path):
    def compiled(**config):
        output = tmp_path / "pipeline.yaml"
        compiling.compile_pipeline("training", PipelineConfig(**config), output)
        return specs.load(output)["root"]["dag"]["tasks"]

    tasks = compiled()
    check = tasks["check-parameters"]
    assert check["dependentTasks"] == ["ingest-data"]
    given = check["inputs"]["parameters"]
    assert given["thresholds"] == {"componentInputParameter": "thresholds"}
    assert given["evaluation_split"] == {"componentInputParameter": "evaluation_split"}
    for task in ("transform-features", "tune-hyperparameters", "train-model"):
        assert "check-parameters" in tasks[task]["dependentTasks"]
    # Nothing is taken from it, so its arguments do not decide what is cached.
    assert "check-parameters" not in str([each.get("inputs") for each in tasks.values()])
    assert "check-parameters" not in compiled(check_parameters="never")
    # There is no room for it beside long values.
    assert "check-parameters" not in compiled(parameters={"data_uri": "x" * 9_000})
