"""A serving process: loads the model, then serves it on sockets that it was given."""

import gc
import logging
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable

from kfp_tabular.serving.model.model_repository import ServedModelSource
from kfp_tabular.serving.process import logging_setup
from kfp_tabular.serving.process.cpu_count import available_cpus
from kfp_tabular.serving.settings.server_settings import ServerSettings

_logger = logging.getLogger("kfp_tabular.serving")


def end_cleanly_on_signals() -> None:
    """End the process with code 0 on SIGTERM and SIGINT while it does not serve yet.

    At once, without an exception: one that is raised while a C extension is being imported comes
    out as an ImportError of that extension, and the process would end with code 1.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))


def need_no_temporary_directory(log: Callable[..., None] = _logger.warning) -> None:
    """Go on where no temporary file can be written: on a full disk, or a read-only one.

    TensorFlow asks for the directory's name when it is imported, and writes nothing there.

    Args:
        log: Logs that this is so.
    """
    try:
        tempfile.gettempdir()
    except FileNotFoundError:
        tempfile.tempdir = os.environ.get("TMPDIR") or "/tmp"  # noqa: S108  only the name is used
        log(
            "%s and the other directories for temporary files are full or read-only; serving needs "
            "none",
            tempfile.tempdir,
        )


def run(
    source: ServedModelSource,
    settings: ServerSettings,
    listener: socket.socket,
    grpc_port: int | None,
    heartbeat: int | None = None,
) -> None:
    """Load a model and serve it until SIGTERM or SIGINT.

    Args:
        source: Where the model's versions are.
        settings: How to serve.
        listener: A bound socket for HTTP.
        grpc_port: The reserved port for gRPC; None for no gRPC.
        heartbeat: The file descriptor for signs of life; None without a supervisor.

    Raises:
        UserError: If the model cannot be loaded, or the server cannot listen.
    """
    _logger.info("loading %s", source.path)
    # KServe parses the process's command line when it is imported.
    sys.argv = sys.argv[:1]
    with logging_setup.without_start_up_notes():
        # Both take seconds to import, and nothing above needs them.
        from kfp_tabular.serving.model.predictor import use_threads
        from kfp_tabular.serving.process.model_server import ModelServer

        threads = -(-available_cpus() // settings.workers)
        use_threads(threads)
        _exclude_imports_from_collection()
        server = ModelServer(settings, listener, grpc_port, threads)
        reloader = server.load(source)
    server.start(reloader, heartbeat)


def _exclude_imports_from_collection() -> None:
    """Exclude the objects of imported modules, about 400,000, from garbage collection.

    A full collection takes 0.25 s with them, in which no request is answered, and 2 ms without.
    Objects of a model version are created later, and collected when the version is replaced.
    """
    gc.collect()
    gc.freeze()
