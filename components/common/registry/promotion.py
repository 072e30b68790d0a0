"""Promotion of a version: hold the model, roll out, then move its aliases."""

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.registry import promotion_log
from kfp_tabular.components.common.registry.port import (
    CHALLENGER,
    CHAMPION,
    PREVIOUS,
    ModelVersion,
    NoChampionError,
    Registry,
    RegistryAwayError,
)
from kfp_tabular.components.common.registry.promotion_log import Standing

CLAIM_SECONDS = 1800.0
"""How long a rollout holds its model if its process dies. KServe's longest default is shorter."""

_MOST_ROUNDS = 20

_logger = logging.getLogger(__name__)


class MovedError(UserError):
    """The champion is another one than a promotion expects, or another rollout runs."""


@dataclass
class Rollout:
    """A rollout that holds its model.

    Attributes:
        version: What is rolled out.
        replaces: The champion that it will replace; empty for none.
        facts: What the promotion's record will hold; add to it inside the block.
    """

    version: ModelVersion
    replaces: str
    facts: dict[str, str] = field(default_factory=dict)


def standing(registry: Registry, name: str) -> Standing:
    """Return what the log of a model says, once its aliases say the same.

    A process that died between its record and the aliases left that to the next one.

    Raises:
        UserError: If the model does not exist, or someone moved its champion without the log.
    """
    found = promotion_log.standing(registry.records(name))
    aliases = registry.aliases(name)
    set_to = aliases.get(CHAMPION, "")
    if not found.promotions:
        return found if found.claim else Standing(set_to, aliases.get(PREVIOUS, ""))
    if set_to == found.champion:
        return found
    last = found.promotions[-1]
    if last.facts.get(promotion_log.APPLIED):
        where = f"points to version {set_to}" if set_to else "was removed"
        raise UserError(
            f"models:/{name}@champion: the alias {where}, but the rollout that was verified last "
            f"is of version {found.champion}: someone moved it past kfp-tabular. Roll a version "
            f"out and make it champion: kfp-tabular models promote {name} VERSION."
        )
    return apply(registry, name)


def champion(registry: Registry, name: str) -> ModelVersion:
    """Return the champion of a model.

    Raises:
        NoChampionError: If it has none.
        UserError: If the model does not exist, or its alias was moved without a rollout.
    """
    number = standing(registry, name).champion
    if not number:
        raise NoChampionError(
            f"models:/{name}@champion: {name} has no champion yet. A version becomes champion once "
            "its rollout has been verified."
        )
    return registry.version(name, number)


@contextmanager
def rollout(
    registry: Registry,
    version: ModelVersion,
    expects: str | None,
    facts: Mapping[str, str],
    seconds: float = CLAIM_SECONDS,
) -> Iterator[Rollout]:
    """Hold a model while a version of it is rolled out; make the version champion afterwards.

    If the block raises, the model is released and its aliases stay.

    Args:
        registry: The registry.
        version: The version.
        expects: The champion that it may replace, empty for none; None for whichever it is now.
        facts: What the promotion's record holds: who, why, and how it was rolled out.
        seconds: After how long others may take over, should this process die.

    Raises:
        MovedError: If another champion is there, or another rollout runs; also at the end of the
            block, if others took over in the meantime.
    """
    name, number = version.name, version.version
    if expects is None:
        expects = head(registry, name)
    record = registry.append(name, promotion_log.claim(number, expects, seconds))
    found = promotion_log.standing(registry.records(name))
    if found.claim is None or found.claim.number != record:
        raise _refusal(version, expects, found)
    held = Rollout(version, expects, dict(facts))
    try:
        yield held
    except BaseException as error:
        # Also on SIGTERM and ctrl-C: the next rollout need not wait.
        reason = f"{type(error).__name__}: {error}"
        try:
            registry.append(name, promotion_log.release(number, reason))
        except RegistryAwayError as away:
            # What failed the rollout is what counts.
            _logger.warning("%s is held for up to %.0f s: %s", name, seconds, away)
        raise
    registry.append(name, promotion_log.promote(number, held.facts))
    found = promotion_log.standing(registry.records(name))
    if found.champion != number:
        raise _refusal(version, expects, found)
    apply(registry, name)
    _logger.info("%s is champion of %s; before: %s", number, name, held.replaces or "none")


def apply(registry: Registry, name: str) -> Standing:
    """Make the aliases of a model repeat its log.

    Several processes may do that at once, and one may be late. So each looks at the log again after
    it has set the aliases: the last one to set them has seen the last record.
    """
    found = promotion_log.standing(registry.records(name))
    for _ in range(_MOST_ROUNDS):
        registry.point(name, CHAMPION, found.champion)
        if found.previous:
            registry.point(name, PREVIOUS, found.previous)
        _settle_challenger(registry, name, found.champion)
        again = promotion_log.standing(registry.records(name))
        if again.promotions == found.promotions:
            break
        found = again
    registry.mark(name, found.promotions[-1].number, promotion_log.APPLIED, f"{time.time():.0f}")
    return found


def _settle_challenger(registry: Registry, name: str, promoted: str) -> None:
    if registry.aliases(name).get(CHALLENGER) != promoted:
        return
    registry.drop(name, CHALLENGER)
    # A version that was registered since may have lost its alias just now.
    newest = registry.versions(name)[0].version
    if int(newest) > int(promoted):
        registry.point(name, CHALLENGER, newest)


def head(registry: Registry, name: str) -> str:
    """Return the champion, whoever set it: a promotion by hand also repairs a moved alias."""
    found = promotion_log.standing(registry.records(name))
    return found.champion if found.promotions else registry.aliases(name).get(CHAMPION, "")


def _refusal(version: ModelVersion, expects: str, found: Standing) -> MovedError:
    name, number = version.name, version.version
    if found.promotions and found.champion != expects:
        last = found.promotions[-1]
        return MovedError(
            f"models:/{name}@champion moved under this run: it is version {found.champion} since "
            f"{_time(last.time)}, and version {number} was made to replace "
            f"{f'version {expects}' if expects else 'none'}. Nothing was promoted. Run again to "
            f"compare with the champion of now, or: kfp-tabular models promote {name} {number}."
        )
    held = found.claim
    if held is None:
        return MovedError(
            f"models:/{name}@champion: version {number} was not promoted: its rollout took longer "
            f"than it may, and others took over. Repeat: kfp-tabular models promote {name} "
            f"{number}."
        )
    return MovedError(
        f"models:/{name}@champion: version {held.version} is being rolled out since "
        f"{_time(held.since)}, so version {number} cannot be. Wait until it ends, or until "
        f"{_time(held.until)} if its process died, and repeat: kfp-tabular models promote {name} "
        f"{number}."
    )


def _time(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
