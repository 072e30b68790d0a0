"""Two registered versions compared: which metric differs, and whether chance explains it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Verdict = Literal["better", "worse", "differs", "may be chance", "unknown"]

LOWER_IS_BETTER = frozenset({"log_loss", "brier", "ece", "rmse", "mae"})
NO_DIRECTION = frozenset({"bias"})


@dataclass(frozen=True)
class Change:
    """A metric of two versions.

    Attributes:
        metric: Its name.
        first: Its value of the first version; None if it has none.
        second: Its value of the second version.
        interval: The 95% interval of the difference, second minus first; None if unknown.
        verdict: Whether the second is better, worse, or chance may explain the difference.
    """

    metric: str
    first: float | None
    second: float | None
    interval: tuple[float, float] | None
    verdict: Verdict

    @property
    def difference(self) -> float | None:
        """The second minus the first."""
        if self.first is None or self.second is None:
            return None
        return self.second - self.first


@dataclass(frozen=True)
class VersionComparison:
    """Two versions compared.

    Attributes:
        changes: The metrics that either has.
        basis: How the intervals were made, one line for people.
        paired: Whether both models were measured on the same rows.
    """

    changes: tuple[Change, ...]
    basis: str
    paired: bool


def compare(
    first: Mapping[str, Any], second: Mapping[str, Any], digests: tuple[str, str]
) -> VersionComparison:
    """Compare the evaluations of two versions.

    Where one of the two was evaluated with the other one as its baseline, both have answered the
    same rows, and the intervals of that evaluation count. Otherwise they are made from the
    intervals of both, as of independent samples.

    Args:
        first: The content of `evaluation.json` of the first version.
        second: That of the second.
        digests: The digests of the two models.

    Example:
        >>> one = {"metrics": {"auc": {"value": 0.8, "interval": [0.79, 0.81]}}}
        >>> other = {"metrics": {"auc": {"value": 0.9, "interval": [0.89, 0.91]}}}
        >>> compare(one, other, ("sha256:1", "sha256:2")).changes[0].verdict
        'better'
    """
    for evaluation, baseline, sign in ((second, digests[0], 1), (first, digests[1], -1)):
        compared = evaluation.get("baseline") or {}
        if compared.get("digest") == baseline and compared.get("changes"):
            return _paired(evaluation, compared, sign)
    names = dict.fromkeys([*first["metrics"], *second["metrics"]])
    changes = [_unpaired(name, first["metrics"], second["metrics"]) for name in names]
    return VersionComparison(
        tuple(changes),
        "The two were measured on different rows, so the intervals are those of independent "
        "samples, and a difference may come from the data. Run with --param baseline=champion to "
        "compare on the same rows.",
        paired=False,
    )


def verdict(metric: str, interval: tuple[float, float] | None) -> Verdict:
    """Return what the interval of a difference says.

    Example:
        >>> verdict("auc", (0.01, 0.03)), verdict("rmse", (0.01, 0.03)), verdict("auc", (-0.1, 0.1))
        ('better', 'worse', 'may be chance')
    """
    if interval is None:
        return "unknown"
    low, high = interval
    if low <= 0 <= high:
        return "may be chance"
    if metric in NO_DIRECTION:
        return "differs"
    return "better" if (low > 0) != (metric in LOWER_IS_BETTER) else "worse"


def _paired(
    evaluation: Mapping[str, Any], compared: Mapping[str, Any], sign: int
) -> VersionComparison:
    own, others = evaluation["metrics"], compared["metrics"]
    one, other = (others, own) if sign > 0 else (own, others)
    changes = []
    for name, change in compared["changes"].items():
        found = change.get("interval")
        interval = None
        if found is not None:
            low, high = sorted(sign * end for end in found)
            interval = (low, high)
        changes.append(
            Change(name, _value(one, name), _value(other, name), interval, verdict(name, interval))
        )
    rows = evaluation.get("rows")
    return VersionComparison(
        tuple(changes),
        f"Both answered the same {rows} rows of split {evaluation.get('split')!r}; the intervals "
        "are of the paired difference.",
        paired=True,
    )


def _unpaired(name: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> Change:
    first, second = _value(one, name), _value(other, name)
    interval = None
    found = [(metrics.get(name) or {}).get("interval") for metrics in (one, other)]
    ends = [interval for interval in found if interval]
    if first is not None and second is not None and len(ends) == len(found):
        # Half the width of the interval of a difference of independent estimates.
        half = math.hypot(*((high - low) / 2 for low, high in ends))
        interval = (second - first - half, second - first + half)
    return Change(name, first, second, interval, verdict(name, interval))


def _value(metrics: Mapping[str, Any], name: str) -> float | None:
    entry = metrics.get(name)
    return None if entry is None else entry["value"]
