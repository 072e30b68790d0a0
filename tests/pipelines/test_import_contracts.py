"""The import contracts of pyproject.toml fail when an arrow is turned."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINT_IMPORTS = ROOT / ".venvs" / "tools" / "bin" / "lint-imports"
PARTS = ("components", "pipelines", "serving")

TURNED = [
    ("components/common/errors.py", "kfp_tabular.components.training.component"),
    ("components/common/errors.py", "kfp_tabular.components.common.storage"),
    ("components/training/__init__.py", "kfp_tabular.components.tuning"),
    ("components/data_ingestion/__init__.py", "kfp_tabular.components.data_ingestion.component"),
    ("components/evaluation/__init__.py", "kfp_tabular.pipelines"),
    ("components/deployment/__init__.py", "kfp"),
    ("serving/__init__.py", "kfp_tabular.components.training"),
    ("serving/__init__.py", "kfp_tabular.pipelines"),
    ("serving/protocol/__init__.py", "kfp_tabular.serving.http"),
    ("components/common/html/__init__.py", "kfp_tabular.components.common.kubernetes"),
    ("components/training/input/__init__.py", "kfp_tabular.components.training.worker"),
    ("components/tuning/search/__init__.py", "kfp_tabular.components.tuning.katib"),
    ("components/evaluation/metrics/__init__.py", "kfp_tabular.components.evaluation.report"),
    ("components/deployment/local/__init__.py", "kfp_tabular.components.deployment.kserve"),
    (
        "components/data_ingestion/readers/__init__.py",
        "kfp_tabular.components.data_ingestion.splits",
    ),
    ("pipelines/registry.py", "kfp_tabular.pipelines.kubeflow"),
]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package's sources, in the package's shape, with the contracts beside it."""
    root = tmp_path_factory.mktemp("tree")
    for part in PARTS:
        ignored = shutil.ignore_patterns("__pycache__", "*.txt", "*.in")
        shutil.copytree(ROOT / part, root / "kfp_tabular" / part, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", root)
    return root


def _lint(tree: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [LINT_IMPORTS, "--no-cache"],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_contracts_hold(tree: Path) -> None:
    done = _lint(tree)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("module", "imported"), TURNED)
def test_a_turned_arrow_breaks_a_contract(tree: Path, module: str, imported: str) -> None:
    path = tree / "kfp_tabular" / module
    before = path.read_text(encoding="utf-8")
    path.write_text(f"{before}\n\nimport {imported}\n", encoding="utf-8")
    try:
        done = _lint(tree)
    finally:
        path.write_text(before, encoding="utf-8")

    assert done.returncode == 1, done.stdout
    assert "BROKEN" in done.stdout
