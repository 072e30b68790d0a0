"""`models:/NAME@ALIAS` and `models:/NAME/VERSION`, as MLflow writes them."""

import re
from dataclasses import dataclass

from kfp_tabular.components.common.errors import UserError

SCHEME = "models:/"

_FORM = re.compile(r"models:/(?P<name>[^/@:]+)(@(?P<alias>[^/@:]+)|/(?P<version>[0-9]+))")


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
        raise UserError(f"{uri}: expected models:/NAME@champion, another alias, or models:/NAME/3.")
    return ModelUri(match["name"], match["version"] or "", match["alias"] or "")
