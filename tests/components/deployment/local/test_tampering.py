"""One flipped byte in a model, and every place that must refuse it with the file's name."""

import math
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from kfp_tabular.components.batch_prediction.options import BatchPredictionOptions
from kfp_tabular.components.batch_prediction.predict import BatchPredictionRequest
from kfp_tabular.components.batch_prediction.predict import run as predict
from kfp_tabular.components.common import files
from kfp_tabular.components.common.artifacts import file_digests, lineage, model_signature
from kfp_tabular.components.common.artifacts.golden_examples import GoldenExamples
from kfp_tabular.components.common.artifacts.model_document import ModelSpec
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.registry import (
    ModelVersion,
    Registry,
    VersionDraft,
    open_registry,
    opened,
    promotion,
    resolve,
)
from kfp_tabular.components.deployment import deploy
from kfp_tabular.components.deployment.deployment_request import DeploymentRequest
from kfp_tabular.components.deployment.options import DeploymentOptions
from kfp_tabular.components.registration import register, version_documents
from kfp_tabular.components.registration.options import RegistrationOptions
from kfp_tabular.pipelines.cli import cli
from kfp_tabular.serving.model import pyfunc_loader
from kfp_tabular.serving.model.version_check import VersionCheck
from tests.components.deployment.signing_keys import make_keys

FILES = (
    "variables/variables.data-00000-of-00001",
    "assets/vocabulary_city",
    "model.json",
    "saved_model.pb",
)


@dataclass(frozen=True)
class Registered:
    """A signed model that is the champion, and what a run needs of it."""

    model: Path
    golden: Path
    folder: Path
    registry: Registry
    version: ModelVersion

    @property
    def store(self) -> str:
        return self.registry.address


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, export: Callable) -> Path:
    """A model as `train_model` writes it, signed, and its keys."""
    folder = tmp_path_factory.mktemp("whole")
    model, golden = export("binary")
    shutil.copytree(golden, folder / "golden")
    shutil.copytree(model, folder / "model")
    files.write_text(folder / "model" / "assets" / "vocabulary_city", "Bern\nBasel\n")
    file_digests.write(folder / "model")
    lineage.record(folder / "model", inputs={})
    private, _ = make_keys(folder, "own")
    signature = model_signature.sign(folder / "model", private)
    files.write_text(folder / "model" / model_signature.FILE_NAME, signature)
    assert open_registry(f"sqlite:///{folder}/mlflow.db") is not None
    return folder


@pytest.fixture
def registered(whole: Path, tmp_path: Path) -> Registered:
    folder = tmp_path / "copy"
    shutil.copytree(whole, folder)
    model, documents = folder / "model", folder / "documents"
    spec, golden = ModelSpec.load(model), GoldenExamples.load(folder / "golden")
    digest = lineage.digest(model)
    documents.mkdir()
    version_documents.write(
        version_documents.Registrable(model, str(model), digest, spec, golden, {"metrics": {}}),
        documents,
    )
    registry = open_registry(f"sqlite:///{folder}/mlflow.db")
    assert registry is not None
    version = registry.add("taxi", VersionDraft(digest, str(model), documents))
    with promotion.rollout(registry, version, "", {}):
        pass
    return Registered(model, folder / "golden", folder, registry, version)


def register_again(it: Registered) -> None:
    evaluation = it.folder / "evaluation"
    files.write_text(
        evaluation / "evaluation.json", f'{{"model": {{"digest": "{it.version.digest}"}}}}'
    )
    options = RegistrationOptions(model_name="other", tracking_uri=it.store)
    request = register.RegistrationRequest(
        it.model, evaluation, it.golden, it.folder / "summary.md", options=options
    )
    register.run(request)


def resolve_champion(it: Registered) -> None:
    with opened(resolve("models:/taxi@champion", it.registry)):
        pass


def deploy_version(it: Registered, version: str = "1") -> None:
    options = DeploymentOptions(
        str(it.folder / "models"), "taxi", registered_version=version, tracking_uri=it.store
    )
    summary = it.folder / "summary.md"
    deploy.run(DeploymentRequest(it.model, it.golden, summary, options=options))
    assert not version or it.registry.aliases("taxi") == {"champion": "1"}


def deploy_unregistered(it: Registered) -> None:
    deploy_version(it, "")


def load_in_endpoint(it: Registered) -> None:
    VersionCheck(4096, "check").check(it.model, math.inf)


def load_in_endpoint_with_key(it: Registered) -> None:
    VersionCheck(4096, "off", str(it.folder / "own.pub.pem")).check(it.model, math.inf)


def load_with_pyfunc(it: Registered) -> None:
    pyfunc_loader._load_pyfunc(str(it.folder / "documents" / "model_pointer.json"))


def predict_batch(it: Registered, model: str = "models:/taxi@champion") -> None:
    data = it.folder / "rows.csv"
    files.write_text(data, "Größe (m),kind\n1.5,flat\n")
    options = BatchPredictionOptions(data_uri=str(data), model=model, tracking_uri=it.store)
    outputs = [it.folder / name for name in ("predictions", "rejected", "report.html")]
    predict(BatchPredictionRequest(options, *outputs))


def predict_batch_with_a_path(it: Registered) -> None:
    predict_batch(it, str(it.model))


def verify_from_command_line(it: Registered, *more: str) -> None:
    arguments = ["models", "verify", "taxi", "--tracking-uri", it.store, *more]
    done = CliRunner().invoke(cli, arguments)
    if done.exception is not None:
        raise done.exception


def verify_signature_from_command_line(it: Registered) -> None:
    verify_from_command_line(it, "--public-key", str(it.folder / "own.pub.pem"))


PLACES: Mapping[str, Callable[[Registered], None]] = {
    place.__name__: place
    for place in (
        register_again,
        resolve_champion,
        deploy_version,
        deploy_unregistered,
        load_in_endpoint,
        load_in_endpoint_with_key,
        load_with_pyfunc,
        predict_batch,
        predict_batch_with_a_path,
        verify_from_command_line,
        verify_signature_from_command_line,
    )
}


def test_every_place_takes_the_model_as_it_is(registered: Registered) -> None:
    for place in PLACES.values():
        if place is not register_again:
            place(registered)


@pytest.mark.parametrize("name", FILES)
def test_every_place_refuses_a_flipped_byte(registered: Registered, name: str) -> None:
    file = registered.model / name
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)

    for place in PLACES.values():
        with pytest.raises(UserError) as refusal:
            place(registered)
        assert str(file) in str(refusal.value), place.__name__
        assert "\n" not in str(refusal.value), place.__name__

    assert not (registered.folder / "models").exists()
    assert not (registered.folder / "predictions").exists()
    assert registered.registry.names() == ["taxi"]
    assert registered.registry.aliases("taxi") == {"champion": "1"}


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_byte_with_a_list_that_fits_it_is_refused_where_others_vouch(
    registered: Registered, name: str
) -> None:
    """Whoever changes a file can also write the model's list anew, but not what others keep."""
    file = registered.model / name
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    file_digests.write(registered.model)

    listed = registered.model / file_digests.FILE_NAME
    for place in (resolve_champion, deploy_version, load_with_pyfunc, predict_batch):
        with pytest.raises(UserError) as refusal:
            place(registered)
        assert f"{listed}: it lists another content" in str(refusal.value), place.__name__
    with pytest.raises(UserError) as refusal:
        load_in_endpoint_with_key(registered)
    assert str(file) in str(refusal.value) or str(listed) in str(refusal.value)
