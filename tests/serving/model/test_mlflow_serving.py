"""MLflow loads and serves a registered model: the endpoint's answers, also over HTTP."""

import json
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kfp_tabular.components.common.artifacts import lineage
from kfp_tabular.components.common.artifacts.golden_examples import GoldenExamples
from kfp_tabular.components.common.artifacts.model_document import ModelSpec
from kfp_tabular.components.common.registry import VersionDraft, open_registry
from kfp_tabular.components.registration import version_documents
from kfp_tabular.components.registration.version_documents import Registrable
from tests.servers import stores
from tests.serving.fraud_requests import V1

ROWS = [
    {"amount": 12, "商户": "x", "hour": 3, "rate": "12,5%"},
    {"amount": 1.5, "商户": "y", "Straße & Nr.": "Weg 1"},
]
CHAMPION = "models:/fraud@champion"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, model_directory: Callable, client: Callable):
    """The URI of a store with a champion whose golden examples are the endpoint's answers."""
    folder = tmp_path_factory.mktemp("registry")
    model = model_directory("binary")
    answers = client("binary").post(V1, json={"instances": ROWS}).json()["predictions"]
    digest = lineage.digest(model)
    golden = GoldenExamples(ROWS, answers)
    found = Registrable(model, str(model), digest, ModelSpec.load(model), golden, {"metrics": {}})
    documents = folder / "documents"
    documents.mkdir()
    version_documents.write(found, documents)
    uri = f"sqlite:///{folder}/mlflow.db"
    registry = open_registry(uri)
    made = registry.add("fraud", VersionDraft(digest, str(model), documents))
    registry.point("fraud", "champion", made.version)
    return uri


@pytest.fixture
def golden(store: str, tmp_path: Path) -> GoldenExamples:
    registry = open_registry(store)
    return GoldenExamples.load(registry.documents(registry.version("fraud", "1"), tmp_path))


def assert_equal(found: list[dict], golden: GoldenExamples) -> None:
    for one, other in zip(found, golden.predictions, strict=True):
        assert one["class"] == other["class"]
        assert one["probabilities"] == pytest.approx(other["probabilities"], abs=1e-12)


def test_the_champion_answers_the_golden_rows(store, golden, monkeypatch):
    import mlflow
    import pandas as pd

    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    model = mlflow.pyfunc.load_model(CHAMPION)

    predicted = model.predict(pd.DataFrame(golden.instances))

    assert_equal(predicted.to_dict(orient="records"), golden)


@pytest.fixture(scope="module")
def served(store: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of `mlflow models serve` in this environment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = Path(sys.executable).with_name("mlflow")
    log = tmp_path_factory.mktemp("served") / "log"
    command = [str(program), "models", "serve", "--model-uri", CHAMPION, "--env-manager", "local"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    variables = {
        **os.environ,
        "MLFLOW_TRACKING_URI": store,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PATH": f"{program.parent}:{os.environ['PATH']}",
    }
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=variables)
    try:
        stores.wait_for(process, f"http://127.0.0.1:{port}/ping", 300)
        yield f"http://127.0.0.1:{port}/invocations"
    except (RuntimeError, TimeoutError) as error:
        pytest.fail(f"{error}\n{log.read_text()[-3000:]}")
    finally:
        process.terminate()
        process.wait(60)


def invoke(address: str, body: object) -> tuple[int, dict]:
    request = urllib.request.Request(
        address, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=120) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_mlflow_models_serve_answers_the_golden_rows(served, golden):
    """What it takes: rows by name, or a table by columns."""
    status, answer = invoke(served, {"dataframe_records": list(golden.instances)})
    assert status == 200, answer
    assert_equal(answer["predictions"], golden)
    columns = list(dict.fromkeys(name for row in golden.instances for name in row))
    table = [[row.get(name) for name in columns] for row in golden.instances]
    status, answer = invoke(served, {"dataframe_split": {"columns": columns, "data": table}})
    assert status == 200, answer
    assert_equal(answer["predictions"], golden)

    status, answer = invoke(served, {"dataframe_records": [{"amount": 3e6, "商户": "x"}]})
    assert status == 400, answer
    assert "amount" in answer["message"]
