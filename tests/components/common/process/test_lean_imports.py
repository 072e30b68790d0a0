"""Imports that leave out what a task does not use, each in a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = {
    "__init__.py": "from large.slow import unused\nvalue = 'from __init__'\n",
    "slow.py": "print('slow')\nunused = 1\n",
    "needed.py": "import extra_or_none\nanswer = extra_or_none.extra\n",
}


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """A folder with a package `large`, its optional dependency `extra`, and what looks for it."""
    (tmp_path / "large").mkdir()
    for name, text in PACKAGE.items():
        (tmp_path / "large" / name).write_text(text)
    (tmp_path / "extra.py").write_text("print('extra')\n")
    (tmp_path / "extra_or_none.py").write_text(
        "try:\n    import extra\nexcept ImportError:\n    extra = None\n"
    )
    return tmp_path


def run(folder: Path, program: str) -> list[str]:
    """Run a program that can import what is in a folder, and return the lines that it prints."""
    start = "from kfp_tabular.components.common.process import lean_imports\nimport sys, gc\n"
    return subprocess.check_output(
        [sys.executable, "-c", start + program], cwd=folder, text=True
    ).splitlines()


def test_modules_of_a_deferred_package_are_imported_without_it(packages: Path) -> None:
    printed = run(
        packages,
        "lean_imports.defer('large')\nfrom large.needed import answer\nfrom large import needed\n"
        "print(answer.__name__)",
    )

    assert printed == ["extra", "extra"]


def test_an_attribute_runs_the_package_once(packages: Path) -> None:
    printed = run(
        packages,
        "large = lean_imports.defer('large')\nprint(hasattr(large, '__wrapped__'))\n"
        "print(large.value, large.unused)\nprint(hasattr(large, 'missing'))\n"
        "import large as again\nprint(again is large)",
    )

    assert printed == ["False", "slow", "from __init__ 1", "False", "True"]


@pytest.mark.parametrize("imported", [True, False])
def test_a_module_that_only_the_whole_package_has(packages: Path, imported: bool) -> None:
    elsewhere = packages / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "late.py").write_text("print('late', __name__)\n")
    init = packages / "large" / "__init__.py"
    more = "__path__.append('elsewhere')\n" + ("import large.late\n" if imported else "")
    init.write_text(init.read_text() + more)

    printed = run(
        packages,
        "large = lean_imports.defer('large')\nfrom large.late import __name__ as name\n"
        "import large.late as late\nprint(name, late.__spec__.origin[-7:], large.value)\n"
        "try:\n    import large.nowhere\nexcept ModuleNotFoundError as error:\n    print(error)",
    )

    assert printed == [
        "slow",
        "late large.late",
        "large.late late.py from __init__",
        "No module named 'large.nowhere'",
    ]


def test_a_package_that_is_there_is_not_deferred(packages: Path) -> None:
    printed = run(
        packages, "import large\nprint(lean_imports.defer('large') is large, large.value)"
    )

    assert printed == ["slow", "True from __init__"]


def test_optional_packages_are_absent_in_the_block_only(packages: Path) -> None:
    printed = run(
        packages,
        "with lean_imports.without('extra'):\n"
        "    import extra_or_none\n    print(extra_or_none.extra, gc.isenabled())\n"
        "print(gc.isenabled())\nimport extra\nprint(extra.__name__)",
    )

    assert printed == ["None False", "True", "extra", "extra"]


def test_the_block_ends_after_an_exception_too(packages: Path) -> None:
    printed = run(
        packages,
        "try:\n    with lean_imports.without('extra'):\n        import extra\n"
        "except ModuleNotFoundError as error:\n    print(error)\nimport extra",
    )

    assert printed == ["extra is left out of this import", "extra"]
