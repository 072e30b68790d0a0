"""The search space: Katib's `parameters` list, parsed and checked before any trial starts."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, cast, get_args

from kfp_tabular.components.common.artifacts.hyperparameters import (
    AUTO,
    BLEND,
    MODEL_TYPES,
    TREES,
    Hyperparameters,
)
from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.components.tuning.options import TuningOptions

NumberType = Literal["double", "int"]
ChoiceType = Literal["categorical", "discrete"]
Distribution = Literal["uniform", "logUniform", "normal", "logNormal"]
Value = int | float | str

PARAMETER_TYPES: tuple[str, ...] = (*get_args(NumberType), *get_args(ChoiceType))
DISTRIBUTIONS: tuple[Distribution, ...] = get_args(Distribution)

_NUMBER_KEYS = ("min", "max", "step", "distribution")
_CHOICE_KEYS = ("list",)
_FIELD_TYPES = {
    field.name: getattr(field.type, "__name__", field.type) for field in fields(Hyperparameters)
}


@dataclass(frozen=True)
class Number:
    """A hyperparameter between two bounds.

    Bounds are decimals, so that `0.1` plus two steps of `0.1` is exactly `0.3`.

    Attributes:
        name: The hyperparameter.
        kind: Katib's `parameterType`, `double` or `int`.
        low: The smallest value.
        high: The upper bound; with a step, the largest value is the last step that is not above.
        step: The distance between values, counted from `low`; None if all values between the
            bounds are possible.
        distribution: How values are distributed over the range.
    """

    name: str
    kind: NumberType
    low: Decimal
    high: Decimal
    step: Decimal | None = None
    distribution: Distribution = "uniform"

    @property
    def size(self) -> int | None:
        """The number of values; None if they are not on a grid."""
        if self.step is None:
            return None
        return int((self.high - self.low) / self.step) + 1

    def at(self, index: int) -> int | float:
        """Return a value of the grid by its index, counted from 0; only if `size` is not None."""
        step = self.step or Decimal(0)
        return self.typed(self.low + index * step)

    def typed(self, value: Decimal) -> int | float:
        """Return a decimal converted to the type of the hyperparameter."""
        return int(value) if self.kind == "int" else float(value)


@dataclass(frozen=True)
class Choice:
    """A hyperparameter from a list.

    Attributes:
        name: The hyperparameter.
        kind: Katib's `parameterType`, `categorical` or `discrete`.
        values: The values, distinct. Those of `discrete` are numbers in ascending order.
    """

    name: str
    kind: ChoiceType
    values: tuple[Value, ...]

    @property
    def size(self) -> int:
        """The number of values."""
        return len(self.values)

    def at(self, index: int) -> Value:
        """Return a value by its index, counted from 0."""
        return self.values[index]


Parameter = Number | Choice
SearchSpace = tuple[Parameter, ...]


def parse(parameters: Iterable[object]) -> SearchSpace:
    """Parse Katib's `parameters` list.

    Args:
        parameters: Mappings with `name`, `parameterType` and `feasibleSpace`. Numbers may be
            text, as in Katib, or numbers.

    Returns:
        The parameters in the given order.

    Raises:
        UserError: For the first entry that cannot be used; the message names the entry and the
            field, and what to write.

    Example:
        >>> feasible = {"min": "0", "max": "0.5", "step": "0.25"}
        >>> entry = {"name": "dropout", "parameterType": "double", "feasibleSpace": feasible}
        >>> [dropout] = parse([entry])
        >>> [dropout.at(index) for index in range(dropout.size)]
        [0.0, 0.25, 0.5]
    """
    space, problems = read(parameters)
    if problems:
        raise UserError(problems[0])
    return space


def read(parameters: Iterable[object]) -> tuple[SearchSpace, list[str]]:
    """Parse the entries of Katib's `parameters` list that can be parsed.

    Args:
        parameters: As for `parse`.

    Returns:
        The entries that can be used; and a message for each of the others, as `parse` raises it.

    Example:
        >>> feasible = {"min": "0", "max": "0.5"}
        >>> entry = {"name": "dropuot", "parameterType": "double", "feasibleSpace": feasible}
        >>> space, problems = read([{**entry, "name": "dropout"}, entry])
        >>> [parameter.name for parameter in space]
        ['dropout']
        >>> problems[0]
        "search_space[1]: hyperparameter 'dropuot' is unknown. Did you mean 'dropout'? ..."
    """
    parsed: list[Parameter] = []
    problems = []
    for position, entry in enumerate(parameters):
        where = f"search_space[{position}]"
        try:
            parameter = _parse_entry(entry, where)
        except UserError as error:
            problems.append(str(error))
            continue
        if any(parameter.name == other.name for other in parsed):
            problems.append(
                f"{where}: {parameter.name!r} is listed twice; list each hyperparameter once."
            )
            continue
        parsed.append(parameter)
    return tuple(parsed), problems


def entries(options: TuningOptions) -> list[Any]:
    """Return the entries to search: the given ones, or the default space of the model type.

    Raises:
        UserError: If the base hyperparameters do not fit.

    Example:
        >>> options = TuningOptions(base_hyperparameters={"model_type": "linear"})
        >>> [entry["name"] for entry in entries(options)]
        ['learning_rate', 'batch_size']
    """
    return options.search_space or default(options.hyperparameters().model_type)


def default(model_type: str) -> list[dict[str, Any]]:
    """Return the default search space.

    Args:
        model_type: The type of model; hyperparameters that it does not have are left out.

    Returns:
        Entries in Katib's format, for `parse`.

    Example:
        >>> [entry["name"] for entry in default("linear")]
        ['learning_rate', 'batch_size']
        >>> [entry["name"] for entry in default("trees")]
        ['tree_depth', 'tree_l2']
    """
    if model_type == TREES:
        return _of_trees()
    space: list[dict[str, Any]] = [
        {
            "name": "learning_rate",
            "parameterType": "double",
            "feasibleSpace": {"min": "0.0001", "max": "0.03", "distribution": "logUniform"},
        },
        {
            "name": "batch_size",
            "parameterType": "discrete",
            "feasibleSpace": {"list": ["64", "128", "256", "512", "1024"]},
        },
    ]
    if model_type != "linear":
        space += [
            {
                "name": "hidden_units",
                "parameterType": "categorical",
                "feasibleSpace": {"list": _widths(model_type)},
            },
            {
                "name": "dropout",
                "parameterType": "double",
                "feasibleSpace": {"min": "0", "max": "0.5", "step": "0.05"},
            },
        ]
    if model_type == "dcn_v2":
        space.append(
            {
                "name": "cross_layers",
                "parameterType": "int",
                "feasibleSpace": {"min": "1", "max": "4"},
            }
        )
    return space


def _widths(model_type: str) -> list[str]:
    if model_type in ("tabm", AUTO, BLEND):
        return ["64,64", "96,96", "96,96,96", "192,192"]
    return ["64", "128,64", "256,128", "256,128,64"]


def _of_trees() -> list[dict[str, Any]]:
    return [
        {
            "name": "tree_depth",
            "parameterType": "int",
            "feasibleSpace": {"min": "4", "max": "8"},
        },
        {
            "name": "tree_l2",
            "parameterType": "double",
            "feasibleSpace": {"min": "1", "max": "30", "distribution": "logUniform"},
        },
    ]


def to_katib(space: Sequence[Parameter]) -> list[dict[str, Any]]:
    """Return a search space in Katib's format; parsing it returns the same space.

    Example:
        >>> to_katib([Choice("batch_size", "discrete", (64, 128))])[0]["feasibleSpace"]
        {'list': ['64', '128']}
        >>> parse(to_katib(parse(default("dnn")))) == parse(default("dnn"))
        True
    """
    return [_entry(parameter) for parameter in space]


def _entry(parameter: Parameter) -> dict[str, Any]:
    if isinstance(parameter, Choice):
        feasible: dict[str, Any] = {"list": [str(value) for value in parameter.values]}
    else:
        feasible = {
            "min": str(parameter.low),
            "max": str(parameter.high),
            "distribution": parameter.distribution,
        }
        if parameter.step is not None:
            feasible["step"] = str(parameter.step)
    return {
        "name": parameter.name,
        "parameterType": parameter.kind,
        "feasibleSpace": feasible,
    }


def _parse_entry(entry: object, where: str) -> Parameter:
    fields_ = _mapping(entry, where, ("name", "parameterType", "feasibleSpace"))
    name = _text(fields_, "name", where)
    if name not in _FIELD_TYPES:
        raise UserError(
            f"{where}: hyperparameter {name!r} is unknown.{closest(name, _FIELD_TYPES)} "
            f"Hyperparameters: {', '.join(_FIELD_TYPES)}."
        )
    where = f"{where} ({name})"
    kind = _one_of(_text(fields_, "parameterType", where), PARAMETER_TYPES, where, "parameterType")
    if "feasibleSpace" not in fields_:
        raise UserError(f"{where}: 'feasibleSpace' is missing.")
    where_feasible = f"{where}: feasibleSpace"
    keys = _CHOICE_KEYS if kind in get_args(ChoiceType) else _NUMBER_KEYS
    feasible = _mapping(fields_["feasibleSpace"], where_feasible, keys, of=f" of a {kind}")
    if kind in get_args(ChoiceType):
        parameter: Parameter = _choice(name, cast(ChoiceType, kind), feasible, where)
    else:
        parameter = _number_range(name, cast(NumberType, kind), feasible, where)
    return parameter


def _choice(name: str, kind: ChoiceType, feasible: Mapping[str, Any], where: str) -> Choice:
    given = feasible.get("list")
    if not isinstance(given, Sequence) or isinstance(given, str | bytes) or not given:
        raise UserError(
            f"{where}: feasibleSpace.list must be a list with at least one value, found {given!r}."
        )
    if kind == "discrete" and _FIELD_TYPES[name] == "str":
        raise UserError(f"{where}: {name} is text; use parameterType categorical.")
    values = [_choice_value(name, value, f"{where}: feasibleSpace.list") for value in given]
    for value in values:
        if values.count(value) > 1:
            raise UserError(f"{where}: feasibleSpace.list holds {value!r} twice.")
    if kind == "discrete":
        values.sort()
    return Choice(name=name, kind=kind, values=tuple(values))


def _choice_value(name: str, value: object, where: str) -> Value:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise UserError(f"{where}: expected text or a number, found {value!r}.")
    kind = _FIELD_TYPES[name]
    if kind != "str":
        number = _decimal(value, where)
        if kind == "int" and number != number.to_integral_value():
            raise UserError(f"{where}: {name} takes whole numbers, found {value!r}.")
        return int(number) if kind == "int" else float(number)
    # A KFP struct turns 64 into 64.0, and "64.0" is not a valid layer width.
    is_whole = isinstance(value, float) and value.is_integer()
    text = str(int(value)) if is_whole else str(value)
    if name == "hidden_units":
        # Spaces have no meaning here, and the shell that starts a Katib trial would drop them.
        text = ",".join(part.strip() for part in text.split(","))
    if name == "model_type" and text not in MODEL_TYPES:
        raise UserError(
            f"{where}: model type {text!r} is unknown.{closest(text, MODEL_TYPES)} "
            f"Model types: {', '.join(MODEL_TYPES)}."
        )
    return text


def _number_range(name: str, kind: NumberType, feasible: Mapping[str, Any], where: str) -> Number:
    if _FIELD_TYPES[name] == "str":
        raise UserError(f"{where}: {name} is text; use parameterType categorical, not {kind}.")
    if _FIELD_TYPES[name] == "int" and kind == "double":
        raise UserError(f"{where}: {name} takes whole numbers; use parameterType int.")
    where = f"{where}: feasibleSpace"
    low = _bound(feasible, "min", kind, where)
    high = _bound(feasible, "max", kind, where)
    if low > high:
        raise UserError(f"{where}: min {low} is larger than max {high}.")
    distribution: Distribution = "uniform"
    if feasible.get("distribution") not in (None, ""):
        given = _text(feasible, "distribution", where)
        distribution = cast(Distribution, _one_of(given, DISTRIBUTIONS, where, "distribution"))
    if distribution in ("logUniform", "logNormal") and low <= 0:
        raise UserError(f"{where}: {distribution} needs a min above 0, found {low}.")
    step = None
    if feasible.get("step") not in (None, ""):
        step = _bound(feasible, "step", kind, where)
        if step <= 0:
            raise UserError(f"{where}: step must be above 0, found {step}.")
        if step > high - low > 0:
            raise UserError(
                f"{where}: step {step} is larger than the range from {low} to {high}, so min would "
                "be the only value."
            )
    elif kind == "int":
        step = Decimal(1)
    return Number(name=name, kind=kind, low=low, high=high, step=step, distribution=distribution)


def _bound(feasible: Mapping[str, Any], key: str, kind: NumberType, where: str) -> Decimal:
    if feasible.get(key) in (None, ""):
        raise UserError(f"{where}: '{key}' is missing; a {kind} has min and max.")
    number = _decimal(feasible[key], f"{where}.{key}")
    if kind == "int" and number != number.to_integral_value():
        raise UserError(f"{where}.{key}: an int takes whole numbers, found {feasible[key]!r}.")
    return number


def _decimal(value: object, where: str) -> Decimal:
    number = None
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        try:
            number = Decimal(str(value).strip())
        except InvalidOperation:
            number = None
    # Training uses doubles, so a bound must fit into one.
    if number is None or not number.is_finite() or not math.isfinite(float(number)):
        raise UserError(f"{where}: expected a finite number, found {value!r}.")
    return number


def _mapping(value: object, where: str, keys: Sequence[str], of: str = "") -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise UserError(
            f"{where}: expected an object with {', '.join(keys)}; found {type(value).__name__}."
        )
    for key in value:
        if key not in keys:
            raise UserError(
                f"{where}: unknown field {key!r}{of}.{closest(str(key), keys)} "
                f"Fields: {', '.join(keys)}."
            )
    return value


def _text(value: Mapping[str, Any], key: str, where: str) -> str:
    found = value.get(key)
    if not isinstance(found, str) or not found:
        raise UserError(
            f"{where}: '{key}' "
            + ("is missing." if found in (None, "") else f"must be text, found {found!r}.")
        )
    return found


def _one_of(value: str, allowed: Sequence[str], where: str, field: str) -> str:
    if value not in allowed:
        raise UserError(
            f"{where}: {field} {value!r} is unknown.{closest(value, allowed)} "
            f"Expected one of {', '.join(allowed)}."
        )
    return value
