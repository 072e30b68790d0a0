"""Training steps with parameter servers: the chief distributes them over the workers."""

import itertools
from typing import Any

import numpy as np

from kfp_tabular.components.training.distributed import worker_termination
from kfp_tabular.components.training.input.packed_rows import PackedRows
from kfp_tabular.components.training.loop.training_steps import TrainingSteps

_TASKS_PER_WORKER = 2


class AsynchronousSteps:
    """Training steps that the chief distributes over the workers.

    Args:
        strategy: From `parameter_servers.make_strategy`.
        steps: The steps.
        workers: Number of workers.
        step_rows: Rows of a step.
        timeout_seconds: Longest time that a call may take before the process exits.
    """

    def __init__(
        self,
        strategy: Any,
        steps: TrainingSteps,
        *,
        workers: int,
        step_rows: int,
        timeout_seconds: float,
    ) -> None:
        import tensorflow as tf

        self._coordinator = tf.distribute.coordinator.ClusterCoordinator(strategy)
        self._steps = steps
        self._tasks = workers * _TASKS_PER_WORKER
        self._step_rows = step_rows
        self._timeout_seconds = timeout_seconds

    def train(self, rows: PackedRows) -> float:
        """Run as many steps as the rows fill, and return their mean loss."""
        steps = len(rows) // self._step_rows
        bounds = np.linspace(0, steps, min(self._tasks, steps) + 1).round().astype(int)
        message = (
            f"the workers did not complete {steps} steps within {self._timeout_seconds:.0f} s; see "
            "their logs and events."
        )
        with worker_termination.within(self._timeout_seconds, message):
            results = []
            for start, stop in itertools.pairwise(bounds):
                part = rows.take(slice(start * self._step_rows, stop * self._step_rows))
                arguments = (part.numeric, part.categorical, part.label)
                results.append(self._coordinator.schedule(self._steps.steps, args=arguments))
            self._coordinator.join()
            losses = [float(result.fetch()) for result in results]
        return float(np.average(losses, weights=np.diff(bounds)))
