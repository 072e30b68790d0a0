"""One process that answers: loads the model, then serves it on sockets it was given."""

import gc
import logging
import signal
import socket
import sys
import tempfile

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.serving.model.model_repository import ModelSource
from kfp_tabular.serving.process import cpu_count, logging_setup
from kfp_tabular.serving.settings.server_settings import ServerSettings

_logger = logging.getLogger("kfp_tabular.serving")


def end_cleanly_on_signals() -> None:
    """Lets SIGTERM and SIGINT end the process with code 0 while nothing is served yet."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))


def check_temporary_directory() -> None:
    """Checks that there is a directory for temporary files.

    TensorFlow cannot be imported without one, and workers keep their metrics there.

    Raises:
        UserError: Where there is none.
    """
    try:
        tempfile.gettempdir()
    except FileNotFoundError as error:
        raise UserError(
            "no directory for temporary files can be written; give one in TMPDIR, with a read-only "
            "root file system that of an emptyDir."
        ) from error


def run(
    source: ModelSource, settings: ServerSettings, listener: socket.socket, grpc_port: int | None
) -> None:
    """Loads a model and serves it until the process is told to stop.

    Args:
        source: Where the model comes from.
        settings: How to serve.
        listener: A bound socket for REST.
        grpc_port: The port that is reserved for gRPC; None for no gRPC.

    Raises:
        UserError: Where the model cannot be loaded or the address cannot be served on.
    """
    _logger.info("loading %s", source.path)
    # KServe reads the process's command line when it is imported.
    sys.argv = sys.argv[:1]
    with logging_setup.without_start_up_notes():
        # Both take seconds to import; nothing above needs them.
        from kfp_tabular.serving.model.predictor import use_threads
        from kfp_tabular.serving.process.model_server import ModelServer

        threads = -(-cpu_count.available() // settings.workers)
        use_threads(threads)
        _set_imports_apart()
        server = ModelServer(settings, listener, grpc_port, threads)
        following = server.load(source)
    server.start(following)


def _set_imports_apart() -> None:
    """Keeps the garbage collector away from what was imported: 400,000 objects that stay.

    A full collection takes 0.25 s with them, in which nobody is answered, and 2 ms without. What a
    model version brings comes later, and is collected when the version is replaced.
    """
    gc.collect()
    gc.freeze()
