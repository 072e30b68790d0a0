"""Agreement between workers: each contributes a vote, an all-reduce sums them, all act on the sum.

The same floating-point computation on two machines may differ in the last bit, and workers that
disagree wait for each other forever. So every decision is made here, and every process must call
it at the same points.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np


class Agreement:
    """Sums and broadcasts over all processes that train.

    Args:
        strategy: From `strategy.join`.
        workers: Number of processes that train.
        worker: Index of this one.
    """

    def __init__(self, strategy: Any, workers: int = 1, worker: int = 0) -> None:
        import tensorflow as tf

        self._strategy = strategy
        self._workers = workers
        self._worker = worker
        self._local_replicas = strategy.num_replicas_in_sync // workers if workers > 1 else 1
        self._sum = tf.function(self._reduced, input_signature=[tf.TensorSpec([None], tf.float64)])

    def sum(self, values: Sequence[float]) -> list[float]:
        """Return the sums of values over all processes, in double precision."""
        if self._workers == 1:
            return [float(value) for value in values]
        summed = self._sum(np.asarray(values, np.float64)).numpy()
        return [float(value) / self._local_replicas for value in summed]

    def any(self, *flags: bool) -> list[bool]:
        """Return for each flag whether any process has set it."""
        return [total > 0 for total in self.sum([float(flag) for flag in flags])]

    def from_first(self, value: float) -> float:
        """Return the first process's value in every process."""
        return self.sum([value if self._worker == 0 else 0.0])[0]

    def each(self, values: Sequence[float]) -> "np.ndarray[Any, Any]":
        """Return the values of all processes in every process, shape `[processes, values]`."""
        table = np.zeros((self._workers, len(values)))
        table[self._worker] = values
        return np.asarray(self.sum(table.ravel().tolist())).reshape(table.shape)

    def _reduced(self, values: Any) -> Any:
        import tensorflow as tf

        parts = self._strategy.run(tf.identity, args=(values,))
        return self._strategy.reduce(tf.distribute.ReduceOp.SUM, parts, axis=None)
