"""`python -m kfp_tabular.serving`: serves one model until SIGTERM or SIGINT."""

import logging
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack

from kfp_tabular.components.common.errors import reported_to_user
from kfp_tabular.serving.auth import keys
from kfp_tabular.serving.metrics import sharing
from kfp_tabular.serving.model.model_repository import find_model_source
from kfp_tabular.serving.process import logging_setup, serving_process, supervisor
from kfp_tabular.serving.process.listening_socket import bind_socket, reserve_port
from kfp_tabular.serving.settings.command_line import parse


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve the model that the command line and the environment name.

    Args:
        arguments: The command line; None for the process's own.

    Raises:
        SystemExit: With code 2 for an invalid setting or model. After SIGTERM or SIGINT the process
            ends with code 0.
    """
    given = sys.argv[1:] if arguments is None else arguments
    serving_process.end_cleanly_on_signals()
    logging_setup.configure()
    with reported_to_user(), ExitStack() as stack:
        settings = parse(given, os.environ)
        logging_setup.set_access_log(settings.access_log)
        serving_process.need_no_temporary_directory()
        if settings.authentication.auth_keys:
            # Report an error at once; the keys are read again when the model is loaded.
            keys.read_keys(settings.authentication.auth_keys)
        source = find_model_source(settings.model, settings.name)
        listener = stack.enter_context(bind_socket(settings.host, settings.port))
        grpc_port = None
        if settings.grpc_port is not None:
            holder = stack.enter_context(reserve_port(settings.host, settings.grpc_port))
            grpc_port = holder.getsockname()[1]
        if settings.workers > 1:
            code = supervisor.supervise(settings, given, listener, grpc_port)
            if code:
                raise SystemExit(code)
        else:
            sharing.no_sharing()
            serving_process.run(source, settings, listener, grpc_port)


if __name__ == "__main__":
    main()
    # Python would take a second or more to tear TensorFlow down, and a stop has a deadline.
    logging.shutdown()
    os._exit(0)
