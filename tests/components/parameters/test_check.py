"""The task that checks parameters against the outline of the examples."""

from pathlib import Path

import pyarrow as pa
import pytest

from kfp_tabular.components.common.artifacts import examples_outline
from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.parameters import check
from kfp_tabular.components.parameters.options import ParameterOptions
from tests import cases
from tests.components.small_examples import WriteExamples, write_examples  # noqa: F401 - a fixture


@pytest.fixture
def outline(write_examples: WriteExamples, tmp_path: Path) -> Path:  # noqa: F811 - the fixture
    table = pa.table(cases.people(500))
    examples_outline.write(write_examples(train=table, test=table), "churn", tmp_path / "outline")
    return tmp_path / "outline"


def test_an_outline_has_the_columns_splits_and_classes(outline: Path) -> None:
    found = Examples(outline)
    assert found.rows() == {"test": 2, "train": 2}
    assert found.schema.names == list(cases.people(1))
    (batch,) = found.batches("test", ["churn", "city"])
    assert batch.to_pydict() == {"churn": [0, 1], "city": [None, None]}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"slice_columns": ["citty"]}, "evaluate-model: slice_columns: .*'city'"),
        ({"evaluation_split": "tset"}, "evaluate-model: .*'tset'.*'test'"),
        ({"thresholds": {"rmse": {"max": 1}}}, "evaluate-model: thresholds: 'rmse'.*binary"),
        ({"objective_metric": "eval_rmse", "max_trials": 2}, "hyperparameters: .* 'eval_rmse'"),
        ({"decision_threshold": 0.3, "task": "regression"}, "train-model: decision_threshold: "),
        ({"model_type": "trees", "workers": 2}, "train-model: model_type: 'trees'.*workers=1"),
        ({"hyperparameters": {"model_type": "blend"}, "workers": 2}, "train-model: model_type: "),
        ({"model_type": "trees", "model_fn": "my:model"}, "train-model: model_type: .*model_fn"),
        (
            {
                "model_type": "trees",
                "training_backend": "tfjob",
                "training_job": {"parameter_servers": 1, "workers": 2},
            },
            "train-model: model_type: ",
        ),
        (
            {"training_backend": "tfjob", "training_job": {"cpuu": 1}},
            "train-model: training_job: .*'cpu'",
        ),
        ({"class_weights": "balanced", "task": "regression"}, "train-model: class_weights: "),
        ({"search_space": [{"name": "dropuot"}]}, "search_space.0.: .*'dropout'"),
        (
            {
                "model_type": "trees",
                "max_trials": 2,
                "tuning_backend": "katib",
                "trial_job": {"workers": 2},
            },
            "tune-hyperparameters: model_type: ",
        ),
        ({"label": "chrun"}, "transform-features: label: .*'churn'"),
    ],
)
def test_a_parameter_that_does_not_fit_the_data_is_named(
    outline: Path, tmp_path: Path, values: dict, message: str
) -> None:
    options = ParameterOptions(**{"label": "churn", **values})
    with pytest.raises(UserError, match=message):
        check.run(check.ParameterRequest(outline, tmp_path / "summary.md", options))


def test_parameters_that_fit_are_counted(outline: Path, tmp_path: Path) -> None:
    options = ParameterOptions(label="churn", thresholds={"auc": {"min": 0.5}})
    check.run(check.ParameterRequest(outline, tmp_path / "summary.md", options))
    assert "parameters fit the data" in (tmp_path / "summary.md").read_text()
