"""Builds `manifests/` with whichever kustomize is installed."""

import functools
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2] / "manifests"


def _command() -> list[str] | None:
    if shutil.which("kustomize"):
        return ["kustomize", "build"]
    if shutil.which("kubectl"):
        return ["kubectl", "kustomize"]
    return None


COMMAND = _command()

needed = pytest.mark.skipif(COMMAND is None, reason="neither kustomize nor kubectl is installed")
"""Marks tests that build manifests."""


def overlays() -> list[str]:
    """Return the folders that are meant to be applied, relative to `manifests/`."""
    return sorted(
        str(file.parent.relative_to(ROOT)) for file in ROOT.rglob("overlays/*/kustomization.yaml")
    )


def files(pattern: str = "*.yaml") -> list[Path]:
    """Return the manifests that are not kustomizations."""
    return sorted(path for path in ROOT.rglob(pattern) if path.name != "kustomization.yaml")


@functools.cache
def build(folder: str) -> list[dict[str, Any]]:
    """Return the objects of an overlay, in kustomize's order."""
    assert COMMAND is not None
    built = subprocess.run(
        [*COMMAND, str(ROOT / folder)], check=False, capture_output=True, text=True, timeout=60
    )
    assert built.returncode == 0, built.stderr
    # What is deprecated is said on standard error, and fails in a later release.
    assert not built.stderr, built.stderr
    return list(yaml.safe_load_all(built.stdout))


def read(path: str) -> list[dict[str, Any]]:
    """Return the objects of one file below `manifests/`."""
    return list(yaml.safe_load_all((ROOT / path).read_text(encoding="utf-8")))


def only(objects: list[dict[str, Any]], kind: str, name: str = "") -> dict[str, Any]:
    """Return the one object of a kind, and of a name where given."""
    found = [
        entry
        for entry in objects
        if entry["kind"] == kind and (not name or entry["metadata"]["name"] == name)
    ]
    assert len(found) == 1, f"{len(found)} objects of kind {kind} {name}"
    return found[0]
