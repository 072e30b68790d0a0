"""Options: a component's arguments as a frozen dataclass, each described and checked in one place.

An option is a dataclass field made by `option`: its name, type, default, meaning and check stand
there and nowhere else. Requests, documents and worker flags embed the dataclass. KFP needs literal
signatures in `component.py` and `pipeline.py`; a test compares those with the dataclass.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

from kfp_tabular.components.common.documents import Check
from kfp_tabular.components.common.errors import UserError

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Option:
    """One option, as its dataclass declares it.

    Attributes:
        name: The argument's name.
        type: The field's type.
        default: The default value; `dataclasses.MISSING` where the option is required.
        meaning: What the option does, as people read it: unit, range and special values.
    """

    name: str
    type: Any
    default: Any
    meaning: str


def option(default: Any, meaning: str, *, check: Check | None = None) -> Any:
    """Return a dataclass field for an option.

    Args:
        default: The default value; a list, set or mapping is copied for each instance. Pass
            `dataclasses.MISSING` for an option that must be given.
        meaning: What the option does. `component.py` repeats it word for word.
        check: Checks a value, beyond its type.

    Example:
        >>> @dataclasses.dataclass(frozen=True)
        ... class Search:
        ...     trials: int = option(3, "How many trials to run.")
        >>> Search().trials, describe(Search)["trials"].meaning
        (3, 'How many trials to run.')
    """
    metadata = {"meaning": " ".join(meaning.split()), "check": check}
    if default is dataclasses.MISSING:
        return dataclasses.field(metadata=metadata)
    if isinstance(default, list | dict | set):
        return dataclasses.field(default_factory=lambda: type(default)(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def describe(kind: type) -> dict[str, Option]:
    """Return the options of a dataclass by name, in the order of its fields.

    Fields that are dataclasses of options themselves contribute theirs in their place. Fields
    without a meaning are not options and are left out.

    Example:
        >>> @dataclasses.dataclass(frozen=True)
        ... class Search:
        ...     trials: int = option(3, "How many trials to run.")
        ...     folder: str = ""
        >>> describe(Search)
        {'trials': Option(name='trials', type=<class 'int'>, default=3,
        meaning='How many trials to run.')}
    """
    found: dict[str, Option] = {}
    for field in dataclasses.fields(kind):
        if dataclasses.is_dataclass(field.type) and "meaning" not in field.metadata:
            found |= describe(field.type)  # type: ignore[arg-type]
        elif "meaning" in field.metadata:
            found[field.name] = Option(
                field.name, field.type, _default(field), field.metadata["meaning"]
            )
    return found


def build(kind: type[T], arguments: Mapping[str, Any]) -> T:
    """Return a dataclass of options filled from a mapping that may hold other arguments, too.

    Args:
        kind: The dataclass.
        arguments: Values by field name. Fields that it lacks keep their defaults; a nested
            dataclass that it lacks is built from the same mapping.

    Example:
        >>> @dataclasses.dataclass(frozen=True)
        ... class Search:
        ...     trials: int = option(3, "How many trials to run.")
        ...     seed: int = option(0, "Seed of the search.")
        >>> build(Search, {"trials": 5, "schema": "schema.pbtxt"})
        Search(trials=5, seed=0)
    """
    values: dict[str, Any] = {}
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        nested = dataclasses.is_dataclass(field.type) and "meaning" not in field.metadata
        given = arguments.get(field.name)
        if nested and not isinstance(given, field.type):  # type: ignore[arg-type]
            values[field.name] = build(field.type, arguments)  # type: ignore[arg-type]
        elif field.name in arguments:
            values[field.name] = given
    return kind(**values)


def problems(options: Any) -> list[str]:
    """Return what is wrong with the values of a dataclass of options, one line each.

    Example:
        >>> from kfp_tabular.components.common.documents import one_of
        >>> @dataclasses.dataclass(frozen=True)
        ... class Search:
        ...     goal: str = option("max", "Direction.", check=one_of("max", "min"))
        >>> problems(Search()), problems(Search(goal="mn"))
        ([], ["goal: expected max or min, found 'mn'. Did you mean 'min'?"])
    """
    found: list[str] = []
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        if dataclasses.is_dataclass(value) and "meaning" not in field.metadata:
            found += problems(value)
            continue
        check: Check | None = field.metadata.get("check")
        # Empty text where that is the default means the same as leaving the option out.
        if check is None or value == field.default == "":
            continue
        try:
            check(value)
        except ValueError as error:
            hint = getattr(error, "hint", "")
            found.append(f"{field.name}: {error}, found {value!r}.{hint}")
    return found


def check(options: Any) -> None:
    """Check the values of a dataclass of options.

    Raises:
        UserError: For the first value that does not fit its option's check.

    Example:
        >>> from kfp_tabular.components.common.documents import one_of
        >>> @dataclasses.dataclass(frozen=True)
        ... class Search:
        ...     goal: str = option("max", "Direction.", check=one_of("max", "min"))
        >>> check(Search(goal="best"))
        Traceback (most recent call last):
        ...
        kfp_tabular.components.common.errors.UserError: goal: expected max or min, found 'best'.
    """
    for problem in problems(options):
        raise UserError(problem)


def _default(field: "dataclasses.Field[Any]") -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default
