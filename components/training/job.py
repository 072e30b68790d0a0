"""What a process of a job does, by its role."""

import logging
from collections.abc import Mapping

from kfp_tabular.components.training import ending, evaluator, run, servers, workspace
from kfp_tabular.components.training.roles import EVALUATOR, Place
from kfp_tabular.components.training.workspace import Order

_logger = logging.getLogger(__name__)


def work(order: Order, here: Place, peers_seconds: float) -> Mapping[str, float]:
    """Does this process's part of a job, until the job is done.

    Args:
        order: What the program is asked for.
        here: Which process this is.
        peers_seconds: How long to wait for the others to start.

    Returns:
        The final metrics; empty for the roles that have none.

    Raises:
        UserError: For input or configuration that cannot be trained on.
        SystemExit: After SIGTERM, or with `ending.LOST_EXIT_CODE` where another process was lost.
    """
    if here.role == EVALUATOR:
        with workspace.opened(order) as opened:
            return evaluator.evaluate(
                opened, here, lambda: workspace.finished(order, here) is not None
            )
    if here.asynchronous and not here.chief:
        servers.serve(here, peers_seconds)
    outcome = workspace.finished(order, here) if order.output is not None else None
    if outcome is not None:
        _logger.info("an earlier attempt has written everything already")
        return outcome.metrics
    with ending.where_peers_are_lost(here), workspace.opened(order) as opened:
        outcome = run.run(
            opened.settings,
            here=here,
            ensure=opened.ensure,
            outputs=opened.outputs,
            peers_seconds=peers_seconds,
        )
    return outcome.metrics if here.chief else {}
