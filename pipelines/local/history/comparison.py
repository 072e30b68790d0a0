"""Two runs side by side: the parameters and metrics in which they differ."""

from dataclasses import dataclass
from typing import Any

from kfp_tabular.pipelines.local.history.run_entry import KEY_METRICS, RunEntry, is_better

_OF_THE_FOLDER = frozenset({"model_repository"})


@dataclass(frozen=True)
class Difference:
    """A parameter or a metric in which two runs differ.

    Attributes:
        name: Its name.
        first: Its value in the first run; None where it had its default, or there is no such value.
        second: That in the second run.
        better: For a metric, whether the second run's is better; None if that cannot be said.
    """

    name: str
    first: Any
    second: Any
    better: bool | None = None


def parameters(first: RunEntry, second: RunEntry) -> list[Difference]:
    """Return the parameters that were given differently.

    Example:
        >>> runs = [
        ...     RunEntry(name, name, "succeeded", "training", 0, 1, {"epochs": n}, {"auc": m}, True)
        ...     for name, n, m in (("a", 5, 0.8), ("b", 9, 0.9))
        ... ]
        >>> parameters(*runs)
        [Difference(name='epochs', first=5, second=9, better=None)]
        >>> metrics(*runs)
        [Difference(name='auc', first=0.8, second=0.9, better=True)]
    """
    names = sorted({*first.parameters, *second.parameters} - _OF_THE_FOLDER)
    pairs = [(name, first.parameters.get(name), second.parameters.get(name)) for name in names]
    return [Difference(name, one, other) for name, one, other in pairs if one != other]


def metrics(first: RunEntry, second: RunEntry) -> list[Difference]:
    """Return the metrics that differ, the most telling first."""
    names = {*first.metrics, *second.metrics}
    ordered = [name for name in KEY_METRICS if name in names]
    ordered += sorted(names.difference(KEY_METRICS))
    found = []
    for name in ordered:
        one, other = first.metrics.get(name), second.metrics.get(name)
        if one != other:
            both = one is not None and other is not None
            better = is_better(name, other, one) if both else None  # type: ignore[arg-type]
            found.append(Difference(name, one, other, better))
    return found
