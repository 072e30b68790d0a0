"""A real MLflow store in a file, and small models that are registered in it."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kfp_tabular.components.common import files
from kfp_tabular.components.common.artifacts import file_digests, lineage
from kfp_tabular.components.common.registry import (
    ModelVersion,
    Registry,
    VersionDraft,
    open_registry,
)
from kfp_tabular.components.common.registry.port import CHALLENGER
from tests.components.common.registry import model_registry_server


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a store once: its tables take a second."""
    file = tmp_path_factory.mktemp("store") / "mlflow.db"
    registry = open_registry(f"sqlite:///{file}")
    assert registry is not None
    assert not registry.names()
    return file


@pytest.fixture(params=["mlflow", "kubeflow"])
def registry(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Registry]:
    """Each of the two registries: MLflow's store in a file, and Kubeflow's over HTTP."""
    if request.param == "kubeflow":
        with model_registry_server.running() as address:
            found = open_registry(address)
            assert found is not None
            yield found
        return
    file = tmp_path / "store" / "mlflow.db"
    file.parent.mkdir()
    shutil.copyfile(request.getfixturevalue("empty_store"), file)
    found = open_registry(f"sqlite:///{file}")
    assert found is not None
    yield found


def write_model(folder: Path, text: str) -> Path:
    files.write_text(folder / "model.json", f'{{"label": "{text}"}}')
    files.write_text(folder / "saved_model.pb", text)
    files.write_text(folder / "variables" / "variables.data-00000-of-00001", f"weights {text}")
    files.write_text(folder / "assets" / "vocabulary_city", "Bern\nBasel\n")
    file_digests.write(folder)
    return folder


@pytest.fixture
def registered(registry: Registry, tmp_path: Path) -> Callable[..., ModelVersion]:
    """Register a small model, as register_model does."""

    def register(text: str = "a", name: str = "taxi", expects: str = "") -> ModelVersion:
        model = write_model(tmp_path / f"model-{text}", text)
        documents = tmp_path / f"documents-{text}"
        files.write_text(documents / "MLmodel", "flavors: {}\n")
        draft = VersionDraft(
            lineage.digest(model), str(model), documents, {"expects": expects, "task": "binary"}
        )
        made = registry.add(name, draft)
        registry.point(name, CHALLENGER, made.version)
        return made

    return register
