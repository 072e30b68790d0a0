"""One of several worker processes. The supervisor starts it, as `python -m` this module."""

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence

from kfp_tabular.components.common.errors import reported_to_user
from kfp_tabular.serving.model.model_repository import find
from kfp_tabular.serving.process import logging_setup, serving_process
from kfp_tabular.serving.settings.command_line import parse


def main(arguments: Sequence[str]) -> None:
    """Serves on inherited sockets.

    Args:
        arguments: The file descriptors of the listening socket and of the lifeline, the port that
            is reserved for gRPC or `off`, and then what the server was given.

    Raises:
        SystemExit: With code 0 after SIGTERM, or when the process that started this one has ended.
    """
    listener, lifeline, grpc_port, *rest = arguments
    serving_process.end_cleanly_on_signals()
    threading.Thread(target=_follow, args=[int(lifeline)], daemon=True).start()
    logging_setup.configure(with_process=True)
    with reported_to_user():
        settings = parse(rest, os.environ)
        logging_setup.set_access_log(settings.access_log)
        serving_process.run(
            find(settings.model, settings.name),
            settings,
            socket.socket(fileno=int(listener)),
            None if grpc_port == "off" else int(grpc_port),
        )


def _follow(lifeline: int) -> None:
    """Ends this process as SIGTERM does once the lifeline's other end is gone.

    Nobody would restart this worker, nor tell it to stop.
    """
    os.read(lifeline, 1)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main(sys.argv[1:])
    # Python would take TensorFlow apart for a second or more, and a stop has a deadline.
    logging.shutdown()
    os._exit(0)
