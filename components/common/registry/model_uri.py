"""`models:/NAME@ALIAS` and `models:/NAME/VERSION`, as MLflow writes them."""

import re
from dataclasses import dataclass

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.registry.port import PROMOTIONS_SUFFIX

SCHEME = "models:/"

LONGEST_NAME = 200
_ALSO_IN_NAMES = frozenset(" ._-")

# A name or an alias holds nothing that ends a line, a filter of the registry or a path.
_TEXT = r"[^/@:'\"\x00-\x1f\x7f]{1,200}"
_FORM = re.compile(rf"models:/(?P<name>{_TEXT})(@(?P<alias>{_TEXT})|/(?P<version>[0-9]{{1,9}}))")


@dataclass(frozen=True)
class ModelUri:
    """A version of a registered model, by number or by alias; one of the two is empty.

    Attributes:
        name: The model's name.
        version: The version's number, or empty.
        alias: The alias, or empty.
    """

    name: str
    version: str = ""
    alias: str = ""

    def __str__(self) -> str:
        return f"{SCHEME}{self.name}" + (f"@{self.alias}" if self.alias else f"/{self.version}")


def check_name(name: str) -> None:
    """Check the name of a registered model: it becomes part of URIs, of filters and of paths.

    Raises:
        ValueError: Where it does not fit.

    Example:
        >>> check_name("taxi tips.v2")
        >>> check_name("../taxi")
        Traceback (most recent call last):
            ...
        ValueError: expected at most 200 letters, digits, blanks and ._-, a letter or digit first
    """
    fits = name[:1].isalnum() and all(it.isalnum() or it in _ALSO_IN_NAMES for it in name)
    if not fits or len(name) > LONGEST_NAME:
        raise ValueError(
            f"expected at most {LONGEST_NAME} letters, digits, blanks and ._-, a letter or digit "
            "first"
        )
    if name.endswith(PROMOTIONS_SUFFIX):
        raise ValueError(f"{PROMOTIONS_SUFFIX} at the end is the log's of another model")


def is_registered(uri: str) -> bool:
    """Whether a URI names a registered model.

    Example:
        >>> is_registered("models:/taxi@champion"), is_registered("/srv/models/taxi")
        (True, False)
    """
    return uri.startswith("models:")


def parse(uri: str) -> ModelUri:
    """Parse the URI of a registered model.

    Raises:
        UserError: If it is something else.

    Example:
        >>> parse("models:/taxi@champion").alias, parse("models:/taxi/3").version
        ('champion', '3')
        >>> parse("models:/taxi")
        Traceback (most recent call last):
            ...
        kfp_tabular.components.common.errors.UserError: models:/taxi: expected
        models:/NAME@champion, another alias, or models:/NAME/3.
    """
    match = _FORM.fullmatch(uri.strip())
    if match is None:
        text = " ".join(uri.split())
        shown = text if len(text) <= LONGEST_NAME else f"{text[:LONGEST_NAME]}…"
        raise UserError(
            f"{shown}: expected models:/NAME@champion, another alias, or models:/NAME/3."
        )
    return ModelUri(match["name"], match["version"] or "", match["alias"] or "")
