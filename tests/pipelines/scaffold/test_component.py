"""A new component in a copy of the tree passes what `make check` runs, and its own tests."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.pipelines.scaffold import component, registrations

ROOT = Path(__file__).parents[3]
VENVS = ROOT / ".venvs"
PARTS = ("components", "pipelines", "serving")

LONG = "compute_differential_statistics_of_all"
FOLDER = "differential_statistics_of_all_compute"


class Clone:
    """A copy of the tree whose package is the one that Python imports."""

    def __init__(self, folder: Path) -> None:
        self.root = folder
        listed = subprocess.run(
            ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
        )
        for path in listed.stdout.splitlines():
            if (ROOT / path).is_file():
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / path, folder / path)
        (folder / ".venvs").symlink_to(VENVS)
        # import-linter and mypy take the parts alone, Python takes the package around them, too.
        self.parts, self.package = folder / "build" / "parts", folder / "build" / "package"
        for tree in (self.parts, self.package):
            (tree / "kfp_tabular").mkdir(parents=True)
            for part in PARTS:
                (tree / "kfp_tabular" / part).symlink_to(folder / part)
        root = self.package / "kfp_tabular" / "__init__.py"
        root.symlink_to(folder / "pipelines" / "package" / "__init__.py")

    def call(self, *command: str | Path) -> str:
        words = [str(word) for word in command]
        tree = self.package if command[0] == sys.executable else self.parts
        environment = {**os.environ, "PYTHONPATH": str(tree), "MYPYPATH": str(tree)}
        done = subprocess.run(
            words, cwd=self.root, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def python(self, *arguments: str | Path) -> str:
        return self.call(sys.executable, *arguments)

    def create(self, *arguments: str) -> str:
        program = "from kfp_tabular.pipelines.cli import main; main()"
        return self.python("-c", program, "new", "component", *arguments)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    made = Clone(tmp_path_factory.mktemp("clone"))
    listed = made.create("count_rows", "--folder", "row_counts")
    assert listed.splitlines()[:2] == [
        "components/row_counts/__init__.py",
        "components/row_counts/component.py",
    ]
    made.create(LONG, "--image", "launcher", "--category", "evaluation", "--description", "Counts")
    made.create("check_skew", "--folder", "skew_checks", "--image", "tfdv")
    return made


def test_the_new_components_pass_ruff(clone: Clone) -> None:
    clone.call(VENVS / "tools" / "bin" / "ruff", "check", ".")
    clone.call(VENVS / "tools" / "bin" / "ruff", "format", "--check", ".")


def test_the_new_components_keep_the_import_contracts(clone: Clone) -> None:
    clone.call(VENVS / "tools" / "bin" / "lint-imports", "--no-cache")


def test_the_new_components_are_typed(clone: Clone) -> None:
    clone.call(
        *(VENVS / "tools" / "bin" / "mypy", "--config-file", "pyproject.toml"),
        *("--python-executable", sys.executable),
        *("-p", "kfp_tabular.components.row_counts", "-p", f"kfp_tabular.components.{FOLDER}"),
    )


def test_the_pages_of_the_new_components_are_written(clone: Clone) -> None:
    clone.python("-m", "kfp_tabular.pipelines.catalog", "--check")

    assert (clone.root / "components" / "row_counts" / "README.md").is_file()
    assert "count_rows" in (clone.root / "docs" / "components" / "README.md").read_text()


def test_the_new_components_pass_the_tests_about_components(clone: Clone) -> None:
    clone.python(
        *("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/pipelines/test_packaging.py"),
        *("tests/pipelines/test_options.py", "tests/pipelines/test_registry.py"),
        "tests/compile/test_compile.py::test_every_component_compiles_alone",
        *("tests/components/row_counts", f"tests/components/{FOLDER}"),
    )


@pytest.mark.parametrize(
    ("name", "folder", "message"),
    [
        ("train_model", "again", "'train_model' exists already, in components/training"),
        ("counting", "counting", "expected a verb and its object"),
        ("count-rows", "rows", "such as count_rows"),
        ("count_rows", "a-b", "--folder 'a-b': expected a Python package name"),
        ("count_rows", "count_rows", "is a component's name, which the folder would hide"),
        ("count_rows", "training", "components/training exists; choose another --folder"),
    ],
)
def test_what_cannot_be_added_is_said(name: str, folder: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        component.create(component.NewComponent(name, folder), ROOT)


@pytest.mark.parametrize("path", registrations.EDITS, ids=str)
def test_a_file_that_looks_otherwise_is_left_to_people(path: Path) -> None:
    with pytest.raises(UserError, match="add the component by hand"):
        registrations.EDITS[path]("something = 'else'\n", "count_rows", "row_counts")


def test_the_tests_of_a_new_component_run_in_the_environment_of_its_image(clone: Clone) -> None:
    folder = "tests/components/skew_checks"

    printed = clone.call("make", "-n", "-o", "setup", "test-one", f"T={folder}")

    assert f"{folder}=tfdv" in printed
    assert f"tests/components/{FOLDER}=launcher" in printed
    clone.call(VENVS / "tfdv" / "bin" / "python", "-m", "pytest", "-q", folder)


def test_the_suite_of_an_image_grows_by_the_folder() -> None:
    text = "TESTS_tfdv := tests/a \\\n\ttests/b\nTESTS_serving := tests/c\n"

    assert registrations.add_suite(text, "skew_checks", "tfdv") == text.replace(
        "tests/b", "tests/b $(COMPONENT_TESTS)/skew_checks"
    )
    assert registrations.add_suite(text, "skew_checks", "tensorflow") == text
    with pytest.raises(UserError, match="Makefile: the tests of launcher"):
        registrations.add_suite(text, "skew_checks", "launcher")
