"""Reads the settings: a flag wins over an environment variable, which wins over the default."""

import argparse
import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from kfp_tabular.components.common import options
from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.serving.settings.server_settings import ServerSettings

PROGRAM = "python -m kfp_tabular.serving"

ENVIRONMENT_PREFIX = "KFP_TABULAR_SERVING_"
"""`--max-rows` is also `KFP_TABULAR_SERVING_MAX_ROWS`."""

_SERVICE_LINK = re.compile(
    rf"{ENVIRONMENT_PREFIX}(SERVICE_(HOST|PORT).*=.*|PORT_[0-9].*=.*|PORT=(tcp|udp|sctp)://.*)"
)
"""Variables that Kubernetes adds for a Service named `kfp-tabular-serving`."""


def parse(arguments: Sequence[str], environment: Mapping[str, str]) -> ServerSettings:
    """Read the settings.

    Args:
        arguments: The command line, without the program's name.
        environment: Environment variables. Those without `ENVIRONMENT_PREFIX`, and empty ones, are
            ignored.

    Raises:
        UserError: If a value does not fit, a flag or a variable with the prefix is unknown, or the
            model is missing.
        SystemExit: With code 0 after `--help`.

    Example:
        >>> parse(["--model", "models/fraud"], {"KFP_TABULAR_SERVING_PORT": "9000"}).port
        9000
    """
    fields = _fields(ServerSettings)
    texts = _from_environment(environment, fields) | _from_flags(arguments, fields)
    values: dict[str, Any] = {}
    for name, (text, source) in texts.items():
        try:
            values[name] = fields[name].metadata["read"](text)
        except ValueError as error:
            raise UserError(f"{source}: expected {error}, found {text!r}.") from None
    if not values.get("model"):
        raise UserError(
            f"--model (or {ENVIRONMENT_PREFIX}MODEL) is missing: give a model's directory or "
            "<repository>/<name>."
        )
    return options.build(ServerSettings, values)


def _fields(kind: Any) -> dict[str, "dataclasses.Field[Any]"]:
    """Return the settings by name, those of nested dataclasses among them."""
    found: dict[str, dataclasses.Field[Any]] = {}
    for field in dataclasses.fields(kind):
        found |= {field.name: field} if field.metadata else _fields(field.type)
    return found


def _from_environment(
    environment: Mapping[str, str], known: Mapping[str, Any]
) -> dict[str, tuple[str, str]]:
    """Return the text and the source of each setting that a variable gives."""
    names = {ENVIRONMENT_PREFIX + name.upper(): name for name in known}
    found = {}
    for variable, text in environment.items():
        if not variable.startswith(ENVIRONMENT_PREFIX):
            continue
        if _SERVICE_LINK.fullmatch(f"{variable}={text}"):
            continue
        if variable not in names:
            raise UserError(f"unknown environment variable {variable}.{closest(variable, names)}")
        if text:
            found[names[variable]] = text, f"environment variable {variable}"
    return found


def _from_flags(
    arguments: Sequence[str], fields: Mapping[str, "dataclasses.Field[Any]"]
) -> dict[str, tuple[str, str]]:
    """Return the text and the source of each setting that a flag gives."""
    parser = _Parser(
        prog=PROGRAM,
        description="Serve a model that train_model exported, over KServe's v1 and v2 protocols.",
        epilog="Each flag is also an environment variable: --max-rows is "
        f"{ENVIRONMENT_PREFIX}MAX_ROWS. A flag wins.",
        allow_abbrev=False,
    )
    for name, field in fields.items():
        shown = field.metadata["shown_default"] or _as_text(field.default)
        text = f"{field.metadata['meaning']} (default: {shown})"
        if field.type is bool:
            parser.add_argument(_flag(name), nargs="?", const="true", help=text)
        else:
            parser.add_argument(_flag(name), metavar=field.metadata["metavar"], help=text)
    given, unknown = parser.parse_known_args(arguments)
    if unknown:
        flag = unknown[0].partition("=")[0]
        raise UserError(f"unknown argument {flag!r}.{closest(flag, map(_flag, fields))}")
    return {name: (text, _flag(name)) for name, text in vars(given).items() if text is not None}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message[:1].lower()}{message[1:]}; --help lists all flags.")


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _as_text(value: Any) -> str:
    """Return a value as one would write it behind the flag."""
    if value is None:
        return "off"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, frozenset):
        return ",".join(sorted(value))
    return f"{value:g}" if isinstance(value, float) else str(value)
