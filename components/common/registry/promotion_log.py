"""The log of promotions: which version is champion, and who may change that.

Registries have no compare-and-set. They can append to a sequence in a definite order, though, and
that is enough: an alias move is a record that says what it expects, and every reader applies the
records in order and skips those whose expectation does not hold. So all readers agree on which of
two records won, whatever the processes that wrote them did in between. The aliases in the registry
only repeat what the log says.

A promotion takes two records, because a rollout lies between them. `claim` says: version 5 will be
rolled out, in place of champion 3. Until it ends, claims of other versions are void. `promote` ends
it once the rollout has been verified, `release` when it failed. A process may die in between, so a
claim can be taken over after its time; a `promote` that comes after that is void.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import reduce
from typing import Literal

from kfp_tabular.components.common.registry.port import LogRecord

Kind = Literal["claim", "promote", "release"]

KIND = "kind"
VERSION = "version"
EXPECTS = "expects"
SECONDS = "seconds"
APPLIED = "applied"
"""Marks a promotion that the aliases repeat."""


@dataclass(frozen=True)
class Claim:
    """A rollout in progress.

    Attributes:
        version: The version that is rolled out.
        since: When it was claimed, in seconds since the epoch.
        until: From when on others may take over.
        number: The number of its record.
    """

    version: str
    since: float
    until: float
    number: int


@dataclass(frozen=True)
class Promotion:
    """A promotion that counts.

    Attributes:
        version: The new champion.
        before: The champion before; empty for none.
        time: When, in seconds since the epoch.
        number: The number of its record.
        facts: What the record holds.
    """

    version: str
    before: str
    time: float
    number: int
    facts: Mapping[str, str]


@dataclass(frozen=True)
class Standing:
    """What the log says.

    Attributes:
        champion: The champion; empty for none.
        previous: The champion before; empty for none.
        claim: The rollout in progress, or None.
        promotions: All promotions that count, in order.
    """

    champion: str = ""
    previous: str = ""
    claim: Claim | None = None
    promotions: tuple[Promotion, ...] = ()


def claim(version: str, expects: str, seconds: float) -> dict[str, str]:
    """Return the facts of a claim.

    Args:
        version: The version that will be rolled out.
        expects: The champion that it is to replace; empty for none.
        seconds: After how long others may take over.
    """
    return {KIND: "claim", VERSION: version, EXPECTS: expects, SECONDS: f"{seconds:g}"}


def promote(version: str, facts: Mapping[str, str]) -> dict[str, str]:
    """Return the facts of a promotion: the version's rollout has been verified."""
    return {**facts, KIND: "promote", VERSION: version}


def release(version: str, reason: str) -> dict[str, str]:
    """Return the facts of a release: the version's rollout has failed."""
    return {KIND: "release", VERSION: version, "reason": reason[:1000]}


def standing(records: Iterable[LogRecord]) -> Standing:
    """Return what a log says.

    Example:
        >>> log = [claim("1", "", 60), promote("1", {}), claim("2", "1", 60), claim("3", "1", 60)]
        >>> log += [promote("3", {}), promote("2", {})]
        >>> records = [LogRecord(number, number, facts) for number, facts in enumerate(log, 1)]
        >>> found = standing(records)
        >>> found.champion, found.previous
        ('2', '1')
    """
    return reduce(_applied, records, Standing())


def _applied(state: Standing, record: LogRecord) -> Standing:
    kind, version = record.facts.get(KIND, ""), record.facts.get(VERSION, "")
    held = state.claim
    if kind == "claim":
        free = held is None or held.version == version or held.until <= record.time
        # The first claim may replace a champion that was set without this log.
        known = not state.promotions or record.facts.get(EXPECTS, "") == state.champion
        if not (version and free and known):
            return state
        champion = state.champion if state.promotions else record.facts.get(EXPECTS, "")
        until = record.time + float(record.facts.get(SECONDS, "0"))
        return replace(
            state, champion=champion, claim=Claim(version, record.time, until, record.number)
        )
    if held is None or held.version != version:
        return state
    if kind == "release":
        return replace(state, claim=None)
    if kind == "promote":
        made = Promotion(version, state.champion, record.time, record.number, record.facts)
        return Standing(
            champion=version,
            previous=state.previous if state.champion == version else state.champion,
            promotions=(*state.promotions, made),
        )
    return state
