"""What a worker does, by its role in the job."""

import logging
from collections.abc import Mapping

from kfp_tabular.components.training.distributed import parameter_servers, worker_termination
from kfp_tabular.components.training.distributed.replica_role import EVALUATOR, ReplicaRole
from kfp_tabular.components.training.worker import evaluator, training_process, workspace
from kfp_tabular.components.training.worker_settings import WorkerArguments

_logger = logging.getLogger(__name__)


def work(arguments: WorkerArguments, replica: ReplicaRole) -> Mapping[str, float]:
    """Play this process's role in a job, until the job is done.

    Args:
        arguments: The worker's command line.
        replica: This process's role.

    Returns:
        The final metrics; empty for roles that have none.

    Raises:
        UserError: If input or configuration cannot be trained on.
        SystemExit: After SIGTERM, or with `worker_termination.LOST_EXIT_CODE` if another process
            was lost.
    """
    if replica.role == EVALUATOR:
        with workspace.opened(arguments) as opened:
            return evaluator.evaluate(
                opened, replica, lambda: workspace.finished(arguments, replica) is not None
            )
    if replica.has_parameter_servers and not replica.is_chief:
        parameter_servers.serve(replica, arguments.peers_seconds)
    earlier = workspace.finished(arguments, replica) if arguments.output else None
    if earlier is not None:
        _logger.info("an earlier attempt has already written everything")
        return earlier.metrics
    with (
        worker_termination.where_peers_are_lost(replica),
        workspace.opened(arguments) as opened,
    ):
        record = training_process.run(
            opened.settings,
            replica=replica,
            outputs=opened.outputs,
            peers_seconds=arguments.peers_seconds,
        )
    return record.metrics if replica.is_chief else {}
