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
from kfp_tabular.components.training.loop.trainable_model import TrainableModel

_logger = logging.getLogger(__name__)


@dataclass
class Progress:
    """The state of the loop, which a checkpoint holds beside the weights.

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


class TrainingLoop:
    """Trains until all steps are done, early stopping ends training, or SIGTERM arrives.

    Args:
        model: The model to train.
        take: Returns the next rows of the training input.
        evaluate: Returns the metrics of the eval split, or nothing if the chief measures them;
            None without an eval split.
        early_stopping: Follows the objective.
        agreement: Agreement with the other processes.
        writer: Receives the measurements.
        checkpoints: None for no checkpoints.
        seconds: How long training may take over all attempts; then the last weights are measured,
            and it stops.
    """

    def __init__(
        self,
        model: TrainableModel,
        *,
        take: Callable[[int], PackedRows],
        evaluate: Callable[[], Mapping[str, float]] | None,
        early_stopping: EarlyStopping,
        agreement: Agreement,
        writer: MetricsWriter,
        checkpoints: Checkpoints | None,
        seconds: float = math.inf,
    ) -> None:
        self._model = model
        self._take = take
        self._evaluate = evaluate
        self._early_stopping = early_stopping
        self._agreement = agreement
        self._writer = writer
        self._checkpoints = checkpoints
        self._seconds = seconds

    def run(self, progress: Progress) -> Progress:
        """Continue training from `progress`.

        Returns:
            The same object, at the end of training.

        Raises:
            UserError: If the loss is no longer finite.
            SystemExit: With `TERMINATED_EXIT_CODE`, after SIGTERM.
        """
        schedule, seconds_before = self._model.schedule, progress.seconds
        started = time.monotonic()
        over = self._was_over(progress)
        with termination() as terminated:
            while not (over or self._is_done(progress)):
                boundary = min(
                    schedule.steps, (progress.step // schedule.interval + 1) * schedule.interval
                )
                steps = min(schedule.steps_per_call, boundary - progress.step)
                loss = self._model.train(self._take(steps * self._model.step_rows))
                progress.step += steps
                progress.loss += loss * steps
                progress.steps += steps
                due = self._checkpoints is not None and self._checkpoints.is_due()
                # First, because all processes must act alike: a loss can diverge in only one.
                stop, diverged, save, over = self._agreement.any(
                    terminated.is_set(),
                    not math.isfinite(loss),
                    due,
                    seconds_before + time.monotonic() - started >= self._seconds,
                )
                if diverged:
                    rate = self._model.learning_rate
                    raise UserError(
                        f"training diverged: the loss is not finite at step {progress.step} with "
                        f"learning_rate={rate:g}. Try learning_rate={rate / 10:g}."
                    )
                if progress.step == boundary or over:
                    self._measure(progress)
                progress.seconds = seconds_before + time.monotonic() - started
                if self._checkpoints is not None and (stop or save):
                    self._save(self._checkpoints, progress)
                if stop:
                    if self._checkpoints is not None:
                        self._checkpoints.flush()
                    _logger.warning("SIGTERM: stopped at step %d", progress.step)
                    raise SystemExit(TERMINATED_EXIT_CODE)
        return progress

    def _is_done(self, progress: Progress) -> bool:
        return progress.step >= self._model.schedule.steps or self._early_stopping.exhausted

    def _was_over(self, progress: Progress) -> bool:
        """Whether an earlier attempt used up the time."""
        if not progress.step or self._seconds == math.inf:
            return False
        (over,) = self._agreement.any(progress.seconds >= self._seconds)
        return over

    def _measure(self, progress: Progress) -> None:
        entry = {
            "step": float(progress.step),
            "epoch": self._model.schedule.epoch(progress.step),
            "train_loss": progress.loss / progress.steps,
        }
        progress.loss, progress.steps = 0.0, 0
        if self._evaluate is not None:
            measured = self._evaluate()
            entry |= {f"eval_{name}": value for name, value in measured.items()}
            # Only the chief measures, so that all decide on the same bits.
            objective = self._agreement.from_first(measured.get(self._early_stopping.metric, 0.0))
            if self._early_stopping.update(objective, progress.step):
                self._model.keep()
        progress.history.append(entry)
        self._writer.write(entry)

    def _save(self, checkpoints: Checkpoints, progress: Progress) -> None:
        state = {"progress": vars(progress), "stopping": vars(self._early_stopping)}
        checkpoints.save(progress.step, state)
        _logger.info("checkpoint at step %d", progress.step)
