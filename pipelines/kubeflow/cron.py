"""Cron expressions: from five fields, as people write them, to the six that Kubeflow reads."""

import re
from collections.abc import Sequence

from kfp_tabular.components.common.errors import UserError

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_FIELDS: Sequence[tuple[str, int, int, Sequence[str]]] = (
    ("second", 0, 59, ()),
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of month", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of week", 0, 6, _DAYS),
)
_ITEM = re.compile(r"(\*|\?|[0-9A-Za-z]+)(?:-([0-9A-Za-z]+))?(?:/([0-9]+))?")
_EVERY = re.compile(r"@every ([0-9]+[hms])+")
_DESCRIPTORS = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")


def six_fields(expression: str) -> str:
    """Return a cron expression as Kubeflow's scheduler reads it.

    Its parser (`cron.Parse` of robfig/cron 1) expects seconds first and does not require the day
    of the week, so it would read `0 2 * * *` as two minutes past every hour.

    Args:
        expression: Five fields (minute, hour, day of month, month, day of week), six with the
            second first, `@daily` and its like, or `@every 6h`.

    Raises:
        UserError: For anything else; the message names the field.

    Example:
        >>> six_fields("0 2 * * *")
        '0 0 2 * * *'
    """
    text = expression.strip()
    if text.startswith("@"):
        if text not in _DESCRIPTORS and not _EVERY.fullmatch(text):
            raise UserError(
                f"--cron {expression!r}: expected @every with a duration such as 6h30m, or one of "
                f"{', '.join(_DESCRIPTORS)}."
            )
        return text
    given = text.split()
    if len(given) not in (5, 6):
        raise UserError(
            f"--cron {expression!r}: expected five fields (minute, hour, day of month, month, day "
            f"of week), such as '0 2 * * *' for every night at two; found {len(given)}."
        )
    parts = given if len(given) == len(_FIELDS) else ["0", *given]
    for part, (name, least, most, names) in zip(parts, _FIELDS, strict=True):
        for item in part.split(","):
            if not _fits(item, least, most, names):
                raise UserError(
                    f"--cron {expression!r}: {name} {item!r} is not *, a number from {least} to "
                    f"{most}, a range or a step."
                )
    return " ".join(parts)


def _fits(item: str, least: int, most: int, names: Sequence[str]) -> bool:
    match = _ITEM.fullmatch(item)
    if match is None:
        return False
    first, last, step = match.groups()
    if step is not None and int(step) == 0:
        return False
    if first in ("*", "?"):
        return last is None
    low = _number(first, least, names)
    high = low if last is None else _number(last, least, names)
    return low is not None and high is not None and least <= low <= high <= most


def _number(text: str, least: int, names: Sequence[str]) -> int | None:
    if text.isdecimal():
        return int(text)
    return names.index(text.upper()) + least if text.upper() in names else None
