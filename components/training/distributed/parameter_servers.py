"""Training with parameter servers: asynchronous, led by the chief.

The parameter servers hold the variables, the workers compute, and the chief hands out work: it
reads the rows and sends each worker some steps' worth at a time. What they run is inside
TensorFlow, so they need no data and no storage. A worker that dies is waited for while the others
go on; without a parameter server, or without the chief, the job has to start again from the
checkpoint.
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from typing import Any

from kfp_tabular.components.training.distributed import peers, worker_termination
from kfp_tabular.components.training.distributed.replica_role import CHIEF, ReplicaRole

# A file system in the memory of the process that runs the operation: the chief has it written
# there by the servers themselves.
_FINISHED = "ram://kfp-tabular/finished"

_POLL_SECONDS = 1.0
_LOST_AFTER_SECONDS = 15.0
_TELL_SECONDS = 10.0

_logger = logging.getLogger(__name__)


def cluster_spec(replica: ReplicaRole) -> Any:
    """Gives the cluster as TensorFlow has it."""
    import tensorflow as tf

    return tf.train.ClusterSpec({role: list(hosts) for role, hosts in replica.cluster.items()})


def make_strategy(replica: ReplicaRole) -> Any:
    """Connects the chief to all workers and parameter servers, and waits until they are there."""
    import tensorflow as tf

    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        cluster_spec(replica), task_type=replica.role, task_id=replica.index, rpc_layer="grpc"
    )
    return tf.distribute.ParameterServerStrategy(resolver)


def dismiss(replica: ReplicaRole) -> None:
    """Tells the workers and parameter servers that all is done; one that is gone is let be."""
    tellers = [
        threading.Thread(target=_tell, args=(role, index), daemon=True)
        for role, hosts in replica.cluster.items()
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


def serve(replica: ReplicaRole, peers_seconds: float) -> None:
    """Serves the chief, as a worker or a parameter server, until it says that all is done.

    TensorFlow has no way to stop a server, so this does not return: the process ends, with 0
    when the chief said so, or with `ending.LOST_EXIT_CODE` where it is gone without a word.

    Args:
        replica: Which process this is.
        peers_seconds: How long to wait for the chief to start.
    """
    import tensorflow as tf

    server = tf.distribute.Server(
        cluster_spec(replica), job_name=replica.role, task_index=replica.index, protocol="grpc"
    )
    _logger.info("%s %d serves the chief", replica.role, replica.index)
    chief = replica.cluster[CHIEF][0]
    found = await_end(
        lambda: bool(tf.io.gfile.exists(_FINISHED)),
        lambda: peers.why_not_up(chief) is None,
        peers_seconds=peers_seconds,
    )
    if not found:
        worker_termination.end(worker_termination.LOST_EXIT_CODE, f"the chief, {chief}, is gone")
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
