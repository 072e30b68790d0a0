"""One of several worker processes. The supervisor starts it, as `python -m` this module."""

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence

from kfp_tabular.components.common.errors import reported_to_user
from kfp_tabular.serving.metrics import sharing
from kfp_tabular.serving.model.model_repository import find_model_source
from kfp_tabular.serving.process import logging_setup, serving_process
from kfp_tabular.serving.settings.command_line import parse

NO_MEMORY = "the workers could not get memory to share them; the server's log gives the reason"


def main(arguments: Sequence[str]) -> None:
    """Serve on inherited sockets.

    Args:
        arguments: The file descriptors of the listening socket, of the lifeline, for signs of life
            and of the memory for metrics or `off`, this worker's number from 0, the reserved port
            for gRPC or `off`, and then the server's command line.

    Raises:
        SystemExit: With code 2 for an invalid setting or model. After SIGTERM, or after the end of
            the process that started this one, the process ends with code 0.
    """
    listener, lifeline, heartbeat, memory, number, grpc_port, *rest = arguments
    serving_process.end_cleanly_on_signals()
    threading.Thread(target=_end_with_parent, args=[int(lifeline)], daemon=True).start()
    logging_setup.configure(with_process=True)
    with reported_to_user():
        settings = parse(rest, os.environ)
        logging_setup.set_access_log(settings.access_log)
        # The supervisor has logged it.
        serving_process.need_no_temporary_directory(log=lambda *_: None)
        if memory == "off":
            sharing.no_sharing(NO_MEMORY)
        else:
            sharing.share(int(memory), int(number), settings.workers)
        serving_process.run(
            find_model_source(settings.model, settings.name),
            settings,
            socket.socket(fileno=int(listener)),
            None if grpc_port == "off" else int(grpc_port),
            int(heartbeat),
        )


def _end_with_parent(lifeline: int) -> None:
    """End this process as SIGTERM does, once the parent's end of the lifeline is closed.

    Without the parent, a worker would never be restarted or stopped.
    """
    os.read(lifeline, 1)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main(sys.argv[1:])
    # Python would take a second or more to tear TensorFlow down, and a stop has a deadline.
    logging.shutdown()
    os._exit(0)
