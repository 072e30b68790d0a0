"""An image can be given by digest, with and without a tag, wherever an image is named."""

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.training_job.job_settings import JobSettings
from kfp_tabular.components.deployment.kserve.resources.service_settings import ServiceSettings
from kfp_tabular.pipelines import configuration, registry, spec
from kfp_tabular.pipelines.cli import cli
from kfp_tabular.pipelines.compile import compile_text
from kfp_tabular.pipelines.environments.location import image_name
from kfp_tabular.pipelines.local.containers.engine import Container, Engine

DIGEST = f"sha256:{'0123456789abcdef' * 4}"
REPOSITORY = "registry.example.com:5000/ml/tensorflow"
FORMS = [f"{REPOSITORY}@{DIGEST}", f"{REPOSITORY}:1.4.0@{DIGEST}"]
BAD_FORMS = [
    f"{REPOSITORY}@sha256:0123",
    f"{REPOSITORY}@{DIGEST}0",
    f"{REPOSITORY}@{DIGEST.upper()}",
    f"{REPOSITORY}@md5:{'0' * 32}",
    f"{REPOSITORY}@{DIGEST}:1.4.0",
    # Not an image named sha256 on Docker Hub: a digest that was cut when it was copied.
    "sha256:0123456789ab",
    "sha512:0123456789ab",
    f"{DIGEST}@{DIGEST}",
]

OWN_PIPELINE = """
from kfp import dsl

from kfp_tabular.components import ingest_data


@dsl.pipeline(name="own")
def own(data_uri: str):
    ingest_data(data_uri=data_uri).set_container_image("IMAGE")
"""


def compiled(document: object, pipeline: str = "training") -> dict[str, str]:
    definition = registry.find(pipeline)
    config = configuration.parse(document, "a.yaml", definition.tasks)
    return spec.tasks(spec.parse(compile_text(definition, config)))


@pytest.mark.parametrize("image", FORMS)
def test_in_the_configuration(image: str) -> None:
    assert compiled({"images": {"tensorflow": image}})["ingest-data"] == image
    assert compiled({"tasks": {"train-model": {"image": image}}})["train-model"] == image
    assert compiled({"defaults": {"image": image}})["validate-data"] == image


def test_a_digest_alone_takes_the_place_of_the_tag() -> None:
    document = {
        "registry": "registry.example.com/ml",
        "tag": "1.4.0",
        "images": {"tfdv": DIGEST, "launcher": DIGEST},
        "tasks": {"train-model": {"image": "launcher"}},
    }

    found = compiled(document)

    assert found["validate-data"] == f"registry.example.com/ml/tfdv@{DIGEST}"
    assert found["train-model"] == f"registry.example.com/ml/launcher@{DIGEST}"
    assert found["ingest-data"] == "registry.example.com/ml/tensorflow:1.4.0"
    assert compiled({"images": {"tfdv": DIGEST}})["validate-data"] == (
        f"ghcr.io/kfp-tabular/tfdv@{DIGEST}"
    )


@pytest.mark.parametrize("image", FORMS)
def test_in_a_pipeline_of_ones_own(image: str, tmp_path: Path) -> None:
    path = tmp_path / "own.py"
    path.write_text(OWN_PIPELINE.replace("IMAGE", image))

    assert compiled({}, f"{path}:own")["ingest-data"] == image


@pytest.mark.parametrize("image", BAD_FORMS)
def test_what_no_runtime_would_take_is_refused(image: str) -> None:
    for document in ({"images": {"tfdv": image}}, {"tasks": {"train-model": {"image": image}}}):
        with pytest.raises(UserError, match="expected an image reference"):
            configuration.parse(document, "a.yaml", ["train-model"])
    for settings in (JobSettings, ServiceSettings):
        with pytest.raises(UserError, match="expected an image reference"):
            settings.parse({"image": image})


def test_a_digest_alone_is_for_images_that_have_a_name() -> None:
    for document in (
        {"defaults": {"image": DIGEST}},
        {"tasks": {"train-model": {"image": DIGEST}}},
    ):
        with pytest.raises(UserError, match="alone it is for 'images'"):
            configuration.parse(document, "a.yaml", ["train-model"])
    for settings in (JobSettings, ServiceSettings):
        with pytest.raises(UserError, match="expected an image reference"):
            settings.parse({"image": DIGEST})


@pytest.mark.parametrize("tag", [DIGEST, f"1.4.0@{DIGEST}", f"@{DIGEST}"])
def test_a_tag_is_that_of_all_images_and_holds_no_digest(tag: str) -> None:
    with pytest.raises(UserError, match="a.yaml.tag: expected a tag such as 1.0; a digest belongs"):
        configuration.parse({"tag": tag}, "a.yaml", [])


@pytest.mark.parametrize("image", FORMS)
@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        ("tfjob", {"training_job": {"image": "IMAGE"}}),
        ("trainjob", {"training_job": {"image": "IMAGE"}}),
        ("experiment", {"trial_job": {"image": "IMAGE"}, "max_trials": 3}),
        ("inference-service", {"service": {"image": "IMAGE"}}),
    ],
)
def test_in_the_documents_of_jobs_and_endpoints(
    kind: str, parameters: dict[str, object], image: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.yaml"
    document = {"parameters": {**parameters, "task": "binary"}}
    path.write_text(yaml.safe_dump(document).replace("IMAGE", image))

    shown = CliRunner().invoke(cli, ["render", kind, "--config", str(path)], catch_exceptions=False)

    assert f"image: {image}\n" in shown.output


@pytest.mark.parametrize("image", FORMS)
def test_its_virtual_environment_is_found(image: str) -> None:
    assert image_name(image) == "tensorflow"


@pytest.mark.parametrize("image", FORMS)
def test_a_container_engine_gets_the_digest_alone(image: str, tmp_path: Path) -> None:
    """podman and docker differ in what they take beside a digest."""
    calls = tmp_path / "calls"
    program = tmp_path / "docker"
    program.write_text(f'#!/bin/sh\necho "$@" >> {calls}\ntest "$1" = pull\n')
    program.chmod(0o755)
    engine = Engine(str(program))

    engine.require(image)

    by_digest = f"{REPOSITORY}@{DIGEST}"
    assert calls.read_text().splitlines() == [
        f"image inspect {by_digest}",
        f"pull --quiet {by_digest}",
    ]
    container = Container("task", image, ["python3", "-m", "x"], user="1:1")
    assert engine.command(container)[-3:] == [by_digest, "-m", "x"]
