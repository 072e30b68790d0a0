"""The names of loaded versions."""

import dataclasses
import json
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest

from kfp_tabular.components.common.artifacts import file_digests, lineage
from kfp_tabular.components.common.artifacts.model_document import ModelInput, ModelSpec
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.serving.model import loaded_version
from kfp_tabular.serving.model.loaded_version import VersionLoader
from kfp_tabular.serving.model.model_repository import find_model_source
from kfp_tabular.serving.settings.server_settings import BatchSettings, ModelSettings


@pytest.fixture
def load():
    with ThreadPoolExecutor(1) as executor:
        loader = VersionLoader(executor, BatchSettings(), 1, lambda rows, requests: None)

        def loaded(directory):
            (found,) = find_model_source(directory).versions()
            return loader.load(found)

        yield loaded


def test_a_version_has_the_name_of_its_directory(load, model_directory):
    assert load(model_directory("binary")).version == "7"


def test_a_directory_without_a_version_is_named_by_its_content(load, model_directory, tmp_path):
    original = model_directory("binary")
    copies = [tmp_path / "models", tmp_path / "elsewhere"]
    for copy in copies:
        shutil.copytree(original, copy)
    # Other files that a publisher or a mount leaves in the directory are not part of the model.
    (copies[0] / "_complete.json").write_text("{}")

    versions = {load(copy).version for copy in copies}

    assert versions == {lineage.content_version(lineage.digest(original))}
    assert versions.pop().isdecimal()


def hanging(directory, seconds):
    """Write a model whose graph computes for some seconds, as a hanging one does for ever."""
    from kfp_tabular.components.common.process.tensorflow import import_tensorflow

    tf = import_tensorflow()

    def outputs(raw):
        end = tf.timestamp() + seconds
        turns = tf.while_loop(lambda _: tf.timestamp() < end, lambda turn: turn + 1, [0])
        value = raw["amount"] + 0.0 * tf.cast(turns[0], tf.float32)
        return {"prediction": value}

    module = tf.Module()
    spec = {"amount": tf.TensorSpec([None], tf.float32, name="amount")}
    module.raw = tf.function(outputs, input_signature=[spec])
    tf.saved_model.save(module, str(directory), signatures={"serving_default": module.raw})
    amount = ModelInput(name="amount", dtype="float32", required=True, input="amount")
    ModelSpec("regression", "y", (), None, (amount,), "sha256:0").save(directory)
    return directory


def test_a_version_that_hangs_is_given_up_and_the_next_one_is_loaded(
    tmp_path, model_directory, monkeypatch
):
    slow = hanging(tmp_path / "slow", 2.0)
    with ThreadPoolExecutor(1) as executor:
        loader = VersionLoader(
            executor,
            BatchSettings(),
            1,
            lambda rows, requests: None,
            ModelSettings(load_seconds=0.5),
        )
        (found,) = find_model_source(slow).versions()
        for _ in range(2):
            with pytest.raises(UserError, match=r"not loaded within 0.5 s \(--load-seconds\)"):
                loader.load(found)
        patient = dataclasses.replace(loader, settings=ModelSettings(load_seconds=60))
        (good,) = find_model_source(model_directory("binary")).versions()
        assert patient.load(good).version == "7"
        with pytest.raises(UserError, match="not loaded within"):
            loader.load(found)
        monkeypatch.setattr(loaded_version, "MOST_ABANDONED", 1)
        with pytest.raises(UserError, match="loads that took too long still run; restart"):
            patient.load(good)
        for thread in loader._running:
            thread.join(60)
        assert patient.load(good).version == "7"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"classes": ["no", "ja", "x"], "task": "multiclass"}, "lists 3 classes.*shape"),
        ({"classes": ["nein", "ja"]}, "a class that model.json does not list: b'no'"),
        ({"classes": ["ja", "ja"]}, "two classes have the same name"),
        ({"inputs": [], "typical_row": {}}, "describe"),
        ({"inputs": []}, "typical_row: 'amount' is not a feature of the model"),
        ({"typical_row": {"amount": [2]}}, "typical_row: expected a number or text by feature"),
        ({"decision_threshold": float("nan")}, "from 0 to 1"),
        ({"decision_threshold": 7}, "from 0 to 1"),
        ({"classes": "nj"}, "classes: expected a list"),
    ],
)
def test_a_description_that_does_not_fit_the_model_is_refused(
    load, model_directory, tmp_path, change, words
):
    shutil.copytree(model_directory("binary"), tmp_path / "models")
    file = tmp_path / "models" / "model.json"
    file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | change), "utf-8")
    file_digests.write(tmp_path / "models")
    with pytest.raises(UserError, match=words):
        load(tmp_path / "models")


def test_a_huge_description_is_not_parsed(tmp_path):
    (tmp_path / "model.json").write_bytes(b"[" * (2**24 + 1))
    with pytest.raises(UserError, match="larger than 16 MiB"):
        ModelSpec.load(tmp_path)


def test_anything_that_loading_raises_is_an_error_of_the_version(
    load, model_directory, monkeypatch
):
    def fail(*_):
        raise AttributeError("what a damaged graph\nraises")

    monkeypatch.setattr("kfp_tabular.serving.model.predictor.pack_signature", fail)
    with pytest.raises(UserError, match="cannot load this version: AttributeError: what a"):
        load(model_directory("binary"))
