"""The loss of each test row, which a model's result keeps beside its score.

Needs nothing but numpy: the libraries' environment imports it by its path.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def write(place: Path, model: str, labels: npt.ArrayLike, losses: Array) -> None:
    """Keep the losses of a model on a table.

    Args:
        place: The folder of a table and a seed.
        model: The model's name.
        labels: The test rows' labels, in the order of the CSV file; class indices, or numbers.
        losses: Of the same rows.
    """
    file = _file(place, model)
    file.parent.mkdir(exist_ok=True)
    part = file.with_suffix(".part")
    with part.open("wb") as opened:
        np.savez(opened, labels=np.asarray(labels), losses=losses)
    part.rename(file)


def read(place: Path, model: str) -> tuple[npt.NDArray[np.float64], Array]:
    """Return labels and losses of a model."""
    with np.load(_file(place, model)) as kept:
        return kept["labels"], kept["losses"]


def exist(place: Path, model: str) -> bool:
    """Return whether losses of a model were kept."""
    return _file(place, model).exists()


def _file(place: Path, model: str) -> Path:
    return place / "losses" / f"{model.replace(' ', '-')}.npz"
