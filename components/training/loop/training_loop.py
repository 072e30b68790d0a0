"""The training loop: steps, evaluations, the best weights, checkpoints, and an orderly end."""

import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.process.termination import TERMINATED_EXIT_CODE, termination
from kfp_tabular.components.training.distributed.agreement import Agreement
from kfp_tabular.components.training.input.packed_rows import PackedRows
from kfp_tabular.components.training.loop.checkpoints import Checkpoints
from kfp_tabular.components.training.loop.early_stopping import EarlyStopping
from kfp_tabular.components.training.loop.metrics_writer import MetricsWriter
from kfp_tabular.components.training.loop.schedule import Schedule

_logger = logging.getLogger(__name__)


@dataclass
class Progress:
    """Where the loop is; what a checkpoint holds beside the weights.

    Attributes:
        step: Steps done.
        seconds: Time spent in training and evaluation, over all attempts.
        history: Measurements at every evaluation.
    """

    step: int = 0
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)
    # Of the steps since the last evaluation.
    loss: float = 0.0
    steps: int = 0


class Loop:
    """Trains until the steps are done, nothing improves any more, or the process is told to stop.

    Args:
        train: Runs as many steps as the rows fill, and gives their mean loss.
        agreement: With the other processes.
        schedule: The shape of the run.
        take: Gives the next rows of the training input.
        evaluate: Measures the eval split, or gives nothing where that is the chief's; None where
            there is none.
        stopping: Follows the objective.
        keep_best: Called when the weights are the best so far.
        journal: Takes the measurements.
        checkpoints: None for none.
        checkpoint_seconds: At least so many seconds between two checkpoints.
        learning_rate: Named in the error where the loss is lost.
        local_rows: Rows of a step in this process.
    """

    def __init__(
        self,
        *,
        train: Callable[[PackedRows], float],
        agreement: Agreement,
        schedule: Schedule,
        take: Callable[[int], PackedRows],
        evaluate: Callable[[], Mapping[str, float]] | None,
        stopping: EarlyStopping,
        keep_best: Callable[[], None],
        journal: MetricsWriter,
        checkpoints: Checkpoints | None,
        checkpoint_seconds: float,
        learning_rate: float,
        local_rows: int,
    ) -> None:
        self._train = train
        self._agreement = agreement
        self._schedule = schedule
        self._take = take
        self._evaluate = evaluate
        self._stopping = stopping
        self._keep_best = keep_best
        self._journal = journal
        self._checkpoints = checkpoints
        self._checkpoint_seconds = checkpoint_seconds
        self._learning_rate = learning_rate
        self._local_rows = local_rows

    def run(self, progress: Progress) -> Progress:
        """Trains on from where `progress` is.

        Returns:
            The same object, at the end of training.

        Raises:
            UserError: Where the loss is no longer finite.
            SystemExit: With `TERMINATED_EXIT_CODE`, after SIGTERM.
        """
        schedule, earlier = self._schedule, progress.seconds
        started = saved = time.monotonic()
        with termination() as terminated:
            while progress.step < schedule.steps and not self._stopping.exhausted:
                boundary = min(
                    schedule.steps, (progress.step // schedule.interval + 1) * schedule.interval
                )
                steps = min(schedule.steps_per_call, boundary - progress.step)
                loss = self._train(self._take(steps * self._local_rows))
                progress.step += steps
                progress.loss += loss * steps
                progress.steps += steps
                now = time.monotonic()
                due = self._checkpoints is not None and now - saved >= self._checkpoint_seconds
                # Before anything that only some would do: a loss may be lost in one process first.
                asked, lost, save = self._agreement.any(
                    terminated.is_set(), not math.isfinite(loss), due
                )
                if lost:
                    raise UserError(
                        f"training diverged: the loss is not finite at step {progress.step} with "
                        f"learning_rate={self._learning_rate:g}. Try "
                        f"learning_rate={self._learning_rate / 10:g}."
                    )
                if progress.step == boundary:
                    self._measure(progress)
                progress.seconds = earlier + time.monotonic() - started
                if self._checkpoints is not None and (asked or save):
                    self._save(self._checkpoints, progress)
                    saved = time.monotonic()
                if asked:
                    if self._checkpoints is not None:
                        self._checkpoints.flush()
                    _logger.warning("told to stop at step %d", progress.step)
                    raise SystemExit(TERMINATED_EXIT_CODE)
        return progress

    def _measure(self, progress: Progress) -> None:
        entry = {
            "step": float(progress.step),
            "epoch": self._schedule.epoch(progress.step),
            "train_loss": progress.loss / progress.steps,
        }
        progress.loss, progress.steps = 0.0, 0
        if self._evaluate is not None:
            measured = self._evaluate()
            entry |= {f"eval_{name}": value for name, value in measured.items()}
            # Only the chief measures, and so all decide on the same bits.
            objective = self._agreement.from_first(measured.get(self._stopping.metric, 0.0))
            if self._stopping.update(objective, progress.step):
                self._keep_best()
        progress.history.append(entry)
        self._journal.write(entry)

    def _save(self, checkpoints: Checkpoints, progress: Progress) -> None:
        state = {"progress": vars(progress), "stopping": vars(self._stopping)}
        checkpoints.save(progress.step, state)
        _logger.info("checkpoint at step %d", progress.step)
