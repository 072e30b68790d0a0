"""`python -m kfp_tabular.serving`: serves one model over HTTP until it is told to stop."""

import argparse
import logging
import os
import signal
import sys
from collections.abc import Sequence

from kfp_tabular.components.common.errors import reported_to_user
from kfp_tabular.components.common.model import ModelSpec
from kfp_tabular.serving import cpus, logs
from kfp_tabular.serving.listener import bind
from kfp_tabular.serving.repository import Found, find
from kfp_tabular.serving.settings import MEBIBYTE, Limits, Settings

_logger = logging.getLogger("kfp_tabular.serving")


def main(arguments: Sequence[str] | None = None) -> None:
    """Serves the model that the command line names.

    Args:
        arguments: The command line; the process's own where None.

    Raises:
        SystemExit: With code 0 after SIGTERM or SIGINT, 2 for a wrong argument or model.
    """
    options = _parser().parse_args(arguments)
    # KServe reads the process's command line when it is imported.
    sys.argv = sys.argv[:1]
    logs.configure(access_log=options.access_log)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    settings = Settings(
        host=options.host,
        port=options.port,
        limits=Limits(rows=options.max_rows, body=options.max_body_mib * MEBIBYTE),
        grace_seconds=options.grace_seconds,
        access_log=options.access_log,
    )
    with reported_to_user():
        found = find(options.model, options.name)
        ModelSpec.load(found.directory)
        serve(found, settings)


def serve(found: Found, settings: Settings) -> None:
    """Loads a model and serves it until the process is told to stop.

    Args:
        found: The model.
        settings: How to serve.

    Raises:
        UserError: Where the model cannot be loaded or the address cannot be served on.
    """
    with bind(settings.host, settings.port) as listener:
        _logger.info("loading %s", found.directory)
        with logs.without_start_up_notes():
            # Both take seconds to import; nothing above needs them.
            from kfp_tabular.serving.model import TabularModel
            from kfp_tabular.serving.predictor import use_threads
            from kfp_tabular.serving.server import Server

            threads = cpus.available()
            use_threads(threads)
            model = TabularModel(found, settings.limits, threads)
            model.load()
        Server(settings, listener).start([model])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m kfp_tabular.serving",
        description="Serves a model that train_model exported, over KServe's v1 and v2 protocols.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )
    defaults = Settings()
    parser.add_argument(
        "--model",
        required=True,
        metavar="DIR",
        help="a model's directory, or <repository>/<name>, whose newest version is served",
    )
    parser.add_argument(
        "--name",
        default="",
        help="the name in the endpoint's paths (default: the model's name in its repository)",
    )
    parser.add_argument("--host", default=defaults.host, help="the address to listen on")
    parser.add_argument("--port", type=_whole(0), default=defaults.port, help="0 takes a free one")
    parser.add_argument(
        "--max-rows",
        type=_whole(1),
        default=defaults.limits.rows,
        help="the most rows in a request",
    )
    parser.add_argument(
        "--max-body-mib",
        type=_whole(1),
        default=defaults.limits.body // MEBIBYTE,
        help="the largest body of a request, in MiB",
    )
    parser.add_argument(
        "--grace-seconds",
        type=_whole(0),
        default=defaults.grace_seconds,
        help="how long requests under way may take to end after SIGTERM",
    )
    parser.add_argument("--access-log", action="store_true", help="log a line per request")
    return parser


class _whole:  # noqa: N801  argparse shows the name
    """An argument's type: a whole number from a lowest one up."""

    def __init__(self, lowest: int) -> None:
        self._lowest = lowest

    def __call__(self, text: str) -> int:
        number = int(text)
        if number < self._lowest:
            raise argparse.ArgumentTypeError(f"{text} is below {self._lowest}")
        return number


if __name__ == "__main__":
    main()
    # Python would take TensorFlow apart for a second or more, and a stop has a deadline.
    logging.shutdown()
    os._exit(0)
