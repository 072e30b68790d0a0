"""The parameters of a pipeline, for people and for scripts."""

import json

from click.testing import CliRunner

from kfp_tabular.pipelines.cli import cli


def params(*arguments: str) -> str:
    result = CliRunner().invoke(cli, ["params", *arguments], catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def test_each_parameter_has_its_type_default_and_meaning() -> None:
    listed = params()

    assert listed.startswith("data_uri  (text, required)\n    A file, a directory")
    assert "\nepochs  (integer, 0)\n" in listed
    assert '\nsplit_fractions  (mapping, {"train": 0.7, "eval": 0.15, "test": 0.15})\n' in listed


def test_scripts_get_json() -> None:
    listed = json.loads(params("--pipeline", "validation", "--json"))

    by_name = {entry["name"]: entry for entry in listed}
    assert list(by_name)[:2] == ["data_uri", "schema_uri"]
    assert by_name["schema_uri"]["required"]
    assert by_name["fail_on"]["default"] == "error"
    assert by_name["fail_on"]["type"] == "text"
    assert all(entry["meaning"] for entry in listed)
