"""`python -m kfp_tabular.serving`: serves one model until it is told to stop."""

import logging
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack

from kfp_tabular.components.common.errors import reported_to_user
from kfp_tabular.serving import cpus, logs
from kfp_tabular.serving.listener import bind, reserve
from kfp_tabular.serving.repository import Source, find
from kfp_tabular.serving.settings import Settings, parse

_logger = logging.getLogger("kfp_tabular.serving")


def main(arguments: Sequence[str] | None = None) -> None:
    """Serves the model that the command line and the environment name.

    Args:
        arguments: The command line; the process's own where None.

    Raises:
        SystemExit: With code 0 after SIGTERM or SIGINT, 2 for a wrong setting or model.
    """
    logs.configure()
    with reported_to_user():
        settings = parse(sys.argv[1:] if arguments is None else arguments, os.environ)
        # KServe reads the process's command line when it is imported.
        sys.argv = sys.argv[:1]
        logs.set_access_log(settings.access_log)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: sys.exit(0))
        serve(find(settings.model, settings.name), settings)


def serve(source: Source, settings: Settings) -> None:
    """Loads a model and serves it until the process is told to stop.

    Args:
        source: Where the model comes from.
        settings: How to serve.

    Raises:
        UserError: Where the model cannot be loaded or the address cannot be served on.
    """
    with ExitStack() as stack:
        listener = stack.enter_context(bind(settings.host, settings.port))
        grpc_port = None
        if settings.grpc_port is not None:
            holder = stack.enter_context(reserve(settings.host, settings.grpc_port))
            grpc_port = holder.getsockname()[1]
        _logger.info("loading %s", source.path)
        with logs.without_start_up_notes():
            # Both take seconds to import; nothing above needs them.
            from kfp_tabular.serving.predictor import use_threads
            from kfp_tabular.serving.server import Server

            threads = cpus.available()
            use_threads(threads)
            server = Server(settings, listener, grpc_port, threads)
            following = server.load(source)
        server.start(following)


if __name__ == "__main__":
    main()
    # Python would take TensorFlow apart for a second or more, and a stop has a deadline.
    logging.shutdown()
    os._exit(0)
