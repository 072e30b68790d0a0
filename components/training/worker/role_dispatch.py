"""What a process of a job does, by its role."""

import logging
from collections.abc import Mapping

from kfp_tabular.components.training.distributed import parameter_servers, worker_termination
from kfp_tabular.components.training.distributed.replica_role import EVALUATOR, ReplicaRole
from kfp_tabular.components.training.worker import evaluator, training_process, workspace
from kfp_tabular.components.training.worker.workspace import Order

_logger = logging.getLogger(__name__)


def work(order: Order, replica: ReplicaRole, peers_seconds: float) -> Mapping[str, float]:
    """Does this process's part of a job, until the job is done.

    Args:
        order: What the program is asked for.
        replica: Which process this is.
        peers_seconds: How long to wait for the others to start.

    Returns:
        The final metrics; empty for the roles that have none.

    Raises:
        UserError: For input or configuration that cannot be trained on.
        SystemExit: After SIGTERM, or with `ending.LOST_EXIT_CODE` where another process was lost.
    """
    if replica.role == EVALUATOR:
        with workspace.opened(order) as opened:
            return evaluator.evaluate(
                opened, replica, lambda: workspace.finished(order, replica) is not None
            )
    if replica.has_parameter_servers and not replica.is_chief:
        parameter_servers.serve(replica, peers_seconds)
    outcome = workspace.finished(order, replica) if order.output is not None else None
    if outcome is not None:
        _logger.info("an earlier attempt has written everything already")
        return outcome.metrics
    with worker_termination.where_peers_are_lost(replica), workspace.opened(order) as opened:
        outcome = training_process.run(
            opened.settings,
            replica=replica,
            ensure=opened.ensure,
            outputs=opened.outputs,
            peers_seconds=peers_seconds,
        )
    return outcome.metrics if replica.is_chief else {}
