"""What happens after each tree: its losses are reported, and training may be stopped."""

from collections.abc import Callable
from typing import Any

AfterIteration = Callable[[int, float, float | None], bool]
"""Takes the number of a tree, from 1, and the losses on train split and held-out rows; returns
whether to go on."""


class Iterations:
    """CatBoost's callback.

    CatBoost turns an exception of a callback into text, so it is held back until training has
    ended.

    Attributes:
        stopped: Whether the training was told to stop.
        error: What `report` or `keep` raised; None for nothing.

    Args:
        loss: CatBoost's name of the loss.
        report: Called with the losses.
        keep: Keeps a snapshot if there is a new one; None for no snapshots.
        is_over: Asked after each tree; true keeps the trees so far, and grows no more.

    Example:
        >>> from types import SimpleNamespace
        >>> seen = []
        >>> callback = Iterations("RMSE", lambda *losses: bool(seen.append(losses)), None)
        >>> measured = {"learn": {"RMSE": [0.5]}, "validation": {"RMSE": [0.75]}}
        >>> callback.after_iteration(SimpleNamespace(metrics=measured)), callback.stopped
        (False, True)
        >>> seen
        [(1, 0.5, 0.75)]
    """

    def __init__(
        self,
        loss: str,
        report: AfterIteration,
        keep: Callable[[], bool] | None,
        is_over: Callable[[], bool] = lambda: False,
    ) -> None:
        self.stopped = False
        self.error: BaseException | None = None
        self._loss = loss
        self._report = report
        self._keep = keep
        self._is_over = is_over

    def after_iteration(self, info: Any) -> bool:
        """Report the losses; return whether to go on. CatBoost calls it."""
        train = info.metrics["learn"][self._loss]
        held_out = info.metrics.get("validation", {}).get(self._loss)
        try:
            if self._keep is not None:
                self._keep()
            goes_on = self._report(
                len(train), float(train[-1]), float(held_out[-1]) if held_out else None
            )
        except BaseException as error:  # noqa: BLE001 - `fit` raises it
            self.error = error
            return False
        self.stopped = not goes_on
        return bool(goes_on) and not self._is_over()
