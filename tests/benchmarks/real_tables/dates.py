"""Spellings of dates: `when` decides the label."""

import datetime
import random
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks.real_tables.case import CASES, ROWS, Case, case, plain
from tests.benchmarks.real_tables.outcome import (
    auc,
    column,
    feature,
    rows,
    says,
    succeeds,
)
from tests.cases import Table, spoil


def _dated(
    spell: Callable[[datetime.datetime], str],
    odd: dict[str, float] | None = None,
    *,
    by_hour: bool = True,
) -> Table:
    """Return rows whose label depends on the hour of `when`, or on its month."""
    chance = random.Random(11)
    start = datetime.datetime(2023, 1, 1)
    times = [start + datetime.timedelta(minutes=chance.randrange(525_600)) for _ in range(ROWS)]
    early = [moment.hour < 12 if by_hour else moment.month <= 6 for moment in times]
    return {
        "when": spoil([spell(moment) for moment in times], odd or {}),
        "amount": [round(chance.lognormvariate(3, 1), 2) for _ in times],
        "churn": [int(chance.random() < (0.95 if first else 0.05)) for first in early],
    }


DATES: dict[str, tuple[Callable[[datetime.datetime], str], dict[str, float]]] = {
    "day-first-slashes": (lambda moment: moment.strftime("%d/%m/%Y"), {}),
    "day-first-points": (lambda moment: moment.strftime("%d.%m.%Y"), {}),
    "year-first-slashes": (lambda moment: moment.strftime("%Y/%m/%d %H:%M"), {}),
    "iso-utc": (lambda moment: moment.strftime("%Y-%m-%d %H:%M:%S UTC"), {}),
    "us-twelve-hours": (
        lambda moment: f"{moment:%m/%d/%Y} {moment.hour % 12 or 12}:{moment:%M %p}",
        {},
    ),
    "month-names": (lambda moment: moment.strftime("%d %b %Y"), {}),
    "us-month-names": (lambda moment: moment.strftime("%B %d, %Y"), {}),
    "impossible-dates": (lambda moment: moment.strftime("%Y-%m-%d"), {"0000-00-00": 3 / ROWS}),
    "unknown-dates": (lambda moment: moment.strftime("%Y-%m-%d"), {"unknown": 0.005}),
    "null-dates": (lambda moment: moment.strftime("%d/%m/%Y"), {"NULL": 0.01}),
    "iso-fractions": (lambda moment: moment.isoformat() + f".{moment.minute:03d}", {}),
    "epoch-seconds": (
        lambda moment: str(int(moment.replace(tzinfo=datetime.UTC).timestamp())),
        {},
    ),
    "epoch-milliseconds": (
        lambda moment: str(int(moment.replace(tzinfo=datetime.UTC).timestamp()) * 1000),
        {},
    ),
    "compact-dates": (lambda moment: moment.strftime("%Y%m%d"), {}),
}


def _date_case(name: str, spell: Callable[[datetime.datetime], str], odd: dict[str, float]) -> None:
    expectations = (
        succeeds,
        auc(0.85),
        rows(ROWS),
        column("when", "time"),
        feature("when", "timestamp"),
        *([says("when", next(iter(odd)))] if odd else []),
    )
    by_hour = spell(datetime.datetime(2023, 1, 1, 9)) != spell(datetime.datetime(2023, 1, 1, 15))
    table = _dated(spell, odd, by_hour=by_hour)
    CASES[name] = Case(name, lambda folder: plain(folder, table), "churn", (), expectations)


for _name, (_spell, _odd) in DATES.items():
    _date_case(_name, _spell, _odd)


@case(succeeds, column("when", "time"), feature("when", "timestamp"), auc(0.85))
def mixed_offsets(folder: Path) -> Path:
    chance = random.Random(12)
    zones = [("+01:00", 0.98), ("Z", 0.02)]

    def spell(moment: datetime.datetime) -> str:
        zone = chance.choices([zone for zone, _ in zones], [share for _, share in zones])[0]
        return moment.isoformat() + zone

    return plain(folder, _dated(spell))
