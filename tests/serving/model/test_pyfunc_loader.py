"""A registered model, loaded by MLflow, answers and refuses as the endpoint does."""

import shutil

import pytest

from kfp_tabular.components.common import files
from kfp_tabular.components.common.artifacts import lineage
from kfp_tabular.components.common.artifacts.model_document import ModelSpec
from kfp_tabular.components.common.artifacts.model_pointer import FILE_NAME, ModelPointer
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.serving.protocol.request_error import RequestError
from tests.serving.fraud_requests import V1

ROWS = [
    {"amount": 12, "商户": "x", "hour": 3, "rate": "12,5%"},
    {"amount": 1.5, "商户": "y", "Straße & Nr.": "Weg 1"},
]


@pytest.fixture
def load(tmp_path, model_directory):
    """Write the documents of a version, and load them with MLflow."""
    yaml = pytest.importorskip("yaml")
    mlflow = pytest.importorskip("mlflow")

    def loaded(task, model=None):
        model = model or model_directory(task)
        digest = lineage.digest(model_directory(task))
        folder = tmp_path / "documents"
        flavor = {
            "loader_module": "kfp_tabular.serving.model.pyfunc_loader",
            "data": FILE_NAME,
            "env": {},
        }
        document = {"flavors": {"python_function": flavor}}
        files.write_text(folder / "MLmodel", yaml.safe_dump(document))
        files.write_text(folder / FILE_NAME, ModelPointer(digest, [str(model)]).text())
        return mlflow.pyfunc.load_model(str(folder))

    return loaded


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_it_answers_as_the_endpoint(load, client, task):
    import pandas as pd

    answers = client(task).post(V1, json={"instances": ROWS}).json()["predictions"]
    predicted = load(task).predict(pd.DataFrame(ROWS)).to_dict(orient="records")
    for found, answer in zip(predicted, answers, strict=True):
        assert found.keys() == answer.keys()
        assert found.get("class") == answer.get("class")
        for name in found.keys() - {"class"}:
            assert found[name] == pytest.approx(answer[name])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"amount": 3e6, "商户": "x"}, "amount"),
        ({"商户": "x"}, "amount"),
        ({"amount": "many", "商户": "x"}, "amount"),
    ],
)
def test_it_refuses_what_the_endpoint_refuses(load, client, row, message):
    answer = client("binary").post(V1, json={"instances": [row]})
    assert answer.status_code == 400
    refused = pytest.importorskip("mlflow").exceptions.MlflowException
    with pytest.raises(refused, match=message) as error:
        load("binary").predict([row])
    assert isinstance(error.value.__cause__, RequestError)


def test_bytes_that_do_not_match_are_refused_with_the_file(load, model_directory, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(model_directory("binary"), copy)
    assert ModelSpec.load(copy).task == "binary"
    file = next((copy / "variables").iterdir())
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(UserError, match=str(file)):
        load("binary", copy)
    shutil.rmtree(copy)
    with pytest.raises(UserError, match="its model is gone"):
        load("binary", copy)
