import json
import shutil

import numpy as np
import pytest

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.serving.model.predictor import Predictor


@pytest.fixture
def copied(model_directory, tmp_path):
    return shutil.copytree(model_directory("binary"), tmp_path / "copy")


def change(directory, **fields):
    file = directory / "model.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))


def test_columns_that_the_model_does_not_use_are_ignored(model_directory):
    assert Predictor.load(model_directory("binary")).interface.ignored == {"customer", "fraud"}


def test_a_model_without_a_schema_ignores_nothing_and_has_no_rules(copied):
    (copied / "schema.pbtxt").unlink()
    predictor = Predictor.load(copied)
    assert predictor.interface.ignored == frozenset()
    assert predictor.rules == ()


def test_the_model_outlives_the_object_that_loaded_it(model_directory):
    predictor = Predictor.load(model_directory("regression"))
    tensors = {
        "amount": np.array([1, np.nan], np.float32),
        "rate": np.array([2, 2], np.float32),
        "hour": np.array([3, 3]),
        "Strae__Nr": np.array([b"xy", b""], object),
        "feature_3": np.array([b"s", b"s"], object),
    }
    first, second = predictor.predict(tensors)["prediction"].tolist()
    assert second - first == 999 - 2 * 3 + 0.75


def test_model_json_of_another_model_is_rejected(copied):
    inputs = json.loads((copied / "model.json").read_text())["inputs"]
    change(copied, inputs=[inputs[0] | {"dtype": "int64"}, *inputs[1:-1]])
    with pytest.raises(
        UserError, match=r"'amount' is int64 in model.json and float32 .*2 inputs differ"
    ):
        Predictor.load(copied)


def test_model_json_of_another_task_is_rejected(copied):
    change(copied, task="regression")
    with pytest.raises(UserError, match="regression model's .* this one lacks 'prediction'"):
        Predictor.load(copied)


@pytest.mark.parametrize("content", [None, b"", b"garbage"])
def test_a_broken_saved_model_is_a_user_error(copied, content):
    file = copied / "saved_model.pb"
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UserError, match=str(copied)):
        Predictor.load(copied)


def test_missing_variables_are_a_user_error(copied):
    shutil.rmtree(copied / "variables")
    with pytest.raises(UserError, match="cannot load this SavedModel") as caught:
        Predictor.load(copied)
    assert "\n" not in str(caught.value)


def test_truncated_variables_are_a_user_error(copied):
    (file,) = (copied / "variables").glob("variables.data-*")
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(UserError, match="cannot load this SavedModel"):
        Predictor.load(copied)


def test_an_unknown_operation_is_a_user_error(copied):
    file = copied / "saved_model.pb"
    graph = file.read_bytes()
    file.write_bytes(graph.replace(b"StringToHashBucketFast", b"StringToHashBucketLast"))
    with pytest.raises(UserError, match="StringToHashBucketLast"):
        Predictor.load(copied)


def test_model_json_is_required(copied):
    (copied / "model.json").unlink()
    with pytest.raises(UserError, match=r"model\.json: not found"):
        Predictor.load(copied)
