"""The JSON schema of a configuration accepts what the parser accepts."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from click.testing import CliRunner

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.pipelines import configuration
from kfp_tabular.pipelines.cli import cli
from kfp_tabular.pipelines.training.definition import TRAINING

ROOT = Path(__file__).parents[2]
CONFIGURATIONS = [
    *sorted((ROOT / "docs" / "examples").glob("*.yaml")),
    ROOT / "tests" / "compile" / "configured.yaml",
    ROOT / "tests" / "compile" / "locked.yaml",
]


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("schema") / "config.schema.json"
    done = CliRunner().invoke(cli, ["config-schema", "--output", str(path)], catch_exceptions=False)
    assert done.exit_code == 0
    found: dict[str, Any] = json.loads(path.read_text())
    jsonschema.Draft202012Validator.check_schema(found)
    return found


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda path: path.stem)
def test_configurations_that_work_are_valid(schema: dict[str, Any], path: Path) -> None:
    jsonschema.validate(yaml.safe_load(path.read_text()), schema)


@pytest.mark.parametrize(
    "document",
    [
        {"image": {}},
        {"images": {"tensorflo": "a:1"}},
        {"tasks": {"train_model": {}}},
        {"tasks": {"train-model": {"memry": "1G"}}},
        {"tasks": {"train-model": {"gpus": "one"}}},
        {"tasks": {"train-model": {"caching": 1}}},
        {"defaults": {"image_pull_policy": "Sometimes"}},
        {"defaults": {"secrets": [{"env": {}}]}},
        {"defaults": {"tolerations": [{"effect": "Never"}]}},
        {"workspace": {}},
        {"parameters": []},
    ],
    ids=str,
)
def test_what_the_parser_refuses_is_invalid(schema: dict[str, Any], document: Any) -> None:
    with pytest.raises(UserError):
        configuration.parse(document, "a.yaml", TRAINING.tasks)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, schema)


@pytest.mark.parametrize("key", ["parameters", "locked"])
@pytest.mark.parametrize("values", [{"epoch": 3}, {"epochs": []}])
def test_parameters_are_those_of_the_pipeline(
    schema: dict[str, Any], key: str, values: dict[str, Any]
) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({key: values}, schema)


def test_every_key_is_described(schema: dict[str, Any]) -> None:
    for properties in (schema["properties"], schema["$defs"]["task"]["properties"]):
        assert all(entry["description"] for entry in properties.values())
    epochs = schema["properties"]["parameters"]["properties"]["epochs"]
    assert epochs["default"] == 0
    assert "over the train split" in epochs["description"]
