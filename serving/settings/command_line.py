"""What a server can be told: by a flag, else by an environment variable, else a default."""

import argparse
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.serving.settings.server_settings import (
    MEBIBYTE,
    AuthenticationSettings,
    BatchSettings,
    Opening,
    RequestLimits,
    ServerSettings,
    ValuePolicies,
    ValuePolicy,
)

ENVIRONMENT_PREFIX = "KFP_TABULAR_SERVING_"
"""`--max-rows` is also `KFP_TABULAR_SERVING_MAX_ROWS`. A flag wins."""

_SERVICE_LINK = re.compile(
    rf"{ENVIRONMENT_PREFIX}(SERVICE_(HOST|PORT).*=.*|PORT_[0-9].*=.*|PORT=(tcp|udp|sctp)://.*)"
)
"""What Kubernetes puts into the environment for a Service that is called `kfp-tabular-serving`."""


@dataclass(frozen=True)
class _Option:
    """One setting as text: `convert` raises ValueError with what was expected."""

    name: str
    convert: Callable[[str], Any]
    shown_default: str
    help: str
    metavar: str | None = None

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        return ENVIRONMENT_PREFIX + self.name.upper()


def parse(arguments: Sequence[str], environment: Mapping[str, str]) -> ServerSettings:
    """Reads the settings.

    Args:
        arguments: The command line, without the program's name.
        environment: The environment's variables; those without `ENVIRONMENT_PREFIX` are left
            alone.

    Raises:
        UserError: For a value that does not fit, an unknown variable with the prefix, or no model.
        SystemExit: With code 2 for an unknown flag, with 0 for `--help`.
    """
    variables = {option.variable: option for option in _OPTIONS}
    environment = {
        name: value
        for name, value in environment.items()
        if name.startswith(ENVIRONMENT_PREFIX) and not _SERVICE_LINK.fullmatch(f"{name}={value}")
    }
    for name in environment:
        if name not in variables:
            raise UserError(f"environment variable {name} is unknown.{closest(name, variables)}")
    flags = vars(_parser().parse_args(arguments))
    values: dict[str, Any] = {}
    for option in _OPTIONS:
        if flags[option.name] is not None:
            text, source = flags[option.name], option.flag
        elif environment.get(option.variable, "") != "":
            text, source = environment[option.variable], f"environment variable {option.variable}"
        else:
            continue
        try:
            values[option.name] = option.convert(text)
        except ValueError as error:
            raise UserError(f"{source}: expected {error}, found {text!r}.") from None
    if not values.get("model"):
        raise UserError(
            f"--model (or {ENVIRONMENT_PREFIX}MODEL) is missing; give a model's directory, or "
            "<repository>/<name>."
        )
    return _settings(values)


def _settings(values: Mapping[str, Any]) -> ServerSettings:
    """Puts converted values into place; what is absent has its default."""
    rest = dict(values)
    limits, policies, authentication, batches = (
        RequestLimits(),
        ValuePolicies(),
        AuthenticationSettings(),
        BatchSettings(),
    )
    return ServerSettings(
        limits=RequestLimits(
            rows=rest.pop("max_rows", limits.rows),
            body=rest.pop("max_body_mib", limits.body // MEBIBYTE) * MEBIBYTE,
        ),
        policies=ValuePolicies(
            unseen=rest.pop("unseen_values", policies.unseen),
            out_of_range=rest.pop("out_of_range", policies.out_of_range),
        ),
        authentication=AuthenticationSettings(
            keys=rest.pop("auth_keys", authentication.keys),
            open=rest.pop("auth_open", authentication.open),
        ),
        batches=BatchSettings(
            rows=rest.pop("batch_rows", batches.rows),
            wait_seconds=rest.pop("batch_wait_ms", batches.wait_seconds * 1000) / 1000,
            queued_rows=rest.pop("queued_rows", batches.queued_rows),
        ),
        **rest,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m kfp_tabular.serving",
        description="Serves a model that train_model exported, over KServe's v1 and v2 protocols.",
        epilog=f"Each is also an environment variable: --max-rows is {ENVIRONMENT_PREFIX}MAX_ROWS. "
        "A flag wins.",
        allow_abbrev=False,
    )
    for option in _OPTIONS:
        help_text = f"{option.help} (default: {option.shown_default})"
        if option.convert is _yes_or_no:
            parser.add_argument(option.flag, nargs="?", const="true", help=help_text)
        else:
            parser.add_argument(option.flag, metavar=option.metavar, help=help_text)
    return parser


def _text(text: str) -> str:
    return text


def _yes_or_no(text: str) -> bool:
    words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if text.lower() not in words:
        raise ValueError("true or false")
    return words[text.lower()]


def _whole(lowest: int, highest: int | None = None) -> Callable[[str], int]:
    expected = f"a whole number from {lowest}" + ("" if highest is None else f" to {highest}")

    def convert(text: str) -> int:
        if not (text.isascii() and text.isdecimal()):
            raise ValueError(expected)
        number = int(text)
        if number < lowest or (highest is not None and number > highest):
            raise ValueError(expected)
        return number

    return convert


def _port_or_off(text: str) -> int | None:
    if text.lower() == "off":
        return None
    try:
        return _port(text)
    except ValueError as error:
        raise ValueError(f"{error}, or off") from None


def _amount(unit: str) -> Callable[[str], float]:
    def convert(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not 0 <= number < math.inf:
            raise ValueError(f"{unit}, 0 or more")
        return number

    return convert


def _openings(text: str) -> frozenset[Opening]:
    known: tuple[Opening, ...] = get_args(Opening)
    words = [] if text == "none" else [word.strip() for word in text.split(",") if word.strip()]
    if not set(words) <= set(known):
        raise ValueError(f"some of {', '.join(known)}, separated by commas, or none")
    return frozenset(word for word in known if word in words)


def _policy(text: str) -> ValuePolicy:
    words: tuple[ValuePolicy, ...] = get_args(ValuePolicy)
    for policy in words:
        if text == policy:
            return policy
    raise ValueError(" or ".join(words))


_port = _whole(0, 2**16 - 1)
_seconds = _amount("seconds")
_DEFAULTS = ServerSettings()
_OPTIONS = (
    _Option(
        "model",
        _text,
        "none, it must be given",
        "a model's directory, or <repository>/<name>, whose newest version is served",
        "DIR",
    ),
    _Option(
        "name", _text, "the model's name in its repository", "the name in the endpoint's paths"
    ),
    _Option("host", _text, _DEFAULTS.host, "the address to listen on"),
    _Option("port", _port, str(_DEFAULTS.port), "the port of REST; 0 takes a free one"),
    _Option(
        "grpc_port",
        _port_or_off,
        "off",
        "the port of gRPC, KServe's is 8081; 0 takes a free one",
        "PORT|off",
    ),
    _Option("workers", _whole(1), str(_DEFAULTS.workers), "processes that answer"),
    _Option("max_rows", _whole(1), str(_DEFAULTS.limits.rows), "the most rows in a request"),
    _Option(
        "max_body_mib",
        # gRPC takes a message's size as an int32.
        _whole(1, 2047),
        str(_DEFAULTS.limits.body // MEBIBYTE),
        "the largest body of a request, or gRPC message, in MiB",
        "MIB",
    ),
    _Option(
        "unseen_values",
        _policy,
        _DEFAULTS.policies.unseen,
        "values that are not among those that the schema lists",
        "reject|count",
    ),
    _Option(
        "out_of_range",
        _policy,
        _DEFAULTS.policies.out_of_range,
        "numbers beyond the range in the schema",
        "reject|count",
    ),
    _Option(
        "auth_keys",
        _text,
        "none, anybody may ask",
        "named keys that clients must present one of: a mounted secret",
        "FILE|DIR",
    ),
    _Option(
        "auth_open",
        _openings,
        ",".join(sorted(_DEFAULTS.authentication.open)),
        f"what needs no key: some of {', '.join(get_args(Opening))}, or none",
        "LIST",
    ),
    _Option(
        "batch_rows",
        _whole(1),
        str(_DEFAULTS.batches.rows),
        "put concurrent requests together up to so many rows; 1 leaves each alone",
        "ROWS",
    ),
    _Option(
        "batch_wait_ms",
        _amount("milliseconds"),
        f"{_DEFAULTS.batches.wait_seconds * 1000:g}",
        "how long a request may wait for company while the model is busy",
        "MILLISECONDS",
    ),
    _Option(
        "queued_rows",
        _whole(1),
        str(_DEFAULTS.batches.queued_rows),
        "rows that may wait for the model; requests beyond are refused with 503",
        "ROWS",
    ),
    _Option(
        "reload_seconds",
        _seconds,
        f"{_DEFAULTS.reload_seconds:g}",
        "how often to look for a new version under <repository>/<name>; 0 is never",
        "SECONDS",
    ),
    _Option(
        "drain_seconds",
        _seconds,
        f"{_DEFAULTS.drain_seconds:g}",
        "how long to go on answering after SIGTERM while the readiness probes say no",
        "SECONDS",
    ),
    _Option(
        "grace_seconds",
        _seconds,
        f"{_DEFAULTS.grace_seconds:g}",
        "how long requests under way may take to end after that",
        "SECONDS",
    ),
    _Option("access_log", _yes_or_no, "false", "log a line per REST request"),
)
