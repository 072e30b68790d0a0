"""Files, modules and other names that the pages mention exist."""

import ast
import re
from pathlib import Path

import pytest
import yaml

from tests.docs.pages import ROOT, load
from tests.docs.test_blocks import PAGES

PATH = re.compile(
    r"(?:components|pipelines|serving|manifests|tests|docs|\.github|\.ci)(?:/[\w.*-]+)+/?"
)
DOTTED = re.compile(r"kfp_tabular(?:\.\w+)+")


def exists(path: str) -> bool:
    return (ROOT / path).exists() or any(ROOT.glob(path.rstrip("/")))


def defined(dotted: str) -> bool:
    """Whether a dotted name is a module, or a name that a module defines or imports."""
    parts = dotted.split(".")[1:]
    for length in range(len(parts), 0, -1):
        folder = ROOT.joinpath(*parts[:length])
        module = folder.with_suffix(".py")
        file = module if module.is_file() else folder / "__init__.py"
        if file.is_file():
            rest = parts[length:]
            return not rest or rest[0] in _names(file)
    return False


def _names(file: Path) -> set[str]:
    found: set[str] = set()
    tree = ast.parse(file.read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    for node in [*tree.body, *imports]:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ImportFrom | ast.Import):
            found |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
    return found


@pytest.mark.parametrize("name", PAGES)
def test_paths_and_modules_exist(name: str) -> None:
    missing = []
    for line, code in load(name).inline:
        for word in code.split():
            if (PATH.fullmatch(word) and not exists(word)) or (
                DOTTED.fullmatch(word) and not defined(word)
            ):
                missing.append(f"{name}:{line}: {word}")
    assert not missing, "\n".join(missing)


def test_a_wrong_name_is_found() -> None:
    assert exists("components/training/component.py")
    assert not exists("components/training/components.py")
    assert defined("kfp_tabular.components.train_model")
    assert defined("kfp_tabular.pipelines.cli.main")
    assert not defined("kfp_tabular.components.train_models")
    assert not defined("kfp_tabular.pipelines.clis")


def test_panels_that_the_runbook_names_are_on_the_dashboard() -> None:
    dashboards = (ROOT / "manifests/serving").rglob("*dashboard*")
    text = "".join(path.read_text(encoding="utf-8") for path in dashboards if path.is_file())
    titles = set(re.findall(r'"title": "([^"]+)"', text))
    named = set(re.findall(r"(?<!\*)\*([A-Z][^*]+)\*(?!\*)", load("docs/guides/runbook.md").text))

    assert named <= titles | {"kfp-tabular endpoints"}


def test_alerts_and_runbook_agree() -> None:
    rules = yaml.safe_load(
        (ROOT / "manifests/serving/monitoring/alerts.yaml").read_text(encoding="utf-8")
    )
    alerts = {
        rule["alert"]
        for group in rules["spec"]["groups"]
        for rule in group["rules"]
        if "alert" in rule
    }
    described = set(re.findall(r"`(KfpTabular\w+)`", load("docs/guides/runbook.md").text))

    assert described == alerts


FOREIGN = ("OOMKilled", "Unschedulable", "ImagePullBackOff")
"""Messages of Kubernetes, not ours."""


def quoted_messages(text: str) -> list[str]:
    """Return the code in the first column of tables about messages."""
    found = []
    for table in re.split(r"\n\s*\n", text):
        header, *rows = table.strip().splitlines()
        if re.match(r"\| (message|what you see) \|", header):
            first = [row.split("|")[1] for row in rows[1:]]
            found += [code for cell in first for code in re.findall(r"`([^`]+)`", cell)]
    return found


def test_messages_that_pages_quote_are_in_the_code() -> None:
    strings = [
        node.value
        for folder in ("components", "pipelines", "serving")
        for file in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    corpus = "\n".join(strings)
    messages = [message for name in PAGES for message in quoted_messages(load(name).text)]
    assert len(messages) > 5
    for message in messages:
        if message.startswith(FOREIGN):
            continue
        # Names, numbers and what is left out vary.
        parts = re.split(r"\.\.\.|'[^']*'|\d+", message)
        for part in parts:
            assert len(part.strip()) < 12 or part.strip() in corpus, message
