"""Adds a component to a clone of the project: its files, and the places that list components."""

import keyword
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kfp_tabular import components
from kfp_tabular.components.common import files
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.pipelines.scaffold import component_templates, registrations

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)+")
_FOLDER = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_LONGEST_NAME = 40
_EXAMPLES = 'doctests.examples("kfp_tabular.components.{folder}"),'
_EXAMPLES_TFDV = """# kfp does not import beside the older protobuf of this environment.
    doctests.examples(
        "kfp_tabular.components.{folder}",
        without=["kfp_tabular.components.{folder}.component"],
    ),"""
_RUFF = Path(".venvs/tools/bin/ruff")


@dataclass(frozen=True)
class NewComponent:
    """A component to add.

    Attributes:
        name: The function's name: a verb and its object, such as `count_rows`.
        folder: Its folder below `components`, a noun such as `row_counts`; empty for the object
            and the verb, `rows_count`. A component's own name would hide its function.
        image: The image that it runs in, one of `catalog.metadata.IMAGES`.
        category: One of `catalog.metadata.CATEGORIES`.
        description: One sentence, with a full stop.

    Example:
        >>> NewComponent("count_rows").folder
        'rows_count'
        >>> NewComponent("train_model")
        Traceback (most recent call last):
            ...
        kfp_tabular.components.common.errors.UserError: component 'train_model' exists already, in
        components/training.
    """

    name: str
    folder: str = ""
    image: str = "tensorflow"
    category: str = "data"
    description: str = "Counts the rows of each split."

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or len(self.name) > _LONGEST_NAME:
            raise UserError(
                f"component {self.name!r}: expected a verb and its object in lower case, joined by "
                f"'_', such as count_rows, with at most {_LONGEST_NAME} characters."
            )
        if self.name in components.COMPONENTS:
            folder = components.COMPONENTS[self.name]
            raise UserError(f"component {self.name!r} exists already, in components/{folder}.")
        if not self.folder:
            verb, _, rest = self.name.partition("_")
            object.__setattr__(self, "folder", f"{rest}_{verb}")
        if not _FOLDER.fullmatch(self.folder) or keyword.iskeyword(self.folder):
            raise UserError(f"--folder {self.folder!r}: expected a Python package name.")
        if self.folder in (self.name, *components.COMPONENTS):
            raise UserError(
                f"--folder {self.folder!r} is a component's name, which the folder would hide; "
                "choose a noun, such as row_counts for count_rows."
            )


def create(component: NewComponent, root: Path) -> list[Path]:
    """Add a component that counts rows, to be filled with its own logic.

    Args:
        component: The component.
        root: The root of a clone of the project.

    Returns:
        The files that were written, relative to the root, generated pages left out.

    Raises:
        UserError: Where its folder exists, or a place that lists components does not look as
            expected. Nothing is written then.
    """
    for folder in (
        root / "components" / component.folder,
        root / "tests/components" / component.folder,
    ):
        if folder.exists():
            raise UserError(f"{folder.relative_to(root)} exists; choose another --folder.")
    written = component_templates.fill(_values(component))
    changed = {
        path: edit((root / path).read_text(encoding="utf-8"), component.name, component.folder)
        for path, edit in registrations.EDITS.items()
    }
    path = registrations.TASK_DEFINITIONS
    changed[path] = registrations.add_task_definition(
        (root / path).read_text(encoding="utf-8"), component.name, component.image
    )
    path = registrations.MAKEFILE
    changed[path] = registrations.add_suite(
        (root / path).read_text(encoding="utf-8"), component.folder, component.image
    )
    for path, text in {**written, **changed}.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        files.write_text(root / path, text)
    _format(root, [path for path in (*written, *changed) if path.suffix == ".py"])
    _write_pages(root)
    return [*written, *changed]


def _values(component: NewComponent) -> Mapping[str, str]:
    prefix = "".join(word.capitalize() for word in component.name.split("_"))
    verb = component.name.split("_")[0]
    examples = _EXAMPLES_TFDV if component.image == "tfdv" else _EXAMPLES
    return {
        "name": component.name,
        "folder": component.folder,
        "image": component.image,
        "image_constant": component.image.upper(),
        "category": component.category,
        "description": component.description,
        "title": component.name.replace("_", " ").capitalize(),
        "tag": component.name.replace("_", "-"),
        "logic": component.name if keyword.iskeyword(verb) else verb,
        "options": f"{prefix}Options",
        "request": f"{prefix}Request",
        "result": f"{prefix}Result",
        "examples": examples.format(folder=component.folder),
    }


def _format(root: Path, paths: list[Path]) -> None:
    """Sort imports and wrap lines by the project's rules; long names move them."""
    ruff = root / _RUFF
    if not ruff.exists():
        return
    names = [str(path) for path in paths]
    for arguments in (["format"], ["check", "--fix"], ["format"]):
        # What ruff cannot fix is left for `make check` to report.
        subprocess.run([ruff, *arguments, "-q", *names], cwd=root, check=False)


def _write_pages(root: Path) -> None:
    """Write the generated pages in a process that has not imported the components yet."""
    subprocess.run([sys.executable, "-m", "kfp_tabular.pipelines.catalog"], cwd=root, check=True)
