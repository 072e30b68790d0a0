"""Explanations of requests: one at a time, in a thread of their own, from a bounded queue.

One takes as long as hundreds of predictions. In the event loop it would keep every client waiting,
and among the threads of predictions it would take the place of those.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from kfp_tabular.components.common.explanation.explainer import (
    Explainer,
    Explanations,
    ExplanationSettings,
)
from kfp_tabular.components.common.explanation.mixed_rows import as_columns
from kfp_tabular.serving.metrics.bound_reports import RepeatedWarning
from kfp_tabular.serving.model.overload import OverloadedError
from kfp_tabular.serving.protocol.request_error import RequestError
from kfp_tabular.serving.protocol.v1_explanations import ExplanationRequest

_MOST_WAITING = 8
_MOST_PREDICTIONS = 131_072
"""A request's rows take no more predictions: 32 rows of 4,096, or fewer rows of a wide model."""


class Explaining:
    """The queue of explanations of a process. Use it from one event loop."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="explain")
        self._waiting = 0
        self._overload = RepeatedWarning()

    async def explain(self, explainer: Explainer, request: ExplanationRequest) -> Explanations:
        """Explain the rows of a request.

        Raises:
            OverloadedError: If too many requests wait.
            RequestError: If the model has no finite prediction for a row or the baseline.
        """
        if self._waiting >= _MOST_WAITING:
            self._overload.log(
                f"{_MOST_WAITING} requests wait for explanations, the bound of this process; "
                "rejected requests"
            )
            raise OverloadedError
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._thread, _explained, explainer, request)
        finally:
            self._waiting -= 1


def check_effort(explainer: Explainer, request: ExplanationRequest) -> None:
    """Check that a request's rows do not take more predictions than one may.

    Raises:
        RequestError: If they do.
    """
    rows = len(next(iter(request.arrays.values())))
    each = explainer.evaluations(ExplanationSettings())
    most = max(1, _MOST_PREDICTIONS // each)
    if rows > most:
        raise RequestError(
            f"the request has {rows} rows, and explaining one takes {each} predictions of this "
            f"model; this server explains {most} in a request; split the request.",
            status=413,
            reason="size",
        )


def _explained(explainer: Explainer, request: ExplanationRequest) -> Explanations:
    columns = as_columns(request.arrays, explainer.spec.inputs)
    try:
        found = explainer.explain(columns, ExplanationSettings(request.baseline))
    except ValueError:
        # The message may quote a value.
        raise RequestError(
            "the model cannot process a value of this request.", reason="graph"
        ) from None
    if not np.isfinite(found.baseline).all():
        raise RequestError(
            "the model's prediction for the baseline is not a finite number; send a 'baseline' "
            "with a value for each feature.",
            reason="graph",
        )
    finite = np.isfinite(found.predicted) & np.isfinite(found.values).all(axis=1)
    if not finite.all():
        row = int(np.flatnonzero(~finite)[0])
        raise RequestError(
            f"instance {row}: the model's prediction is not a finite number.",
            reason="graph",
            row=row,
        )
    return found
