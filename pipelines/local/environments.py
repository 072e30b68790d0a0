"""Virtual environments that stand for images."""

import os
from dataclasses import dataclass
from pathlib import Path

from kfp_tabular.components.common.errors import UserError, closest

VARIABLE = "KFP_TABULAR_VENVS"
"""Names the folder of virtual environments; by default `.venvs` beside the package's sources."""


@dataclass(frozen=True)
class Environments:
    """The virtual environments on this machine, one per image.

    Attributes:
        folder: Holds a virtual environment per image, named as the last part of the image's name.
    """

    folder: Path

    @classmethod
    def find(cls) -> "Environments":
        """Finds the environments of this installation.

        Raises:
            UserError: Where there are none.
        """
        given = os.environ.get(VARIABLE)
        folder = Path(given) if given else Path(__file__).resolve().parents[2] / ".venvs"
        if not folder.is_dir():
            raise UserError(
                f"{folder}: no environments here. Run 'make setup' in a clone of kfp-tabular"
                f"{'' if given else f', and name its .venvs folder in {VARIABLE}'}."
            )
        return cls(folder.resolve())

    def python(self, image: str) -> Path:
        """Gives the interpreter of an image's environment.

        Args:
            image: An image reference, such as `registry/tensorflow:1.0` or `tfdv@sha256:...`.

        Raises:
            UserError: Where that image has no environment here.
        """
        name = image_name(image)
        python = self.folder / name / "bin" / "python3"
        if not python.exists():
            known = sorted(path.parents[1].name for path in self.folder.glob("*/bin/python3"))
            raise UserError(
                f"image {image!r}: no virtual environment {name!r} in {self.folder}. "
                f"'make setup' makes them; there are {', '.join(known)}.{closest(name, known)}"
            )
        return python


def image_name(image: str) -> str:
    """Gives the last part of an image's name, without registry, tag or digest."""
    return image.split("@", maxsplit=1)[0].rsplit("/", 1)[-1].split(":", maxsplit=1)[0]
