"""A component's `metadata.yaml`: the entries of the catalog that its code does not contain."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from kfp_tabular.components.common.errors import UserError, closest

FILE_NAME = "metadata.yaml"

CATEGORIES = ("data", "feature engineering", "training", "evaluation", "deployment")
IMAGES = ("tensorflow", "tfdv", "launcher", "serving")
STABILITIES = ("alpha", "beta", "stable")

_ALLOWED = {"category": CATEGORIES, "image": IMAGES, "stability": STABILITIES}
_TAG = re.compile(r"[a-z0-9]+([ -][a-z0-9]+)*")


@dataclass(frozen=True)
class Metadata:
    """The content of `metadata.yaml`.

    Attributes:
        name: The component's name, that of its function.
        title: A headline without a full stop.
        description: One sentence.
        category: One of `CATEGORIES`.
        image: One of `IMAGES`.
        stability: One of `STABILITIES`.
        tags: Keywords, in lower case.
    """

    name: str
    title: str
    description: str
    category: str
    image: str
    stability: str
    tags: tuple[str, ...]


def load(path: Path, name: str) -> Metadata:
    """Read and check a component's metadata.

    Args:
        path: The file.
        name: The component it must be about.

    Raises:
        UserError: If the file is missing or not a YAML mapping, a field is missing or unknown, or a
            value is invalid.

    Example:
        >>> from kfp_tabular.pipelines.catalog.generate import project_root
        >>> path = project_root() / "components" / "data_ingestion" / FILE_NAME
        >>> load(path, "ingest_data").category
        'data'
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path}: not found; each component needs one.") from error
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not YAML: {error}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected a mapping, found {type(content).__name__}.")
    for problem in _problems(content, name):
        raise UserError(f"{path}: {problem}")
    return Metadata(**{**content, "tags": tuple(content["tags"])})


def _problems(content: Mapping[str, Any], name: str) -> Iterator[str]:
    """Yield the problems; later ones may follow from the first."""
    known = [field.name for field in fields(Metadata)]
    for key in content:
        if key not in known:
            yield f"unknown field {key!r}.{closest(str(key), known)}"
    for key in known:
        value = content.get(key)
        if key != "tags" and (not isinstance(value, str) or not value.strip()):
            yield f"{key} must be text, found {value!r}."
    for key, allowed in _ALLOWED.items():
        value = content[key]
        if value not in allowed:
            yield f"{key} {value!r} is not one of {', '.join(allowed)}.{closest(value, allowed)}"
    if content["name"] != name:
        yield f"name is {content['name']!r}; the component is {name!r}."
    if content["title"].endswith("."):
        yield "title is a headline; it ends without a full stop."
    if not content["description"].endswith("."):
        yield "description is a sentence; end it with a full stop."
    tags = content.get("tags")
    if not isinstance(tags, list) or not tags:
        yield f"tags must be a list with at least one tag, found {tags!r}."
    for tag in tags or ():
        if not isinstance(tag, str) or not _TAG.fullmatch(tag):
            yield f"tag {tag!r} must be lower-case words."
