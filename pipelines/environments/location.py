"""Where the virtual environments are that take the place of images on this machine."""

import os
from dataclasses import dataclass
from pathlib import Path

from kfp_tabular.components.common.errors import UserError, closest

VARIABLE = "KFP_TABULAR_VENVS"
"""Names the folder of virtual environments, in place of `default_folder()`."""

ON_DEMAND = ("spark", "mlflow")
"""The environments that are made on demand only."""

SOURCES = Path(__file__).resolve().parents[2]
"""The package: a clone of the project, or the folder that a wheel was installed as."""


@dataclass(frozen=True)
class Environments:
    """The virtual environments on this machine, one per image.

    Attributes:
        folder: Holds a virtual environment per image, named after the last part of the image's
            name.
    """

    folder: Path

    @classmethod
    def find(cls) -> "Environments":
        """Find the environments of this installation.

        Raises:
            UserError: Where none have been made.
        """
        folder = default_folder()
        if not folder.is_dir():
            command = "make setup" if is_clone() else "kfp-tabular setup"
            raise UserError(
                f"{folder}: no environments yet. Run '{command}' to make them, or name the folder "
                f"that holds them in {VARIABLE}."
            )
        return cls(folder.resolve())

    def python(self, image: str) -> Path:
        """Return the interpreter of an image's environment.

        Args:
            image: An image reference, such as `registry/tensorflow:1.0` or `tfdv@sha256:...`.

        Raises:
            UserError: Where that image has no environment here.

        Example:
            >>> Environments(Path("venvs")).python("registry.example.com/tfdv:1.0")
            Traceback (most recent call last):
                ...
            kfp_tabular.components.common.errors.UserError: image 'registry.example.com/tfdv:1.0':
            no virtual environment 'tfdv' in venvs. 'make setup' makes it; present: none.
        """
        name = image_name(image)
        python = self.folder / name / "bin" / "python3"
        if not python.exists():
            known = sorted(path.parents[1].name for path in self.folder.glob("*/bin/python3"))
            made = f"make {name}" if name in ON_DEMAND else "make setup"
            command = made if is_clone() else f"kfp-tabular setup {name}"
            raise UserError(
                f"image {image!r}: no virtual environment {name!r} in {self.folder}. "
                f"'{command}' makes it; present: {', '.join(known) or 'none'}."
                f"{closest(name, known)}"
            )
        return python

    def spark_home(self) -> Path | None:
        """Return the Spark that the environment `spark` holds; None where it was not made.

        Example:
            >>> Environments(Path("venvs")).spark_home() is None
            True
        """
        found = sorted(self.folder.glob("spark/lib/python3*/site-packages/pyspark"))
        return found[-1] if found else None


def default_folder() -> Path:
    """Return the folder of environments: `$KFP_TABULAR_VENVS`, a clone's `.venvs`, or the user's.

    The user's is `$XDG_DATA_HOME/kfp-tabular/venvs`, below `~/.local/share` by default.
    """
    given = os.environ.get(VARIABLE)
    if given:
        return Path(given)
    if is_clone():
        return SOURCES / ".venvs"
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data).expanduser() / "kfp-tabular" / "venvs"


def is_clone() -> bool:
    """Return whether this package runs from a clone of the project, not from a wheel."""
    return (SOURCES / "setup.cfg").is_file()


def image_name(image: str) -> str:
    """Return the last part of an image's name, without registry, tag or digest.

    Example:
        >>> image_name("registry.example.com:5000/ml/tfdv:1.0")
        'tfdv'
    """
    return image.split("@", maxsplit=1)[0].rsplit("/", 1)[-1].split(":", maxsplit=1)[0]
