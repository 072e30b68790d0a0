"""A tiny exported model, and the golden examples that go with it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.components.deployment.tiny_model import answers, make, write_golden


@pytest.fixture(scope="session")
def export(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tuple[Path, Path]]:
    """Create a model and its golden examples; return both directories."""
    made: dict[tuple[str, float], tuple[Path, Path]] = {}

    def export_once(task: str = "binary", slope: float = 1.0) -> tuple[Path, Path]:
        if (task, slope) not in made:
            folder = tmp_path_factory.mktemp("exported")
            make(folder / "model", task, slope)
            golden = write_golden(folder / "golden", answers(task, slope))
            made[task, slope] = folder / "model", golden
        return made[task, slope]

    return export_once


@pytest.fixture
def changed_golden(tmp_path: Path) -> Callable[..., Path]:
    """Write the golden examples of a task after a change to one row's prediction."""

    def change(row: int, task: str = "binary", **changes: object) -> Path:
        predictions = answers(task, 1.0)
        predictions[row] |= changes
        return write_golden(tmp_path / "changed", predictions)

    return change
