"""Where the model is, for KServe."""

import json
from pathlib import Path
from typing import Any

import pytest

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.pods.volumes import Volume
from kfp_tabular.components.deployment.deployment_request import DeploymentRequest
from kfp_tabular.components.deployment.kserve.resources.deployed_model import DeployedModel
from kfp_tabular.components.deployment.kserve.resources.model_location import locate, storage_uri
from kfp_tabular.components.deployment.kserve.resources.service_settings import ServiceSettings
from kfp_tabular.components.deployment.options import DeploymentOptions

VOLUMES = (
    Volume("data", "/data"),
    Volume("models", "/mnt/models-here/"),
    Volume("parted", "/part", "a/b"),
)


@pytest.mark.parametrize(
    ("uri", "found"),
    [
        ("minio://bucket/a/model", "s3://bucket/a/model"),
        ("s3://bucket/a/model/", "s3://bucket/a/model"),
        ("gs://bucket/model", "gs://bucket/model"),
        ("pvc://claim/model", "pvc://claim/model"),
        ("/mnt/models-here/a/b", "pvc://models/a/b"),
        ("file:///data/x", "pvc://data/x"),
        ("/part/x", "pvc://parted/a/b/x"),
    ],
)
def test_addresses(uri: str, found: str) -> None:
    assert storage_uri(uri, "model", VOLUMES) == found


@pytest.mark.parametrize("uri", ["/elsewhere/model", "/database/model", "file:///x"])
def test_what_is_on_this_machine_only_is_refused(uri: str) -> None:
    with pytest.raises(UserError, match="is on this machine, where no endpoint can read it"):
        storage_uri(uri, "model", VOLUMES)


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    folder = tmp_path / "artifact"
    folder.mkdir()
    (folder / "saved_model.pb").write_text("graph")
    (folder / "model.json").write_text(
        '{"task": "regression", "label": "y", "classes": [], "decision_threshold": null, '
        '"inputs": [{"name": "a", "dtype": "int64", "required": true, "input": "a"}], '
        '"schema_digest": "sha256:1", "versions": {}, "hyperparameters": {}}'
    )
    return folder


def request(artifact: Path, repository: str) -> DeploymentRequest:
    options = DeploymentOptions(model_repository=repository, model_name="taxi")
    return DeploymentRequest(artifact, artifact, artifact, options=options)


def publish(artifact: Path, tmp_path: Path, **service: Any) -> str:
    volumes = [{"claim": "models", "mount_path": str(tmp_path)}]
    model = DeployedModel.load(artifact)
    settings = ServiceSettings.parse({"volumes": volumes, **service})
    return locate(request(artifact, str(tmp_path / "r")), model, settings).storage_uri


def test_a_published_model_has_the_layout_of_tensorflow_serving(
    artifact: Path, tmp_path: Path
) -> None:
    found = publish(artifact, tmp_path, runtime="tensorflow")

    claim, _, number = found.rpartition("/")
    assert claim == "pvc://models/r/taxi"
    version = tmp_path / "r" / "taxi" / number / number
    assert (version / "saved_model.pb").read_text() == "graph"
    before = version.stat().st_ino
    assert publish(artifact, tmp_path, runtime="tensorflow") == found
    assert version.stat().st_ino == before
    (artifact / "saved_model.pb").write_text("another")
    assert publish(artifact, tmp_path, runtime="tensorflow") != found


def test_what_was_published_is_never_another_model(artifact: Path, tmp_path: Path) -> None:
    """A version has 32 bits, and the directory may hold another model."""
    number = publish(artifact, tmp_path).rpartition("/")[2]
    published = tmp_path / "r" / "taxi" / number / number / "saved_model.pb"
    published.write_text("another")

    with pytest.raises(UserError, match=f"{number} holds another model; remove it"):
        publish(artifact, tmp_path)

    assert published.read_text() == "another"


def test_a_repository_that_cannot_be_written_is_named(artifact: Path, tmp_path: Path) -> None:
    (tmp_path / "r").write_text("")

    with pytest.raises(UserError, match="model_repository: .* is a file, not a directory"):
        publish(artifact, tmp_path)


def test_tensorflow_serving_cannot_do_without(artifact: Path) -> None:
    settings = ServiceSettings.parse({"runtime": "tensorflow"})
    with pytest.raises(UserError, match="Give model_repository"):
        locate(request(artifact, ""), DeployedModel.load(artifact), settings)
    with pytest.raises(UserError, match="cannot be written from here"):
        locate(request(artifact, "pvc://claim/x"), DeployedModel.load(artifact), settings)


@pytest.mark.parametrize(
    "changes",
    [
        {"task": "ranking"},
        {"task": ["binary"]},
        {"task": "binary", "classes": ["yes"]},
        {"task": "multiclass", "classes": ["a"]},
        {"task": "binary", "classes": "ab"},
        {"task": "binary", "classes": [0, 1]},
        {"decision_threshold": "0.5"},
        {"decision_threshold": True},
        {"schema_digest": 5},
        {"schema_digest": "sha256:no label!"},
        {"inputs": [{"name": "a", "dtype": "complex64", "input": "a"}]},
        {"inputs": [{"name": 1, "dtype": "int64", "input": "a"}]},
        {"inputs": [{"name": "a", "dtype": "int64", "input": None}]},
    ],
    ids=str,
)
def test_a_description_that_no_rollout_could_use_is_refused(
    artifact: Path, changes: dict[str, Any]
) -> None:
    file = artifact / "model.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))

    with pytest.raises(UserError, match=r"model\.json: not a model description"):
        DeployedModel.load(artifact)


def test_a_directory_that_is_not_a_model_is_named(artifact: Path) -> None:
    for text in ("{}", "[" * 100_000):
        (artifact / "model.json").write_text(text)
        with pytest.raises(UserError, match=r"model\.json: not a model description"):
            DeployedModel.load(artifact)
    (artifact / "saved_model.pb").unlink()
    with pytest.raises(UserError, match=r"no saved_model\.pb"):
        DeployedModel.load(artifact)
