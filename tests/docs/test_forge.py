"""GitHub's files are valid, and call commands that exist."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docs import checks
from tests.docs.pages import ROOT, Block

FORGE = ROOT / ".github"
WORKFLOWS = sorted((FORGE / "workflows").glob("*.yml"))
BY_NAME = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)


def load(path: Path) -> dict[str, Any]:
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    # YAML 1.1 reads the key `on` as true.
    return {"on" if key is True else key: value for key, value in found.items()}


def steps(workflow: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for job in workflow["jobs"].values():
        yield from job["steps"]


def suites() -> set[str]:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^SUITES := (.*)$", makefile, re.MULTILINE)[0].split())


@BY_NAME
def test_jobs_have_limits_and_least_rights(path: Path) -> None:
    workflow = load(path)

    assert workflow["permissions"] == {"contents": "read"}
    assert {"name", "on", "jobs"} <= workflow.keys()
    for name, job in workflow["jobs"].items():
        assert 0 < job["timeout-minutes"] <= 120, name
        assert set(job.get("needs", "").split()) <= workflow["jobs"].keys()
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step), step


@BY_NAME
def test_commands_are_accepted(path: Path) -> None:
    for step in steps(load(path)):
        for line in step.get("run", "").splitlines():
            if line.startswith("make "):
                code = re.sub(r"-\$\{\{ matrix\.suite \}\}", "-author", line)
                assert not checks.problems(Block(path.name, 1, "sh", code)), line


@BY_NAME
def test_actions_name_a_version(path: Path) -> None:
    for step in steps(load(path)):
        if "uses" in step:
            assert re.fullmatch(r"[\w./-]+@(v\d+|release/v\d+)", step["uses"])


def test_every_suite_and_every_image_has_its_job() -> None:
    jobs = load(FORGE / "workflows/ci.yml")["jobs"]
    release = (FORGE / "workflows/release.yml").read_text(encoding="utf-8")
    build = (ROOT / "components/images/build.sh").read_text(encoding="utf-8")
    images = re.findall(r"for name in \$\{\*:-(.*)\};", build)[0].split()

    assert set(jobs["test"]["strategy"]["matrix"]["suite"]) == suites()
    assert {"check", "test", "images"} <= jobs.keys()
    assert re.findall(r"for image in (.*); do", release)[0].split() == images


@pytest.mark.parametrize("name", ["bug.yml", "feature.yml"])
def test_issue_forms_have_what_the_forge_requires(name: str) -> None:
    form = load(FORGE / "ISSUE_TEMPLATE" / name)

    assert {"name", "description", "body"} <= form.keys()
    identifiers = [entry["id"] for entry in form["body"] if entry["type"] != "markdown"]
    assert len(identifiers) == len(set(identifiers)) > 0
    for entry in form["body"]:
        assert entry["type"] in ("markdown", "textarea", "input", "dropdown", "checkboxes")
        assert ("value" if entry["type"] == "markdown" else "label") in entry["attributes"]
