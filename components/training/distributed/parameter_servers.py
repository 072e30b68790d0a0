"""Asynchronous training with parameter servers, coordinated by the chief.

The parameter servers hold the variables, the workers compute, and the chief distributes the work:
it reads the rows and sends each worker enough for some steps at a time. Servers and workers run
only TensorFlow's server, so they need no data and no storage. If a worker dies, the others continue
until it is back; without a parameter server or the chief, the job must restart from the checkpoint.
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from typing import Any

from kfp_tabular.components.training.distributed import peers, worker_termination
from kfp_tabular.components.training.distributed.replica_role import CHIEF, ReplicaRole

# A file system in the memory of the process that runs the operation: the chief has the servers
# write this file themselves.
_FINISHED = "ram://kfp-tabular/finished"

_POLL_SECONDS = 1.0
_LOST_AFTER_SECONDS = 15.0
_DISMISS_SECONDS = 10.0

_logger = logging.getLogger(__name__)


def cluster_spec(replica: ReplicaRole) -> Any:
    """Return the cluster as a TensorFlow ClusterSpec."""
    import tensorflow as tf

    return tf.train.ClusterSpec({role: list(hosts) for role, hosts in replica.cluster.items()})


def make_strategy(replica: ReplicaRole) -> Any:
    """Connect the chief to all workers and parameter servers; this waits until they are up."""
    import tensorflow as tf

    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        cluster_spec(replica), task_type=replica.role, task_id=replica.index, rpc_layer="grpc"
    )
    return tf.distribute.ParameterServerStrategy(resolver)


def dismiss(replica: ReplicaRole) -> None:
    """Tell the workers and parameter servers that training is done; ignore those that are gone."""
    tellers = [
        threading.Thread(target=_tell, args=(role, index), daemon=True)
        for role, hosts in replica.cluster.items()
        if role != CHIEF
        for index in range(len(hosts))
    ]
    for teller in tellers:
        teller.start()
    deadline = time.monotonic() + _DISMISS_SECONDS
    for teller in tellers:
        teller.join(max(0.0, deadline - time.monotonic()))


def _tell(role: str, index: int) -> None:
    import tensorflow as tf

    try:
        with tf.device(f"/job:{role}/replica:0/task:{index}/device:CPU:0"):
            tf.io.write_file(_FINISHED, "")
    except tf.errors.OpError as error:
        _logger.warning("cannot tell %s %d that training is done: %s", role, index, error.message)


def serve(replica: ReplicaRole, peers_seconds: float) -> None:
    """Serve the chief, as a worker or a parameter server, until training is done.

    TensorFlow cannot stop a server, so this does not return: the process exits with 0 when the
    chief is done, or with `worker_termination.LOST_EXIT_CODE` if the chief is lost.

    Args:
        replica: This process's role.
        peers_seconds: How long to wait for the chief to start.
    """
    import tensorflow as tf

    server = tf.distribute.Server(
        cluster_spec(replica), job_name=replica.role, task_index=replica.index, protocol="grpc"
    )
    _logger.info("%s %d: serving the chief", replica.role, replica.index)
    chief = replica.cluster[CHIEF][0]
    found = await_end(
        lambda: bool(tf.io.gfile.exists(_FINISHED)),
        lambda: peers.why_not_up(chief) is None,
        peers_seconds=peers_seconds,
    )
    if not found:
        worker_termination.end(worker_termination.LOST_EXIT_CODE, f"the chief, {chief}, was lost")
    _logger.info("the chief is done")
    # Its threads would block the interpreter's shutdown.
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
    """Wait until the chief is done or lost.

    Args:
        finished: Returns whether the chief is done.
        present: Returns whether the chief can be reached.
        peers_seconds: How long to wait for it to start.
        lost_after_seconds: How long it may be unreachable later. If it is restarted within that
            time, the others are still there.
        sleep: Waits for a number of seconds.
        clock: Returns the time in seconds.

    Returns:
        Whether it is done.

    Example:
        >>> import itertools
        >>> never, clock = lambda: False, itertools.count().__next__
        >>> # The chief never starts.
        >>> await_end(never, never, peers_seconds=60, sleep=lambda _: None, clock=clock)
        False
        >>> # The chief is done, and gone.
        >>> await_end(lambda: True, never, peers_seconds=60)
        True
    """
    patience, seen = peers_seconds, clock()
    while not finished():
        if present():
            patience, seen = lost_after_seconds, clock()
        elif clock() - seen > patience:
            return False
        sleep(_POLL_SECONDS)
    return True
