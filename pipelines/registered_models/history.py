"""The history of a model's promotions, for people."""

from collections.abc import Sequence
from dataclasses import dataclass

from kfp_tabular.components.common.registry import promotion_log
from kfp_tabular.components.common.registry.port import LogRecord


@dataclass(frozen=True)
class Event:
    """Something that happened to the champion, or was refused.

    Attributes:
        time: When, in seconds since the epoch.
        what: What happened.
        version: The version that it is about.
        by: The run or person, if known.
        why: The reason, if known.
    """

    time: float
    what: str
    version: str
    by: str = ""
    why: str = ""


def of(records: Sequence[LogRecord]) -> list[Event]:
    """Return the events of a log, the latest first.

    Example:
        >>> log = [promotion_log.claim("1", "", 60), promotion_log.promote("1", {"by": "ann"})]
        >>> log += [promotion_log.claim("2", "", 60)]
        >>> [event.what for event in of([LogRecord(n, n, facts) for n, facts in enumerate(log, 1)])]
        ['version 2 refused: the champion had moved', 'version 1 is champion']
    """
    standing = promotion_log.standing(records)
    promotions = {made.number: made for made in standing.promotions}
    events = []
    for place, record in enumerate(records):
        version, kind = record.facts.get("version", ""), record.facts.get("kind")
        by, why = record.facts.get("by", ""), record.facts.get("reason", "")
        if record.number in promotions:
            before = promotions[record.number].before
            instead = f", instead of version {before}" if before and before != version else ""
            events.append(
                Event(record.time, f"version {version} is champion{instead}", version, by, why)
            )
        elif kind == "promote":
            what = f"version {version} refused: its rollout took too long"
            events.append(Event(record.time, what, version, by, why))
        elif kind == "release":
            what = f"version {version} not promoted: its rollout failed"
            events.append(Event(record.time, what, version, by, why))
        elif kind == "claim":
            earlier = promotion_log.standing(records[:place])
            after = promotion_log.standing(records[: place + 1])
            if after.claim is None or after.claim.number != record.number:
                moved = not earlier.claim or earlier.claim.until <= record.time
                reason = "the champion had moved" if moved else "another rollout was running"
                what = f"version {version} refused: {reason}"
                events.append(Event(record.time, what, version, by, why))
    return list(reversed(events))
