"""Predictions of a registered model: which version it was, and bytes that do not match."""

import shutil
from pathlib import Path

import pytest

from kfp_tabular.components.common.artifacts import file_digests, lineage
from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.registry import (
    Registry,
    VersionDraft,
    open_registry,
    promotion,
)
from tests.components.batch_prediction.conftest import predicted


@pytest.fixture
def uri(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/store/mlflow.db"


@pytest.fixture
def registry(uri: str) -> Registry:
    found = open_registry(uri)
    assert found is not None
    return found


@pytest.fixture
def registered(tmp_path: Path, model: Path, registry: Registry) -> Path:
    """The directory of version 1 of `homes`, which is its champion."""
    directory = tmp_path / "registered"
    shutil.copytree(model, directory)
    file_digests.write(directory)
    documents = tmp_path / "documents"
    documents.mkdir()
    (documents / "golden.json").write_text("{}")
    draft = VersionDraft(lineage.digest(directory), str(directory), documents)
    version = registry.add("homes", draft)
    with promotion.rollout(registry, version, None, {}):
        pass
    return directory


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data.csv"
    path.write_text("id,amount,kind,rooms,sold on\n7,1.5,flat,3,31/12/2023\n")
    return path


@pytest.mark.parametrize("named", ["models:/homes@champion", "models:/homes/1"])
def test_predictions_name_the_version(
    tmp_path: Path, registered: Path, data: Path, uri: str, named: str
) -> None:
    found = predicted(data, named, tmp_path, tracking_uri=uri)

    (row,) = found["rows"]
    digest = lineage.digest(registered)
    assert (row["model_name"], row["model_version"]) == ("homes", "1")
    assert row["model_digest"] == digest
    assert row["prediction"] in ("no", "yes")
    recorded = lineage.read(tmp_path / "predictions")
    assert recorded["model"] == {"name": "homes", "version": "1", "digest": digest}
    assert "homes 1" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize(
    "name", ["model.json", "schema.pbtxt", "variables/variables.data-00000-of-00001"]
)
def test_a_flipped_byte_is_refused_with_the_file(
    tmp_path: Path, registered: Path, data: Path, uri: str, name: str
) -> None:
    content = bytearray((registered / name).read_bytes())
    content[len(content) // 2] ^= 1
    (registered / name).write_bytes(content)

    with pytest.raises(UserError, match=f"{registered}/{name}: its SHA-256 is not") as refusal:
        predicted(data, "models:/homes@champion", tmp_path, tracking_uri=uri)

    assert "\n" not in str(refusal.value)
    assert not (tmp_path / "predictions").exists()


@pytest.mark.parametrize(
    ("named", "reason"),
    [
        ("models:/homes@chalenger", "has no alias 'chalenger'; it has champion. .*challenger"),
        ("models:/homes/4", "models:/homes/4: no such version; homes has 1."),
        ("models:/home@champion", "home is not registered in sqlite.*Did you mean 'homes'"),
        ("models:/home/1", "home: not a registered model"),
        ("models:/homes", "expected models:/NAME@champion"),
    ],
)
@pytest.mark.usefixtures("registered")
def test_what_is_not_registered_is_one_line(
    tmp_path: Path, data: Path, uri: str, named: str, reason: str
) -> None:
    with pytest.raises(UserError, match=reason) as refusal:
        predicted(data, named, tmp_path, tracking_uri=uri)
    assert "\n" not in str(refusal.value)


def test_without_a_registry_it_says_how_to_name_one(tmp_path: Path, data: Path) -> None:
    with pytest.raises(UserError, match="no registry is in use here. Name one"):
        predicted(data, "models:/homes@champion", tmp_path, tracking_uri="none")


@pytest.mark.usefixtures("registered")
def test_another_attempt_with_another_address_goes_on(
    tmp_path: Path, data: Path, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The digest tells models from others, not how the registry is reached."""
    named = "models:/homes@champion"
    first = predicted(data, named, tmp_path / "a", tracking_uri=uri)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    second = predicted(data, named, tmp_path / "b")
    assert first["rows"] == second["rows"]
    shards = [Examples(tmp_path / it / "predictions").shards["predictions"] for it in "ab"]
    assert len(shards[0]) == len(shards[1]) == 1
