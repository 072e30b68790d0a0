"""Registration into a real MLflow store in a file."""

import json
import shutil
from pathlib import Path

import pytest

from kfp_tabular.components.common import files
from kfp_tabular.components.common.artifacts import file_digests, lineage
from kfp_tabular.components.common.artifacts.golden_examples import GoldenExamples
from kfp_tabular.components.common.artifacts.model_document import ModelInput, ModelSpec
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.registry import open_registry, promotion
from kfp_tabular.components.registration import register
from kfp_tabular.components.registration.options import RegistrationOptions

INPUTS = (
    ModelInput("hour", "int64", required=True, input="hour"),
    ModelInput("fare", "float32", required=False, input="fare"),
    ModelInput("company", "string", required=False, input="company"),
)


def make(folder: Path, name: str, baseline: str = "", **changes: object):
    """Write a model with its evaluation, and return the request to register it."""
    model = folder / name / "model"
    spec = ModelSpec("binary", "tips", ("no", "yes"), 0.5, INPUTS, "sha256:00")
    spec.save(model)
    files.write_text(model / "saved_model.pb", name)
    files.write_text(model / "variables" / "variables.index", f"weights of {name}")
    file_digests.write(model)
    written = lineage.record(model, inputs={})
    evaluation = folder / name / "evaluation"
    document = {
        "model": {"digest": written["digest"]},
        "metrics": {"auc": {"value": 0.8, "interval": [0.78, 0.82]}},
        "rows": 100,
        "split": "test",
        "curves": {"thresholds": [0.5]},
        "baseline": {"digest": baseline} if baseline else None,
    }
    files.write_text(evaluation / "evaluation.json", json.dumps(document))
    golden = folder / name / "golden"
    golden.mkdir()
    answer = {"probabilities": [0.5, 0.5], "class": "yes"}
    GoldenExamples([{"hour": 7, "fare": 12.5}], [answer]).save(golden)
    options = RegistrationOptions(model_name="taxi", **changes)
    return register.RegistrationRequest(
        model, evaluation, golden, folder / name / "summary.md", options=options
    )


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory):
    """Make a store once: its tables take a second."""
    file = tmp_path_factory.mktemp("store") / "mlflow.db"
    assert open_registry(f"sqlite:///{file}").names() == []
    return file


@pytest.fixture
def store(tmp_path, empty_store):
    shutil.copyfile(empty_store, tmp_path / "mlflow.db")
    return open_registry(f"sqlite:///{tmp_path}/mlflow.db")


def test_a_model_becomes_a_version_with_its_documents(tmp_path, store):
    request = make(tmp_path, "a", run_id="run-1")
    assert register.run(request, store) == "1"
    version = store.version("taxi", "1")
    assert version.digest == lineage.digest(request.model)
    assert version.locations == (str(request.model),)
    assert version.facts["schema_digest"] == "sha256:00"
    assert version.facts["lineage_digest"].startswith("sha256:")
    assert version.facts["pipeline_run"] == "run-1"
    assert json.loads(version.facts["metrics"]) == {"auc": [0.8, 0.78, 0.82]}
    assert store.aliases("taxi") == {"challenger": "1"}
    documents = store.documents(version, tmp_path / "documents")
    found = {path.name for path in documents.iterdir()}
    assert {"MLmodel", "input_example.json", "golden.json", "model_pointer.json"} <= found
    assert "curves" not in json.loads((documents / "evaluation.json").read_text())
    assert "Version 1 of taxi, challenger" in request.summary.read_text()


def test_mlflow_reads_signature_and_example(tmp_path, store):
    from mlflow.models import Model

    register.run(make(tmp_path, "a"), store)
    documents = store.documents(store.version("taxi", "1"), tmp_path / "documents")
    model = Model.load(str(documents))
    columns = {column.name: str(column) for column in model.signature.inputs}
    assert columns["hour"].startswith("'hour': long (required)")
    assert columns["fare"].startswith("'fare': Any (optional)")
    assert columns["company"].startswith("'company': string (optional)")
    assert [column.name for column in model.signature.outputs] == ["class", "probabilities"]
    example = model.load_input_example(str(documents))
    assert example["hour"].tolist() == [7]


def test_the_same_model_is_registered_once(tmp_path, store):
    request = make(tmp_path, "a")
    assert [register.run(request, store) for _ in range(2)] == ["1", "1"]
    assert register.run(make(tmp_path, "b"), store) == "2"
    assert len(store.versions("taxi")) == 2


def test_a_version_expects_the_champion_that_it_was_compared_with(tmp_path, store):
    first, second = make(tmp_path, "a"), make(tmp_path, "b")
    for request in (first, second):
        register.run(request, store)
    for number in ("1", "2"):
        with promotion.rollout(store, store.version("taxi", number), None, {}):
            pass
    # Compared with version 1, while version 2 became champion.
    third = make(tmp_path, "c", baseline=store.version("taxi", "1").digest)
    register.run(third, store)
    assert store.version("taxi", "3").facts["expects"] == "1"
    register.run(make(tmp_path, "d"), store)
    assert store.version("taxi", "4").facts["expects"] == "2"


def test_what_is_not_blessed_is_not_registered(tmp_path, store):
    request = make(tmp_path, "a", blessed=False)
    assert register.run(request, store) == ""
    assert not store.names()
    assert "evaluation did not bless" in request.summary.read_text()


def test_without_a_registry_nothing_fails(tmp_path):
    request = make(tmp_path, "a", tracking_uri="none")
    assert register.run(request) == ""
    assert "no registry is in use" in request.summary.read_text()


def test_an_evaluation_of_another_model_is_refused(tmp_path, store):
    request = make(tmp_path, "a")
    other = make(tmp_path, "b")
    mixed = register.RegistrationRequest(
        request.model, other.evaluation, request.golden_examples, request.summary
    )
    with pytest.raises(UserError, match="it is of another model"):
        register.run(mixed, store)


@pytest.mark.parametrize("name", ["variables/variables.index", "model.json", "saved_model.pb"])
def test_a_flipped_byte_is_refused_with_the_file(tmp_path, store, name):
    request = make(tmp_path, "a")
    content = bytearray((request.model / name).read_bytes())
    content[0] ^= 1
    (request.model / name).write_bytes(content)
    with pytest.raises(UserError, match=f"{request.model}/{name}: "):
        register.run(request, store)
    assert not store.names()
