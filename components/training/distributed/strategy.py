"""TensorFlow's distribution strategy for a process, by its role in the job."""

import logging
from typing import Any

from kfp_tabular.components.training.distributed import (
    parameter_servers,
    peers,
    worker_termination,
)
from kfp_tabular.components.training.distributed.replica_role import ReplicaRole

_logger = logging.getLogger(__name__)


def join(replica: ReplicaRole, seconds: float) -> Any:
    """Chooses the distribution strategy, and waits until all processes of the job are there.

    Args:
        replica: Which process this is.
        seconds: How long to wait; then the process ends.
    """
    if not replica.peers:
        return _synchronous(replica)
    # Parameter servers and their workers listen by themselves; nobody waits for that chief.
    peers.wait_for(
        replica.peers, seconds, own="" if replica.has_parameter_servers else replica.address
    )
    _logger.info("joining %s", ", ".join(replica.peers))
    with worker_termination.within_a_call(seconds):
        if replica.has_parameter_servers:
            return parameter_servers.make_strategy(replica)
        return _synchronous(replica)


def _synchronous(replica: ReplicaRole) -> Any:
    """Chooses the distribution strategy.

    More than one worker: MultiWorkerMirroredStrategy; this waits until all of them are there.
    More than one visible GPU: MirroredStrategy. Else the default strategy, which uses the one GPU
    or the CPU.
    """
    import tensorflow as tf

    if replica.workers > 1:
        # Not left to TF_CONFIG: an evaluator in there is no part of this cluster.
        resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
            tf.train.ClusterSpec({role: list(hosts) for role, hosts in replica.cluster.items()}),
            task_type=replica.role,
            task_id=replica.index,
            rpc_layer="grpc",
            num_accelerators={"GPU": len(tf.config.list_physical_devices("GPU"))},
        )
        return tf.distribute.MultiWorkerMirroredStrategy(resolver)
    if len(tf.config.list_physical_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()
