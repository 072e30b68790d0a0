"""The package holds what the tree holds, and no module reaches where it must not."""

import ast
import configparser
import importlib.util
from pathlib import Path

import pytest

from kfp_tabular import components

ROOT = Path(__file__).parents[2]
PARTS = ("components", "pipelines", "serving")
IMAGES = ROOT / "components" / "images"
"""Builds the images; its scripts are run, not imported."""


def _modules() -> list[Path]:
    found = [path for part in PARTS for path in sorted((ROOT / part).rglob("*.py"))]
    return [path for path in found if not path.is_relative_to(IMAGES)]


def _imports(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def test_setup_cfg_lists_every_package() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    listed = set(setup["options"]["packages"].split())

    found = {
        "kfp_tabular." + ".".join(path.parent.relative_to(ROOT).parts)
        for path in _modules()
        if path.name == "__init__.py"
    }

    assert listed == found


def test_every_folder_with_modules_is_a_package() -> None:
    assert all((path.parent / "__init__.py").exists() for path in _modules())


@pytest.mark.parametrize("path", _modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_arrows_point_one_way(path: Path) -> None:
    """pipelines -> component.py -> logic -> common; serving -> common; no component -> another."""
    part, *rest = path.relative_to(ROOT).parts
    ours = {name for name in _imports(path) if name.startswith("kfp_tabular.")}
    if part == "pipelines":
        return
    own = f"kfp_tabular.{part}" + (f".{rest[0]}" if part == "components" and rest[1:] else "")
    allowed = (own, "kfp_tabular.components.common")
    if path == ROOT / "components" / "__init__.py":
        return
    assert not {name for name in ours if not name.startswith(allowed)}
    if path.name != "component.py":
        assert not {name for name in ours if name.endswith(".component")}
        assert not {name for name in _imports(path) if name.split(".")[0] == "kfp"}


def test_components_import_without_tensorflow() -> None:
    # This environment has none, so importing a module that needs it at import time fails here.
    assert importlib.util.find_spec("tensorflow") is None


def test_the_package_offers_every_component() -> None:
    assert set(components.__all__) == {"COMPONENTS", *components.COMPONENTS}
