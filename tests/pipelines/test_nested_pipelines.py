"""Pipelines in pipelines: what the configuration does not reach there is said."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from kfp_tabular.pipelines.cli import cli

PIPELINES = """
from kfp import dsl

from kfp_tabular.components import ingest_data


@dsl.component(base_image="python:3.11")
def say(text: str) -> str:
    return text


@dsl.pipeline(name="inner")
def inner(data_uri: str):
    ingest_data(data_uri=data_uri)


@dsl.pipeline(name="plain")
def plain(text: str):
    say(text=text)


@dsl.pipeline(name="outer")
def outer(data_uri: str):
    plain(text=data_uri)
    ingest_data(data_uri=data_uri)
    inner(data_uri=data_uri)
"""

WARNING = (
    "inner is a nested pipeline: registry, tag, images and defaults of the configuration do not "
    "reach the tasks in it. Set their images and resources in its function."
)


@pytest.mark.parametrize(
    ("document", "warnings"),
    [
        ("registry: registry.example.com/ml", [WARNING]),
        ("defaults: {volumes: [{claim: a, mount_path: /a, prepare: true}]}", [WARNING]),
        ("images: {tensorflow: registry.example.com/ml/tensorflow:1.0}", [WARNING]),
        ("tasks: {ingest-data: {memory: 8G}}", []),
        ("keep_finished: 7d", []),
    ],
)
def test_what_does_not_reach_the_tasks_of_a_nested_pipeline_is_said(
    document: str, warnings: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, config = tmp_path / "nested.py", tmp_path / "cluster.yaml"
    path.write_text(PIPELINES)
    config.write_text(document)
    arguments = ["--pipeline", f"{path}:outer", "--config", str(config)]

    result = CliRunner().invoke(cli, ["compile", *arguments, "--output", str(tmp_path / "a.yaml")])

    assert result.exit_code == 0
    assert caplog.messages == warnings


def test_settings_of_a_nested_task_are_refused_with_the_way_out(tmp_path: Path) -> None:
    path, config = tmp_path / "only.py", tmp_path / "cluster.yaml"
    path.write_text(PIPELINES.replace("    ingest_data(data_uri=data_uri)\n    inner", "    inner"))
    config.write_text("tasks: {ingest-data: {memory: 8G}}")
    arguments = ["--pipeline", f"{path}:outer", "--config", str(config)]

    result = CliRunner().invoke(
        cli, ["compile", *arguments, "--output", "a.yaml"], standalone_mode=False
    )

    assert "those in nested pipelines, in the pipeline's function" in str(result.exception)
