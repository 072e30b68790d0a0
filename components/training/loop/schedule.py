"""The schedule of a training: steps, batch size and evaluations. Pure arithmetic."""

from dataclasses import dataclass

from kfp_tabular.components.common.artifacts.hyperparameters import Hyperparameters

_LEAST_EPOCHS = 10
_LEAST_STEPS = 500
_TABM_ROWS = 500_000
_TABM_LEAST_EPOCHS = 4
_TABM_MOST_EPOCHS = 150
_TABM_MOST_STEPS = 2_000
_FEWEST_EVALUATIONS = 10
_MOST_EVALUATIONS = 50
_TABM_MOST_EVALUATIONS = 25
_ROWS_PER_CALL = 8_192
_STEPS_PER_CALL = 100
_AVERAGED_SHARE = 50


@dataclass(frozen=True)
class Schedule:
    """How a training is divided into steps, and when it is evaluated.

    Attributes:
        replica_batch: Rows per step of one replica.
        batch: Rows per step over all replicas.
        steps_per_epoch: Steps that a pass over the train split takes, rounded up.
        steps: Total number of steps.
        interval: Steps from one evaluation to the next.
        steps_per_call: Largest number of steps in one call into TensorFlow.
    """

    replica_batch: int
    batch: int
    steps_per_epoch: int
    steps: int
    interval: int
    steps_per_call: int

    def epoch(self, step: int) -> float:
        """Return how many passes over the train split a number of steps makes."""
        return step / self.steps_per_epoch

    @property
    def averaged_steps(self) -> int:
        """Steps over which a moving average of the weights reaches back: a 50th of all."""
        return max(1, self.steps // _AVERAGED_SHARE)


def plan(
    hyperparameters: Hyperparameters, rows: int, replicas: int = 1, local_replicas: int = 1
) -> Schedule:
    """Return the schedule of a training.

    A batch has at most as many rows as the split, and is a multiple of the replicas. Without
    `train_steps` and `epochs`, there are ten passes, or on small data as many as 500 steps take.
    `tabm` sees 500,000 rows in at most 2,000 steps, in 4 to 150 passes.
    There is one evaluation per epoch, but at least 10 and at most 50 in all; of `tabm` at most 25,
    so that early stopping is as patient in spite of its many passes.

    Args:
        hyperparameters: Their `train_steps`, `epochs`, `batch_size` and `model_type` are used.
        rows: Rows of the train split, at least one.
        replicas: Replicas over all processes.
        local_replicas: Replicas of this process.

    Example:
        >>> schedule = plan(Hyperparameters(epochs=20, batch_size=100), rows=1000)
        >>> schedule.steps, schedule.interval
        (200, 10)
    """
    wanted = min(hyperparameters.batch_size, rows)
    replica_batch = max(1, round(wanted / replicas))
    batch = replica_batch * replicas
    steps_per_epoch = -(-rows // batch)
    epochs = hyperparameters.epochs or _epochs(hyperparameters.model_type, rows, steps_per_epoch)
    steps = hyperparameters.train_steps or epochs * steps_per_epoch
    own = hyperparameters.model_type == "tabm"
    evaluations = _TABM_MOST_EVALUATIONS if own else _MOST_EVALUATIONS
    interval = max(steps_per_epoch, -(-steps // evaluations))
    return Schedule(
        replica_batch=replica_batch,
        batch=batch,
        steps_per_epoch=steps_per_epoch,
        steps=steps,
        interval=min(interval, -(-steps // _FEWEST_EVALUATIONS)),
        steps_per_call=max(
            1, min(_STEPS_PER_CALL, _ROWS_PER_CALL // (replica_batch * local_replicas))
        ),
    )


def _epochs(model_type: str, rows: int, steps_per_epoch: int) -> int:
    least = -(-_LEAST_STEPS // steps_per_epoch)
    if model_type != "tabm":
        return max(_LEAST_EPOCHS, least)
    # A row costs twice as much as with a plain network, and small data needs many passes.
    wanted = min(-(-_TABM_ROWS // rows), -(-_TABM_MOST_STEPS // steps_per_epoch))
    return max(_TABM_LEAST_EPOCHS, min(wanted, max(_TABM_MOST_EPOCHS, least)))
