"""Configuration documents: nested keys and values, checked into frozen dataclasses.

The dataclass is the schema: its fields are the known keys, with their types, and the defaults are
the values of keys left out. The metadata of a field may hold a further check,
`field(metadata={"check": function})`, which takes the value and raises `ValueError`.
"""

import dataclasses
import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar, get_args, get_origin

from kfp_tabular.components.common.errors import UserError, closest

T = TypeVar("T")

Check = Callable[[Any], None]
"""Takes a value; raises `ValueError` with what was expected where the value does not fit.

An attribute `hint` of the error, with a leading space, is appended to the message."""


class NotAllowedError(ValueError):
    """A value that is not one of those allowed.

    Attributes:
        allowed: The values that are allowed.
        hint: `" Did you mean 'a'?"` if an allowed value is similar, else empty. It goes at the end
            of the message.
    """

    def __init__(self, value: Any, allowed: Collection[str]) -> None:
        *others, last = allowed
        choice = f"{', '.join(others)} or {last}" if others else last
        super().__init__(f"expected {choice}")
        self.allowed = tuple(allowed)
        self.hint = closest(str(value), allowed)


_DURATION = re.compile(r"([0-9]+)\s*([smhd]?)")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


def parse(kind: type[T], document: Any, source: str) -> T:
    """Return a dataclass filled from a document.

    A number is accepted as text (`cpu: 2`), and a whole float as an integer, because YAML and KFP's
    structs convert them.

    Args:
        kind: A frozen dataclass; fields are text, numbers, booleans, `X | None`, tuples of those,
            mappings from text to text or to anything, or dataclasses again.
        document: The content of a YAML or JSON file.
        source: The name of the document in errors, such as `cluster.yaml: tasks.train-model`.

    Raises:
        UserError: For the first unknown key (with a hint at similar ones), missing key or value
            that does not fit.

    Example:
        >>> @dataclasses.dataclass(frozen=True)
        ... class Task:
        ...     cpu: str = ""
        ...     retries: int = 0
        >>> parse(Task, {"cpu": 2, "retries": 3.0}, "cluster.yaml: tasks.train-model")
        Task(cpu='2', retries=3)
        >>> parse(Task, {"retires": 3}, "cluster.yaml: tasks.train-model")
        Traceback (most recent call last):
        ...
        kfp_tabular.components.common.errors.UserError: cluster.yaml: tasks.train-model: unknown
        key 'retires'. Did you mean 'retries'? Known: cpu, retries.
    """
    if not isinstance(document, Mapping):
        raise _misfit(source, "keys and values", document)
    known = {entry.name: entry for entry in dataclasses.fields(kind)}  # type: ignore[arg-type]
    values = {}
    check_keys(document, known, source)
    for key, given in document.items():
        values[key] = _value(known[key].type, given, f"{source}.{key}")
        _check(known[key], values[key], f"{source}.{key}")
    for name, entry in known.items():
        if name not in values and _is_required(entry):
            raise UserError(f"{source}: {name!r} is missing.")
    try:
        return kind(**values)
    except ValueError as error:
        raise UserError(f"{source}: {error}") from error


def check_keys(document: Iterable[Any], known: Collection[str], source: str) -> None:
    """Check that a document has only known keys.

    Raises:
        UserError: For the first unknown key, with a hint at similar ones.

    Example:
        >>> check_keys({"epoch": 3}, ["epochs", "seed"], "training.yaml")
        Traceback (most recent call last):
        ...
        kfp_tabular.components.common.errors.UserError: training.yaml: unknown key 'epoch'.
        Did you mean 'epochs'? Known: epochs, seed.
    """
    for key in document:
        if key not in known:
            raise UserError(
                f"{source}: unknown key {key!r}.{closest(str(key), known)} "
                f"Known: {', '.join(known)}."
            )


def _is_required(entry: "dataclasses.Field[Any]") -> bool:
    missing = dataclasses.MISSING
    return entry.default is missing and entry.default_factory is missing


def _check(entry: "dataclasses.Field[Any]", value: Any, source: str) -> None:
    check: Check | None = entry.metadata.get("check")
    # Empty text where that is the default means the same as leaving the key out.
    if check is None or value is None or value == entry.default == "":
        return
    try:
        check(value)
    except ValueError as error:
        # The check names the key. Other values of a mapping, such as variables, may be secret.
        found = "" if isinstance(value, Mapping) else f", found {value!r}"
        hint = getattr(error, "hint", "")
        raise UserError(f"{source}: {error}{found}.{hint}") from error


def _value(kind: Any, given: Any, source: str) -> Any:
    arguments = get_args(kind)
    if type(None) in arguments:
        inner = next(argument for argument in arguments if argument is not type(None))
        return None if given is None else _value(inner, given, source)
    origin = get_origin(kind)
    if origin in (tuple, list):
        if not isinstance(given, list | tuple):
            raise _misfit(source, "a list", given)
        return origin(
            _value(arguments[0], item, f"{source}[{position}]")
            for position, item in enumerate(given)
        )
    if origin in (Mapping, dict):
        if not isinstance(given, Mapping):
            raise _misfit(source, "keys and values", given)
        return {
            _value(str, key, f"{source}: key"): _value(arguments[1], item, f"{source}.{key}")
            for key, item in given.items()
        }
    if dataclasses.is_dataclass(kind):
        return parse(kind, given, source)  # type: ignore[arg-type]
    return _scalar(kind, given, source)


def _scalar(kind: Any, given: Any, source: str) -> Any:
    number = isinstance(given, int | float) and not isinstance(given, bool)
    # YAML and Python's JSON have .nan and .inf; no setting allows them.
    number = number and math.isfinite(given)
    if kind is Any or (kind is bool and isinstance(given, bool)):
        return given
    if kind is str and (isinstance(given, str) or number):
        return str(int(given)) if number and given == int(given) else str(given)
    if kind is int and number and given == int(given):
        return int(given)
    if kind is float and number:
        return float(given)
    expected = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
    raise _misfit(source, expected[kind], given)


def _misfit(source: str, expected: str, given: Any) -> UserError:
    found = type(given).__name__ if isinstance(given, Mapping | list) else repr(given)
    if given is None:
        found = "nothing"
    return UserError(f"{source}: expected {expected}, found {found}.")


def one_of(*allowed: str) -> Check:
    """Return a check that a value is one of those allowed; it suggests the closest.

    Example:
        >>> check = one_of("error", "warning", "never")
        >>> check("never")
        >>> check("warnings")
        Traceback (most recent call last):
        ...
        kfp_tabular.components.common.documents.NotAllowedError: expected error, warning or never
    """

    def check(value: Any) -> None:
        if value not in allowed:
            raise NotAllowedError(value, allowed)

    return check


def at_least(least: float) -> Check:
    """Return a check that a number is not below a bound.

    Example:
        >>> check = at_least(1)
        >>> check(1)
        >>> check(0)
        Traceback (most recent call last):
        ...
        ValueError: expected at least 1
    """

    def check(value: Any) -> None:
        # Written so that NaN does not pass.
        if not value >= least:
            raise ValueError(f"expected at least {least}")

    return check


def label_name(value: str) -> None:
    """Check a DNS label (RFC 1123), the name of a Service or a volume.

    Example:
        >>> label_name("taxi-model")
        >>> label_name("taxi_model")
        Traceback (most recent call last):
        ...
        ValueError: expected at most 63 lower-case letters, digits and hyphens, ...
    """
    if not _LABEL.fullmatch(value):
        raise ValueError(
            "expected at most 63 lower-case letters, digits and hyphens, not a hyphen at an end"
        )


def resource_name(value: str) -> None:
    """Check a DNS subdomain (RFC 1123), the name of most Kubernetes resources.

    Example:
        >>> resource_name("taxi-model.v2")
        >>> resource_name("Taxi")
        Traceback (most recent call last):
        ...
        ValueError: expected a Kubernetes name: lower-case letters, digits, hyphens and dots
    """
    if len(value) > 253 or not _NAME.fullmatch(value):
        raise ValueError("expected a Kubernetes name: lower-case letters, digits, hyphens and dots")


def mount_path(value: str) -> None:
    """Check the mount path of a volume: an absolute path without a colon, not the root.

    Example:
        >>> mount_path("/mnt/data")
        >>> mount_path("data")
        Traceback (most recent call last):
        ...
        ValueError: expected an absolute path below /
    """
    if not value.startswith("/") or ":" in value or ".." in value or not value.strip("/"):
        raise ValueError("expected an absolute path below /")


def duration(value: str) -> None:
    """Check a duration: seconds, or a whole number with `s`, `m`, `h` or `d`.

    Example:
        >>> duration("30m")
        >>> duration("half an hour")
        Traceback (most recent call last):
        ...
        ValueError: expected a duration, such as 90s, 30m, 4h or 1d
    """
    seconds(value)


def seconds(value: str) -> int:
    """Return a duration in seconds.

    Args:
        value: A whole number of seconds, or with a unit: `90s`, `30m`, `4h`, `1d`. Empty is 0.

    Raises:
        ValueError: For anything else.

    Example:
        >>> seconds("90"), seconds("4h")
        (90, 14400)
    """
    if not value:
        return 0
    match = _DURATION.fullmatch(value.strip())
    if match is None:
        raise ValueError("expected a duration, such as 90s, 30m, 4h or 1d")
    return int(match.group(1)) * _SECONDS[match.group(2)]


_INT32 = 2**31 - 1


def between(least: float, most: float = _INT32) -> Check:
    """Return a check that a number is in a range, both ends included.

    Example:
        >>> check = between(0, 64)
        >>> check(64)
        >>> check(65)
        Traceback (most recent call last):
        ...
        ValueError: expected 0 to 64
    """

    def check(value: Any) -> None:
        if not least <= value <= most:
            raise ValueError(f"expected {least} to {most}")

    return check


def distinct(values: Sequence[Any], what: str) -> None:
    """Check that no value is given twice.

    Args:
        values: The values.
        what: What a value is, for the message.

    Raises:
        ValueError: For the first that is.

    Example:
        >>> distinct(["train", "eval", "train"], "split")
        Traceback (most recent call last):
        ...
        ValueError: split 'train' is given twice
    """
    repeated = [value for index, value in enumerate(values) if value in values[:index]]
    if repeated:
        raise ValueError(f"{what} {repeated[0]!r} is given twice")


def checked(check: Check, default: Any = "") -> Any:
    """Return a dataclass field with a default and a check.

    Example:
        >>> @dataclasses.dataclass(frozen=True)
        ... class Pool:
        ...     workers: int = checked(between(1, 8), 2)
        >>> parse(Pool, {}, "pool.yaml")
        Pool(workers=2)
        >>> parse(Pool, {"workers": 9}, "pool.yaml")
        Traceback (most recent call last):
        ...
        kfp_tabular.components.common.errors.UserError: pool.yaml.workers: expected 1 to 8, found 9.
    """
    return dataclasses.field(default=default, metadata={"check": check})


def required(check: Check) -> Any:
    """Return a dataclass field that must be given, with a check.

    Example:
        >>> @dataclasses.dataclass(frozen=True)
        ... class Volume:
        ...     claim: str = required(resource_name)
        >>> parse(Volume, {}, "volume")
        Traceback (most recent call last):
        ...
        kfp_tabular.components.common.errors.UserError: volume: 'claim' is missing.
    """
    return dataclasses.field(metadata={"check": check})


def mapping(check: Check) -> Any:
    """Return a dataclass field for a mapping, empty by default, with a check.

    Example:
        >>> from kfp_tabular.components.common.pods.variables import check_variables
        >>> @dataclasses.dataclass(frozen=True)
        ... class Pod:
        ...     env: Mapping[str, str] = mapping(check_variables)
        >>> parse(Pod, {}, "pod"), parse(Pod, {"env": {"RETRIES": 3}}, "pod")
        (Pod(env={}), Pod(env={'RETRIES': '3'}))
    """
    return dataclasses.field(default_factory=dict, metadata={"check": check})
