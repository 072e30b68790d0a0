"""Card transactions without their labels."""

from dataclasses import dataclass

import numpy as np

from kfp_tabular.pipelines.sample_data.draws import Booleans, Draws, Floats, Integers
from kfp_tabular.pipelines.sample_data.merchants import CATEGORIES, Merchants

_START = 1_704_067_200  # 2024-01-01T00:00:00Z, in Unix seconds; a Monday
_DAYS = 182
_SECONDS_PER_DAY = 86_400
_ROWS_PER_CARD = 40
_FARTHEST = 20_000.0  # kilometres, half way round the Earth

COUNTRIES = ("DE", "FR", "ES", "PL", "IT", "GB", "US", "TR", "BR", "NG", "JP", "CN")
_HOME_WEIGHT = (24, 18, 14, 12, 12, 10, 4, 2, 1, 1, 1, 1)
_AWAY_WEIGHT = (8, 9, 12, 6, 11, 11, 13, 9, 5, 4, 6, 6)

# Payments per hour of the day, UTC: few at night, most after work.
_HOUR_WEIGHT = (
    2, 1.4, 1, 0.8, 0.8, 1.2, 2.5, 4.5, 6, 6, 6, 6.5, 8, 7.5, 6.5, 6, 6.5, 8, 9, 8.5, 7, 5.5, 4.5, 3
)  # fmt: skip
_WEEKDAY_WEIGHT = (0.9, 0.9, 0.95, 1.0, 1.25, 1.3, 0.9)  # Monday first

CHIP, CONTACTLESS, ONLINE, MAGNETIC_STRIPE = range(4)
ENTRY_MODES = ("chip", "contactless", "online", "magnetic_stripe")
_IN_STORE_WEIGHT = (0.42, 0.55, 0.0, 0.03)

DEVICES = ("terminal", "wallet_phone", "iphone", "android", "windows", "mac", "tablet")
_DEVICE_WEIGHT = {
    CHIP: (1, 0, 0, 0, 0, 0, 0),
    CONTACTLESS: (0.6, 0.4, 0, 0, 0, 0, 0),
    ONLINE: (0, 0, 0.28, 0.34, 0.2, 0.1, 0.08),
    MAGNETIC_STRIPE: (1, 0, 0, 0, 0, 0, 0),
}


@dataclass(frozen=True)
class Transactions:
    """The columns as numbers, in order of time, all of shape `[rows]`, nothing missing yet.

    Attributes:
        card: Index of the card.
        seconds: Unix time.
        amount: In euro.
        amount_score: Logarithm of the amount, standardized within the merchant's category.
        merchant: Index into the merchants.
        category: Index into `CATEGORIES`.
        country: Index of the country where the payment was made.
        home_country: Index of the card's country.
        entry_mode: `CHIP`, `CONTACTLESS`, `ONLINE` or `MAGNETIC_STRIPE`.
        device: Index of the device.
        new_device: Whether the card was never used with this device.
        age: The card holder's, in years.
        distance: From home, in kilometres.
        days_since_last: Since the card's previous transaction; NaN for its first.
        last_day: How many transactions the card made in the 24 hours before this one.
        merchant_risk: Added to the logarithm of the odds of fraud.
    """

    card: Integers
    seconds: Integers
    amount: Floats
    amount_score: Floats
    merchant: Integers
    category: Integers
    country: Integers
    home_country: Integers
    entry_mode: Integers
    device: Integers
    new_device: Booleans
    age: Integers
    distance: Floats
    days_since_last: Floats
    last_day: Integers
    merchant_risk: Floats

    @property
    def hour(self) -> Integers:
        """The hour of the day in UTC, 0 to 23."""
        return np.asarray(self.seconds // 3600 % 24)

    @property
    def weekday(self) -> Integers:
        """The day of the week in UTC, Monday is 0."""
        return np.asarray((self.seconds - _START) // _SECONDS_PER_DAY % 7)

    @property
    def weekend(self) -> Booleans:
        """Whether the day is a Saturday or a Sunday."""
        return np.asarray(self.weekday >= 5)

    @property
    def abroad(self) -> Booleans:
        """Whether the payment was made outside the card's country."""
        return np.asarray(self.country != self.home_country)


def draw(rows: int, catalog: Merchants, draws: Draws) -> Transactions:
    """Make transactions.

    Args:
        rows: How many.
        catalog: The merchants.
        draws: Where chance comes from.

    Example:
        >>> from kfp_tabular.pipelines.sample_data.merchants import merchants
        >>> data = draw(100, merchants(), Draws(7))
        >>> data.amount.shape, bool((np.diff(data.seconds) >= 0).all())
        ((100,), True)
    """
    cards = max(2, rows // _ROWS_PER_CARD)
    activity = np.exp(0.8 * draws.normal(cards))
    home = draws.choice(np.array(_HOME_WEIGHT, dtype=np.float64), cards)
    age_of_card = np.clip(np.rint(46 + 17 * draws.normal(cards)), 18, 92).astype(np.int64)
    spending = 0.35 * draws.normal(cards)

    card, seconds = _times(draws.choice(activity, rows), draws)
    days_since_last, last_day = _history(card, seconds)
    in_time = np.lexsort((card, seconds))
    card, seconds = card[in_time], seconds[in_time]

    merchant = draws.choice(catalog.weight, rows)
    category = catalog.category[merchant]
    typical = np.log([kind.typical_amount for kind in CATEGORIES])[category]
    spread = np.array([kind.spread for kind in CATEGORIES])[category]
    score = spending[card] + draws.normal(rows)
    amount = np.maximum(np.round(np.exp(typical + spread * score), 2), 0.5)

    online = draws.happens(np.array([kind.online_share for kind in CATEGORIES])[category], rows)
    in_store = draws.choice(np.array(_IN_STORE_WEIGHT), rows)
    entry_mode = np.where(online, ONLINE, in_store)
    away = draws.happens(np.where(category == _category("travel"), 0.3, 0.07), rows)
    elsewhere = draws.choice(np.array(_AWAY_WEIGHT, dtype=np.float64), rows)
    country = np.where(away, elsewhere, home[card])
    distance = np.exp(
        np.where(country != home[card], 6.8, np.where(online, 2.9, 1.8)) + draws.normal(rows)
    )
    return Transactions(
        card=card,
        seconds=seconds,
        amount=amount,
        amount_score=score,
        merchant=merchant,
        category=category,
        country=country,
        home_country=home[card],
        entry_mode=entry_mode,
        device=_devices(entry_mode, draws),
        new_device=draws.happens(np.where(online, 0.14, 0.03), rows),
        age=age_of_card[card],
        distance=np.minimum(np.round(distance, 1), _FARTHEST),
        days_since_last=days_since_last[in_time],
        last_day=last_day[in_time],
        merchant_risk=catalog.risk[merchant],
    )


def _times(card: Integers, draws: Draws) -> tuple[Integers, Integers]:
    """Draw the time of each transaction, some of them in bursts.

    Returns:
        The cards and the times, sorted by card and then by time.
    """
    rows = len(card)
    days = np.arange(_DAYS)
    day = draws.choice(np.array(_WEEKDAY_WEIGHT)[days % 7], rows)
    hour = draws.choice(np.array(_HOUR_WEIGHT, dtype=np.float64), rows)
    within = (draws.uniform(rows) * 3600).astype(np.int64)
    seconds = _START + day * _SECONDS_PER_DAY + hour * 3600 + within
    order = np.lexsort((seconds, card))
    card, seconds = card[order], seconds[order]

    # A burst: the transaction follows the card's previous one within minutes.
    follows = draws.happens(0.12, rows)
    gaps = 30 + (600 * draws.exponential(rows)).astype(np.int64)
    follows &= np.concatenate([[False], card[1:] == card[:-1]])
    anchor = np.maximum.accumulate(np.where(follows, 0, np.arange(rows)))
    waited = np.cumsum(np.where(follows, gaps, 0))
    seconds = np.where(follows, seconds[anchor] + waited - waited[anchor], seconds)
    order = np.lexsort((seconds, card))
    return card[order], seconds[order]


def _history(card: Integers, seconds: Integers) -> tuple[Floats, Integers]:
    """Return the days since the card's previous transaction, and its number in the last 24 hours.

    Args:
        card: Sorted, shape `[rows]`.
        seconds: Sorted within each card, shape `[rows]`.
    """
    first = np.concatenate([[True], card[1:] != card[:-1]])
    gap = np.diff(seconds, prepend=seconds[0]) / _SECONDS_PER_DAY
    # One increasing key of card and time, the cards more than a day apart.
    key = card * (2 * _DAYS * _SECONDS_PER_DAY) + (seconds - _START)
    earliest = np.searchsorted(key, key - _SECONDS_PER_DAY, side="left")
    last_day = np.arange(len(card)) - earliest
    return np.where(first, np.nan, np.round(gap, 3)), last_day


def _devices(entry_mode: Integers, draws: Draws) -> Integers:
    device = np.zeros(len(entry_mode), dtype=np.int64)
    for mode, weight in _DEVICE_WEIGHT.items():
        drawn = draws.choice(np.array(weight, dtype=np.float64), len(entry_mode))
        device = np.where(entry_mode == mode, drawn, device)
    return device


def _category(name: str) -> int:
    return [kind.name for kind in CATEGORIES].index(name)
