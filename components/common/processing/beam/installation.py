"""Finds Beam, and makes its options and its runner."""

import importlib.util
import logging
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.processing.processing_settings import BeamSettings

if TYPE_CHECKING:
    from apache_beam.options.pipeline_options import PipelineOptions

_SECONDS_TO_CONNECT = 10.0
_JOB_ENDPOINT, _PRISM_LOCATION = "job_endpoint", "prism_location"


ENVIRONMENT = {
    # Threads of gRPC crash in a process that is forked beside them, as pyspark forks Java.
    "GRPC_ENABLE_FORK_SUPPORT": "false",
}
"""Variables that must be set before Beam is used."""


def settle_environment() -> None:
    """Set what Beam's libraries need, unless the user has set it."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)


def require() -> None:
    """Check that Beam can be imported, and make it quiet.

    Raises:
        UserError: It cannot; the message names the way out.
    """
    settle_environment()
    # It tells of each connection and each state.
    logging.getLogger("apache_beam").setLevel(logging.WARNING)
    if importlib.util.find_spec("apache_beam") is None:
        raise UserError(
            "processing: the engine beam needs apache_beam, which this environment lacks. The "
            "images tensorflow, tfdv and serving have it; or use the engine local."
        )


def require_runner(settings: BeamSettings) -> None:
    """Check that the job service answers, or that Prism is there, if the options name one.

    Raises:
        UserError: It is not.
    """
    prism = str(settings.options.get(_PRISM_LOCATION, ""))
    # What Beam would download it from is none of this.
    if prism and "://" not in prism and not Path(prism).is_file():
        raise UserError(
            f"processing.options.{_PRISM_LOCATION} {prism}: no such file. Build Prism with "
            "`go install github.com/apache/beam/sdks/v2/go/cmd/prism`, and give its path."
        )
    address = str(settings.options.get(_JOB_ENDPOINT, ""))
    if not address:
        return
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _SECONDS_TO_CONNECT).close()
    except (OSError, OverflowError) as error:
        raise UserError(
            f"processing.options.{_JOB_ENDPOINT} {address}: no job service answers "
            f"({getattr(error, 'strerror', None) or error}). Check the address and the network "
            "policy between this pod and the job service."
        ) from error


def flags(settings: BeamSettings, name: str) -> list[str]:
    """Return Beam's options as it takes them.

    Args:
        settings: The task's settings.
        name: The job's name: lowercase letters, digits and hyphens.

    Example:
        >>> flags(BeamSettings(options={"experiments": ["a", "b"], "max_num_workers": 4.0}), "job")
        ['--job_name=job', '--experiments=a', '--experiments=b', '--max_num_workers=4']
    """
    found = [f"--job_name={name}"]
    if settings.temp_location:
        found.append(f"--temp_location={settings.temp_location}")
    for key, value in settings.options.items():
        for each in value if isinstance(value, list | tuple) else [value]:
            if each is True:
                found.append(f"--{key}")
            elif each is not False:
                # KFP's structs make floats of whole numbers.
                whole = isinstance(each, float) and each.is_integer()
                found.append(f"--{key}={int(each) if whole else each}")
    return found


def options(settings: BeamSettings, name: str) -> "PipelineOptions":
    """Return Beam's options.

    Raises:
        UserError: Beam does not know one of them, or its value does not fit.
    """
    from apache_beam.options.pipeline_options import PipelineOptions

    given = flags(settings, name)
    made = PipelineOptions(given)
    try:
        known = made.get_all_options(drop_default=False, retain_unknown_options=False)
    except SystemExit:
        # Beam parses options as a command's arguments.
        raise UserError(
            f"processing.options: Beam does not accept {' '.join(given[1:])}; its own message is "
            "above."
        ) from None
    for key in settings.options:
        if key not in known and key.removeprefix("no_") not in known and not _is_flag(key):
            raise UserError(
                f"processing.options: Beam has no option {key!r}. See Beam's PipelineOptions."
            )
    return made


def runner(settings: BeamSettings) -> Any:
    """Return the runner: its name, or for `DirectRunner` the one that Python has.

    Beam's own `DirectRunner` first tries to download another runner.
    """
    if settings.runner == "DirectRunner":
        from apache_beam.runners.portability.fn_api_runner import FnApiRunner

        return FnApiRunner()
    return settings.runner


def _is_flag(key: str) -> bool:
    """Whether Beam knows an option by a name that differs from its attribute."""
    import argparse

    from apache_beam.options.pipeline_options import PipelineOptions

    for kind in PipelineOptions.__subclasses__():
        parser = argparse.ArgumentParser(allow_abbrev=False)
        kind._add_argparse_args(parser)
        if f"--{key}" in parser._option_string_actions:
            return True
    return False
