"""What the documentation shows must work: links, commands, configuration and Python."""

import ast
import re
import shlex
from pathlib import Path

import pytest
import yaml
from kfp import compiler

from kfp_tabular.pipelines import configuration, parameters, spec
from kfp_tabular.pipelines.cli import cli
from kfp_tabular.pipelines.training.definition import TRAINING

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
BY_NAME = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))

FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
COMMAND = re.compile(r"^ *(?:\S*/)?kfp-tabular +([a-z][a-z-]*)((?:.*\\\n)*.*)$", re.MULTILINE)


def blocks(page: Path, language: str) -> list[str]:
    found = FENCE.findall(page.read_text(encoding="utf-8"))
    return [body for name, body in found if name == language]


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ +(.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.fixture(scope="module")
def declared() -> dict[str, str]:
    return parameters.types(TRAINING.build(configuration.PipelineConfig()).pipeline_spec)


@BY_NAME
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@BY_NAME
def test_commands_have_the_options_that_are_shown(page: Path, declared: dict[str, str]) -> None:
    for name, rest in COMMAND.findall(page.read_text(encoding="utf-8")):
        assert name in cli.commands, name
        known = {option for entry in cli.commands[name].params for option in entry.opts}
        # A synopsis has brackets and ends in dots; what comes after a pipe is another program.
        words = shlex.split(re.sub(r"[\[\]]|\.\.\.", "", rest.split("|")[0]).replace("\\\n", " "))
        for position, word in enumerate(words):
            if word.startswith("--"):
                assert word in {*known, "--help"}, f"{name} {word}"
            if position and words[position - 1] == "--param" and word != "KEY=VALUE":
                key, _, value = word.partition("=")
                parameters.convert({key: value}, declared)


@BY_NAME
def test_configuration_is_accepted(page: Path, declared: dict[str, str]) -> None:
    for block in blocks(page, "yaml"):
        document = yaml.safe_load(block)
        if isinstance(document, dict) and document.keys() & {
            "parameters",
            "images",
            "tasks",
            "registry",
        }:
            parsed = configuration.parse(document, str(page), TRAINING.tasks)
            parameters.convert(parsed.parameters, declared)
            TRAINING.build(parsed)


@BY_NAME
def test_python_is_python(page: Path) -> None:
    for block in blocks(page, "python"):
        ast.parse(block)


def test_pipelines_shown_compile(tmp_path: Path) -> None:
    shown = {
        "nightly_check": blocks(ROOT / "README.md", "python")[0],
        "churn": blocks(ROOT / "docs" / "guides" / "library.md", "python")[0],
    }
    for name, block in shown.items():
        # KFP reads a component's source from its file.
        module = tmp_path / f"{name}.py"
        code = "\n".join(line for line in block.splitlines() if "Compiler()" not in line)
        module.write_text(code, encoding="utf-8")
        namespace: dict[str, object] = {"__name__": name}
        exec(compile(code, str(module), "exec"), namespace)
        output = tmp_path / f"{name}.yaml"
        compiler.Compiler().compile(namespace[name], str(output))
        assert spec.tasks(spec.load(output))
