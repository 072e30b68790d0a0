"""The page on private seams names every module and package that a contract test names."""

import ast
import importlib.metadata
import re
from pathlib import Path

import pytest

from tests.private_seams import seam

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "private-seams.md"
TESTS = sorted(ROOT.glob("tests/**/test_private_seams.py"))


@pytest.mark.parametrize("file", TESTS, ids=lambda file: str(file.relative_to(ROOT)))
def test_the_page_links_the_test_and_names_its_modules(file: Path) -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert f"({Path('..') / file.relative_to(ROOT)})" in page
    tree = ast.parse(file.read_text(encoding="utf-8"))
    constants = {
        node.targets[0].id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Constant)
    }
    users = [
        constants[keyword.value.id]
        if isinstance(keyword.value, ast.Name)
        else ast.literal_eval(keyword.value)
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "seam"
        for keyword in call.keywords
    ]
    assert users
    for user in users:
        assert str(user).split(" and ")[0] in page, user


def test_every_module_on_the_page_exists() -> None:
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = line.split("|")
        if len(cells) != 5 or "`" not in cells[2]:
            continue
        named = [part for part in cells[2].split("`")[1::2] if "/" in part]
        assert named, line
        for path in named:
            assert (ROOT / path).exists(), path


def test_a_change_is_reported_with_the_package_and_its_version() -> None:
    version = importlib.metadata.version("kfp")
    expected = rf"kfp {re.escape(version)} changed `_x`, which a.py relies on.*AttributeError"
    with pytest.raises(pytest.fail.Exception, match=expected), seam("kfp", "`_x`", user="a.py"):
        raise AttributeError("_x")
    silent = f"kfp {re.escape(version)}.*DID NOT RAISE"
    with (
        pytest.raises(pytest.fail.Exception, match=silent),
        seam("kfp", "`_x`", user="a.py"),
        pytest.raises(KeyError),
    ):
        pass
