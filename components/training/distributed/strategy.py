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
    """Return the distribution strategy, once all processes of the job are up.

    Args:
        replica: This process's role.
        seconds: How long to wait before the process exits.
    """
    if not replica.peers:
        return _synchronous(replica)
    # Parameter servers and their workers listen by themselves; no process waits for their chief.
    peers.wait_for(
        replica.peers, seconds, own="" if replica.has_parameter_servers else replica.address
    )
    _logger.info("joining %s", ", ".join(replica.peers))
    with worker_termination.within_a_call(seconds):
        if replica.has_parameter_servers:
            return parameter_servers.make_strategy(replica)
        return _synchronous(replica)


def _synchronous(replica: ReplicaRole) -> Any:
    """Return the strategy of synchronous training.

    More than one worker: MultiWorkerMirroredStrategy, which waits for all of them. More than one
    visible GPU: MirroredStrategy. Else the default strategy, which uses the GPU or the CPU.
    """
    import tensorflow as tf

    if replica.workers > 1:
        # Not from TF_CONFIG: it may list an evaluator, which is not part of this cluster.
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
