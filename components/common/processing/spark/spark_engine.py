"""The engine that spreads pieces over the executors of a Spark cluster.

A task has a run of consecutive pieces, so many that each core has a few tasks. States are merged on
the executors too, in the shape of a `MergeTree`, so the driver gets a few, and the same pieces give
the same bytes on any cluster.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar, cast
from uuid import uuid4

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.processing.accumulator import Accumulator
from kfp_tabular.components.common.processing.engine import Batch, Read, Result
from kfp_tabular.components.common.processing.merge_tree import FAN_IN, MergeTree
from kfp_tabular.components.common.processing.outcomes import Outcome
from kfp_tabular.components.common.processing.pieces import Piece
from kfp_tabular.components.common.processing.spark.executor_tasks import (
    STATES_PER_TASK,
    ExecutorDiskError,
    Fold,
    FoldTask,
    Merge,
    PieceTask,
    Run,
    keyed,
    merging_task,
)
from kfp_tabular.components.common.processing.spark.job_watch import JobWatch
from kfp_tabular.components.common.processing.spark.task_runs import even_runs, runs, span

if TYPE_CHECKING:
    from pyspark import RDD, SparkContext

Value = TypeVar("Value")


class SparkEngine:
    """Runs folds and maps on the executors of a Spark.

    Args:
        context: The Spark.
        attempts: How often it tries a piece; its `spark.task.maxFailures`.
    """

    def __init__(self, context: "SparkContext", attempts: int) -> None:
        self._context = context
        self._attempts = attempts

    def fold(
        self,
        pieces: Sequence[Piece],
        factory: Callable[[], Accumulator[Batch, Result]],
        read: Read[Batch],
        what: str = "",
    ) -> Result:
        """Return the result over all pieces; see `Engine`."""
        if not pieces:
            return factory().result()
        watch = JobWatch(self._context, pieces, what)
        of_a_run = span(pieces, self._context.defaultParallelism)
        parts = runs(pieces, of_a_run)
        task = PieceTask(Fold(factory, read), watch.events, self._attempts)
        states: RDD[Outcome[bytes]] = self._spread(parts).mapPartitions(FoldTask(task, of_a_run))
        left = len(parts)
        while left > FAN_IN:
            left = -(-left // STATES_PER_TASK)
            states = (
                states.mapPartitions(keyed)
                .partitionBy(left, merging_task)
                .mapPartitions(Merge(factory))
            )
        tree = MergeTree[Batch, Result]()
        collected: list[bytes] = self._collect(states, watch)
        for state in collected:
            tree.add(factory().from_state(state))
        return (tree.total() or factory()).result()

    def map(
        self, pieces: Sequence[Piece], function: Callable[[Piece], Result], what: str = ""
    ) -> Iterator[tuple[Piece, Result]]:
        """Yield each piece with what a function made of it, in order; see `Engine`."""
        if not pieces:
            return
        watch = JobWatch(self._context, pieces, what)
        task = PieceTask(function, watch.events, self._attempts)
        parts = even_runs(pieces, self._context.defaultParallelism)
        results: list[Result] = self._collect(self._spread(parts).mapPartitions(task), watch)
        yield from zip(pieces, results, strict=True)

    def _spread(self, parts: Sequence[Run]) -> "RDD[Run]":
        """Return runs of pieces, each to be worked on by a task of its own."""
        return self._context.parallelize(parts, len(parts))

    def _collect(self, outcomes: "RDD[Outcome[Value]]", watch: JobWatch) -> list[Value]:
        """Return results in order.

        Raises:
            UserError: For the first piece whose input is bad.
        """
        from py4j.protocol import Py4JError

        group = uuid4().hex

        def collect() -> list[Outcome[Value]]:
            # The group belongs to the thread.
            self._context.setJobGroup(group, "kfp-tabular", interruptOnCancel=True)
            collected: list[Outcome[Value]] = outcomes.collect()
            return collected

        try:
            # In another thread, because a signal that interrupts py4j's call would leave this one
            # without a connection to Java, which the job is canceled by.
            with ThreadPoolExecutor(1) as thread, watch.following(group):
                found = thread.submit(collect).result()
        except Py4JError as error:
            if watch.error():
                raise UserError(watch.error()) from None
            if line := _disk_error(error):
                raise UserError(line) from None
            raise RuntimeError(f"Spark: {_cause(error)}") from error
        found.sort(key=lambda outcome: outcome.number)
        for outcome in found:
            if outcome.error:
                raise UserError(watch.error() or outcome.error)
        return [cast(Value, outcome.result) for outcome in found]


def _disk_error(error: Exception) -> str:
    """Return what an executor says about its disk; empty where a job failed for something else.

    Spark gives up before the last attempt if a piece has failed too often at each executor.
    """
    found = re.findall(rf"{ExecutorDiskError.__name__}: (.+)", _message(error))
    return found[-1] if found else ""


def _cause(error: Exception) -> str:
    """Return what Spark says about a failed job: its own first lines, without its stack."""
    lines = [
        line.rstrip()
        for line in _message(error).splitlines()
        if not line.lstrip().startswith("at ")
    ]
    kept = [line for line in lines if line and not line.startswith("Driver stacktrace")]
    return "\n".join(kept[:60])


def _message(error: Exception) -> str:
    java = getattr(error, "java_exception", None)
    return str(java.getMessage() if java is not None else error)
