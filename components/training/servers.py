"""Training with parameter servers: asynchronous, led by the chief.

The parameter servers hold the variables, the workers compute, and the chief hands out work: it
reads the rows and sends each worker some steps' worth at a time. What they run is inside
TensorFlow, so they need no data and no storage. A worker that dies is waited for while the others
go on; without a parameter server, or without the chief, the job has to start again from the
checkpoint.
"""

import itertools
import logging
import os
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from kfp_tabular.components.training import ending, peers
from kfp_tabular.components.training.layout import Rows
from kfp_tabular.components.training.program import Program
from kfp_tabular.components.training.roles import CHIEF, Place

# A file system in the memory of the process that runs the operation: the chief has it written
# there by the servers themselves.
_FINISHED = "ram://kfp-tabular/finished"

_POLL_SECONDS = 1.0
_LOST_AFTER_SECONDS = 15.0
_TELL_SECONDS = 10.0
_TASKS_PER_WORKER = 2

_logger = logging.getLogger(__name__)


def cluster_spec(here: Place) -> Any:
    """Gives the cluster as TensorFlow has it."""
    import tensorflow as tf

    return tf.train.ClusterSpec({role: list(hosts) for role, hosts in here.cluster.items()})


def make_strategy(here: Place) -> Any:
    """Connects the chief to all workers and parameter servers, and waits until they are there."""
    import tensorflow as tf

    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        cluster_spec(here), task_type=here.role, task_id=here.index, rpc_layer="grpc"
    )
    return tf.distribute.ParameterServerStrategy(resolver)


class Conductor:
    """Hands steps out to the workers.

    Args:
        strategy: From `make_strategy`.
        program: The steps.
        workers: Number of workers.
        step_rows: Rows of a step.
        patience_seconds: The longest that a call may take; then the process ends.
    """

    def __init__(
        self,
        strategy: Any,
        program: Program,
        *,
        workers: int,
        step_rows: int,
        patience_seconds: float,
    ) -> None:
        import tensorflow as tf

        self._coordinator = tf.distribute.coordinator.ClusterCoordinator(strategy)
        self._program = program
        self._tasks = workers * _TASKS_PER_WORKER
        self._step_rows = step_rows
        self._patience_seconds = patience_seconds

    def train(self, rows: Rows) -> float:
        """Runs as many steps as the rows fill, and gives their mean loss."""
        steps = len(rows) // self._step_rows
        bounds = np.linspace(0, steps, min(self._tasks, steps) + 1).round().astype(int)
        message = (
            f"the workers have not done {steps} steps in {self._patience_seconds:.0f} s; see their "
            "logs and events."
        )
        with ending.within(self._patience_seconds, message):
            results = []
            for start, stop in itertools.pairwise(bounds):
                part = rows.take(slice(start * self._step_rows, stop * self._step_rows))
                arguments = (part.numeric, part.categorical, part.label)
                results.append(self._coordinator.schedule(self._program.steps, args=arguments))
            self._coordinator.join()
            losses = [float(result.fetch()) for result in results]
        return float(np.average(losses, weights=np.diff(bounds)))


def dismiss(here: Place) -> None:
    """Tells the workers and parameter servers that all is done; one that is gone is let be."""
    tellers = [
        threading.Thread(target=_tell, args=(role, index), daemon=True)
        for role, hosts in here.cluster.items()
        if role != CHIEF
        for index in range(len(hosts))
    ]
    for teller in tellers:
        teller.start()
    deadline = time.monotonic() + _TELL_SECONDS
    for teller in tellers:
        teller.join(max(0.0, deadline - time.monotonic()))


def _tell(role: str, index: int) -> None:
    import tensorflow as tf

    try:
        with tf.device(f"/job:{role}/replica:0/task:{index}/device:CPU:0"):
            tf.io.write_file(_FINISHED, "")
    except tf.errors.OpError as error:
        _logger.warning("%s %d could not be told that all is done: %s", role, index, error.message)


def serve(here: Place, peers_seconds: float) -> None:
    """Serves the chief, as a worker or a parameter server, until it says that all is done.

    TensorFlow has no way to stop a server, so this does not return: the process ends, with 0
    when the chief said so, or with `ending.LOST_EXIT_CODE` where it is gone without a word.

    Args:
        here: Which process this is.
        peers_seconds: How long to wait for the chief to start.
    """
    import tensorflow as tf

    server = tf.distribute.Server(
        cluster_spec(here), job_name=here.role, task_index=here.index, protocol="grpc"
    )
    _logger.info("%s %d serves the chief", here.role, here.index)
    chief = here.cluster[CHIEF][0]
    found = await_end(
        lambda: bool(tf.io.gfile.exists(_FINISHED)),
        lambda: peers.why_not_up(chief) is None,
        peers_seconds=peers_seconds,
    )
    if not found:
        ending.end(ending.LOST_EXIT_CODE, f"the chief, {chief}, is gone")
    _logger.info("the chief is done")
    # Its threads would hang in the interpreter's shutdown.
    del server
    logging.shutdown()
    os._exit(0)


def await_end(
    finished: Callable[[], bool],
    present: Callable[[], bool],
    *,
    peers_seconds: float,
    lost_after_seconds: float = _LOST_AFTER_SECONDS,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> bool:
    """Waits until the chief is done or gone.

    Args:
        finished: Whether the chief has said that all is done.
        present: Whether the chief can be reached.
        peers_seconds: How long to wait for it at first.
        lost_after_seconds: How long it may be out of reach later. One that is restarted within
            that time finds everybody in place.
        sleep: Waits for so many seconds.
        clock: Gives the time in seconds.

    Returns:
        Whether it is done.
    """
    patience, seen = peers_seconds, clock()
    while not finished():
        if present():
            patience, seen = lost_after_seconds, clock()
        elif clock() - seen > patience:
            return False
        sleep(_POLL_SECONDS)
    return True
