"""Every block of code that a page shows is checked, and executed where that needs no cluster."""

from pathlib import Path

import pytest

from tests.docs import checks, commands
from tests.docs.pages import ROOT, Block, load
from tests.docs.sandbox import FinishedRun, Sandbox

PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    "RELEASING.md",
    "SECURITY.md",
    "docs/architecture.md",
    "docs/benchmarks.md",
    *sorted(f"docs/guides/{path.name}" for path in (ROOT / "docs/guides").glob("*.md")),
]
PAGES = [name for name in PAGES if (ROOT / name).exists()]
BY_PAGE = pytest.mark.parametrize("name", PAGES)
LOCAL = frozenset({"my_company", "trips"})
"""Modules that pages define, for the reader's own project."""


def python_blocks(name: str) -> list[Block]:
    return [block for block in load(name).blocks if block.language == "python"]


@BY_PAGE
def test_blocks_say_what_they_are(name: str) -> None:
    assert not load(name).faults


@BY_PAGE
def test_commands_and_documents_are_accepted(name: str) -> None:
    faults = [
        f"{block.name}: {problem}"
        for block in load(name).blocks
        for problem in checks.problems(block)
    ]
    assert not faults, "\n".join(faults)


@BY_PAGE
def test_commands_within_sentences_are_accepted(name: str) -> None:
    faults = [
        f"{name}:{line}: `{code}`: {problem}"
        for line, code in load(name).inline
        for problem in commands.inline_problems(code)
    ]
    assert not faults, "\n".join(faults)


def test_python_imports_and_calls_what_there_is() -> None:
    blocks = [block for name in PAGES for block in python_blocks(name)]
    found = checks.python_problems(blocks, LOCAL)
    faults = [
        f"{block.name}: {problem}"
        for block, problems in zip(blocks, found, strict=True)
        for problem in problems
    ]
    assert not faults, "\n".join(faults)


@pytest.mark.timeout(1200)
@BY_PAGE
def test_blocks_run(
    name: str, assets: Path, finished: dict[str, FinishedRun], venvs: Path, tmp_path: Path
) -> None:
    sandbox = Sandbox.make(tmp_path / "sandbox", assets, finished, venvs)
    try:
        sandbox.run_page(load(name))
    finally:
        sandbox.close()
