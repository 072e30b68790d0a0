from pathlib import Path

import pytest
from kfp import dsl

from kfp_tabular.components import tune_hyperparameters
from kfp_tabular.components.common.artifacts.hyperparameters import Hyperparameters
from kfp_tabular.components.common.artifacts.supervised_task import Task


def call(tmp_path: Path, **arguments):
    for name in ("transformed_examples", "transform_graph"):
        (tmp_path / name).mkdir(exist_ok=True)
    Task("binary", "y", ("0", "1"), (5, 5)).save(tmp_path / "transform_graph")
    artifacts = {
        "transformed_examples": dsl.Dataset(uri=str(tmp_path / "transformed_examples")),
        "transform_graph": dsl.Artifact(uri=str(tmp_path / "transform_graph")),
        "hyperparameters": dsl.Artifact(uri=str(tmp_path / "out" / "hyperparameters")),
        "report": dsl.HTML(uri=str(tmp_path / "out" / "report")),
        "metrics": dsl.Metrics(uri=str(tmp_path / "out" / "metrics")),
    }
    tune_hyperparameters.python_func(**artifacts, **arguments)
    return artifacts


def test_base_values_are_passed_through(tmp_path):
    # KFP hands whole numbers in dictionaries over as floats.
    artifacts = call(
        tmp_path,
        model_type="dnn",
        train_steps=1000,
        base_hyperparameters={"cross_layers": 3.0, "dropout": 0.2, "train_steps": 500.0},
    )
    assert Hyperparameters.load(artifacts["hyperparameters"].path) == Hyperparameters(
        model_type="dnn", train_steps=500, cross_layers=3, dropout=0.2
    )
    assert artifacts["hyperparameters"].metadata["seed"] == 0
    assert Path(artifacts["report"].path).read_text().startswith("<!")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"backend": "katlib"},
            "found 'katlib'. Did you mean 'katib'?",
        ),
        (
            {"backend": "katib", "max_trials": 2},
            "transformed_examples: {tmp_path}/transformed_examples is a path in this task's pod",
        ),
        ({"base_hyperparameters": {"dropuot": 0.1}}, "Did you mean 'dropout'?"),
        ({"search_space": [{"name": "rate"}]}, "search_space[0]: hyperparameter 'rate' is unknown"),
        ({"max_trials": -1}, "max_trials: expected at least 0, found -1."),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(tmp_path, caplog, arguments, message):
    with pytest.raises(SystemExit) as ended:
        call(tmp_path, **arguments)
    assert ended.value.code == 2
    message = message.replace("{tmp_path}", str(tmp_path))
    assert message in caplog.records[-1].getMessage()
    assert not (tmp_path / "out").exists()
