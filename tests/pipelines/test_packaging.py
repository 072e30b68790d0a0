"""The package holds what the tree holds."""

import configparser
import importlib.util
from pathlib import Path

from kfp_tabular import components

ROOT = Path(__file__).parents[2]
PARTS = ("components", "pipelines", "serving")
IMAGES = ROOT / "components" / "images"
"""Builds the images; its scripts are run, not imported."""
TOP = ROOT / "pipelines" / "package"
"""The package kfp_tabular itself, which holds the three parts."""


def _modules() -> list[Path]:
    found = [path for part in PARTS for path in sorted((ROOT / part).rglob("*.py"))]
    return [path for path in found if not path.is_relative_to(IMAGES)]


def test_setup_cfg_lists_every_package() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    listed = set(setup["options"]["packages"].split())

    found = {
        "kfp_tabular." + ".".join(path.parent.relative_to(ROOT).parts)
        for path in _modules()
        if path.name == "__init__.py" and path.parent != TOP
    }

    assert listed == {"kfp_tabular", *found}


def test_the_package_offers_load_run() -> None:
    import kfp_tabular
    from kfp_tabular.pipelines.local import run_results

    assert kfp_tabular.load_run is run_results.load_run
    assert Path(str(kfp_tabular.__file__)).resolve() == TOP / "__init__.py"


def test_every_folder_with_modules_is_a_package() -> None:
    assert all((path.parent / "__init__.py").exists() for path in _modules())


def test_components_import_without_tensorflow() -> None:
    # This environment has none, so importing a module that needs it at import time fails here.
    assert importlib.util.find_spec("tensorflow") is None


def test_the_package_offers_every_component() -> None:
    assert set(components.__all__) == {"COMPONENTS", *components.COMPONENTS}
