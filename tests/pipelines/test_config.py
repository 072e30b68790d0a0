"""The compile-time configuration."""

from pathlib import Path

import pytest

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.pipelines.training import config

COMPLETE = """
images: {tfdv: "registry.local:5000/tfdv@sha256:abc"}
resources:
  train-model: {cpu: 4, memory: 16G, gpus: 1, retries: 2, caching: false}
parameters: {epochs: 3, exclude: [tips]}
"""


def test_a_complete_configuration(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(COMPLETE)

    loaded = config.load(path)

    assert loaded.image("validate-data") == "registry.local:5000/tfdv@sha256:abc"
    assert loaded.image("train-model") == config.IMAGES["tensorflow"]
    assert loaded.resources["train-model"] == config.Resources("4", "16G", 1, 2, False)
    assert loaded.parameters == {"epochs": 3, "exclude": ["tips"]}


def test_an_empty_file_is_all_defaults(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.touch()

    assert config.load(path) == config.PipelineConfig()


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"image": {}}, "unknown key 'image'. Did you mean 'images'"),
        ({"images": {"tensorflo": "x"}}, "images: unknown key 'tensorflo'. Did you mean"),
        ({"images": {"tfdv": 3}}, "images.tfdv: expected an image reference"),
        ({"resources": {"train_model": {}}}, "Did you mean 'train-model'"),
        ({"resources": {"train-model": {"mem": "1G"}}}, "resources.train-model: unknown key 'mem'"),
        ({"resources": {"train-model": {"gpus": "one"}}}, "train-model.gpus: expected int"),
        ({"resources": {"train-model": {"caching": 1}}}, "caching: expected bool"),
        ({"parameters": []}, "parameters: expected keys and values, found list"),
        ([], "expected keys and values, found list"),
    ],
)
def test_a_wrong_key_is_named(document: object, message: str) -> None:
    with pytest.raises(UserError) as caught:
        config.parse(document, "run.yaml")

    assert message in str(caught.value)
    assert str(caught.value).startswith("run.yaml")


@pytest.mark.parametrize("content", ["a: [", "\x00"])
def test_what_is_not_yaml_is_said(tmp_path: Path, content: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(content)

    with pytest.raises(UserError, match="not YAML"):
        config.load(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere.yaml: cannot be read"):
        config.load(tmp_path / "nowhere.yaml")
