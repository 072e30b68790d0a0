"""What a server can be told: by a flag, else by an environment variable, else a default."""

import argparse
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.serving.auth.policy import OPENINGS, Opening, openings
from kfp_tabular.serving.batching import BatchSettings

MEBIBYTE = 2**20

ENVIRONMENT_PREFIX = "KFP_TABULAR_SERVING_"
"""`--max-rows` is also `KFP_TABULAR_SERVING_MAX_ROWS`. A flag wins."""

_SERVICE_LINK = re.compile(
    rf"{ENVIRONMENT_PREFIX}(SERVICE_(HOST|PORT).*=.*|PORT_[0-9].*=.*|PORT=(tcp|udp|sctp)://.*)"
)
"""What Kubernetes puts into the environment for a Service that is called `kfp-tabular-serving`."""

Policy = Literal["reject", "count"]
"""What to do about a value outside of what the schema gives: refuse the request with status 400,
or answer it and count the value in a metric."""


@dataclass(frozen=True)
class Limits:
    """The largest request that is answered.

    Attributes:
        rows: Rows in one request.
        body: Bytes in one request's body, or in one gRPC message.
    """

    rows: int = 10_000
    body: int = 32 * MEBIBYTE


@dataclass(frozen=True)
class Policies:
    """What to do about values outside of what the schema gives.

    Attributes:
        unseen: A value that is not among those the schema lists: a `string_domain`, a
            `bool_domain`, or a categorical `int_domain`. Production brings values that training
            has not seen and the model has an answer to them, so they are counted by default.
        out_of_range: A number beyond the ends of a `float_domain`, or of an `int_domain` that is
            not categorical. No such range is inferred, somebody wrote it down; so it is enforced
            by default.
    """

    unseen: Policy = "count"
    out_of_range: Policy = "reject"


@dataclass(frozen=True)
class Authentication:
    """Who may ask.

    Attributes:
        keys: A file or directory of named keys, such as a mounted secret; empty for no
            authentication. See `auth.keys.read`.
        open: What needs no key nevertheless.
    """

    keys: str = ""
    open: frozenset[Opening] = frozenset({"health"})


@dataclass(frozen=True)
class Settings:
    """What to serve, where and how.

    Attributes:
        model: A model's directory, or `<repository>/<name>`, whose newest version is served.
        name: The name in the endpoint's paths; empty for the model's name in its repository.
        host: The address to listen on.
        port: The port of REST; 0 takes a free one.
        grpc_port: The port of gRPC; 0 takes a free one, None is no gRPC.
        workers: Processes that answer. More than one are watched over and started anew when they
            end.
        limits: The largest request that is answered.
        policies: What to do about values outside of what the schema gives.
        authentication: Who may ask.
        batches: How requests share calls of the model.
        reload_seconds: How often to look for a new version under `<repository>/<name>`; 0 is never.
        drain_seconds: How long to go on answering after SIGTERM, while the readiness probes say no.
        grace_seconds: How long requests that are under way may take to end after that.
        access_log: Whether to log a line per REST request (method, path and status).
    """

    model: str = ""
    name: str = ""
    host: str = "127.0.0.1"
    port: int = 8080
    grpc_port: int | None = None
    workers: int = 1
    limits: Limits = Limits()
    policies: Policies = Policies()
    authentication: Authentication = Authentication()
    batches: BatchSettings = field(default_factory=BatchSettings)
    reload_seconds: float = 10.0
    drain_seconds: float = 0.0
    grace_seconds: float = 25.0
    access_log: bool = False


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


def parse(arguments: Sequence[str], environment: Mapping[str, str]) -> Settings:
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


def _settings(values: Mapping[str, Any]) -> Settings:
    """Puts converted values into place; what is absent has its default."""
    rest = dict(values)
    limits, policies, authentication, batches = (
        Limits(),
        Policies(),
        Authentication(),
        BatchSettings(),
    )
    return Settings(
        limits=Limits(
            rows=rest.pop("max_rows", limits.rows),
            body=rest.pop("max_body_mib", limits.body // MEBIBYTE) * MEBIBYTE,
        ),
        policies=Policies(
            unseen=rest.pop("unseen_values", policies.unseen),
            out_of_range=rest.pop("out_of_range", policies.out_of_range),
        ),
        authentication=Authentication(
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
    try:
        return openings("" if text == "none" else text)
    except UserError:
        raise ValueError(f"some of {', '.join(OPENINGS)}, separated by commas, or none") from None


def _policy(text: str) -> Policy:
    words: tuple[Policy, ...] = get_args(Policy)
    for policy in words:
        if text == policy:
            return policy
    raise ValueError(" or ".join(words))


_port = _whole(0, 2**16 - 1)
_seconds = _amount("seconds")
_DEFAULTS = Settings()
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
        f"what needs no key: some of {', '.join(OPENINGS)}, or none",
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
