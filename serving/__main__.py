"""`python -m kfp_tabular.serving`: serves one model until it is told to stop."""

import logging
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack

from kfp_tabular.components.common.errors import reported_to_user
from kfp_tabular.serving.auth import keys
from kfp_tabular.serving.model.model_repository import find
from kfp_tabular.serving.process import logging_setup, serving_process, supervisor
from kfp_tabular.serving.process.listening_socket import bind, reserve
from kfp_tabular.serving.settings.command_line import parse


def main(arguments: Sequence[str] | None = None) -> None:
    """Serves the model that the command line and the environment name.

    Args:
        arguments: The command line; the process's own where None.

    Raises:
        SystemExit: With code 0 after SIGTERM or SIGINT, 2 for a wrong setting or model.
    """
    given = sys.argv[1:] if arguments is None else arguments
    serving_process.end_cleanly_on_signals()
    logging_setup.configure()
    with reported_to_user(), ExitStack() as stack:
        settings = parse(given, os.environ)
        logging_setup.set_access_log(settings.access_log)
        serving_process.check_temporary_directory()
        if settings.authentication.keys:
            # They are read again once the model is loaded; what is wrong is said at once.
            keys.read(settings.authentication.keys)
        source = find(settings.model, settings.name)
        listener = stack.enter_context(bind(settings.host, settings.port))
        grpc_port = None
        if settings.grpc_port is not None:
            holder = stack.enter_context(reserve(settings.host, settings.grpc_port))
            grpc_port = holder.getsockname()[1]
        if settings.workers > 1:
            code = supervisor.supervise(settings, given, listener, grpc_port)
            if code:
                raise SystemExit(code)
        else:
            serving_process.run(source, settings, listener, grpc_port)


if __name__ == "__main__":
    main()
    # Python would take TensorFlow apart for a second or more, and a stop has a deadline.
    logging.shutdown()
    os._exit(0)
