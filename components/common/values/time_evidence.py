"""What the values of a column show about how its times are written.

Evidence is collected per block from distinct texts with their counts, is merged in any order, and
the result does not depend on how the column was cut. `decide` reads it once it is complete.

The order of day and month is decided by all rows together: `31/12/2023` in one row settles
`05/06/2023` in all others. Where no row settles it, two rules remain. Dates with dots are written
day first. A number that is always 1, beside one that takes most months in several years, is the
day: the first of each month. Otherwise the decision is ambiguous, and says so.
"""

import dataclasses
import heapq
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kfp_tabular.components.common.values import arrays, time_fields
from kfp_tabular.components.common.values.arrays import Integers, Mask
from kfp_tabular.components.common.values.column_format import TimeFormat
from kfp_tabular.components.common.values.time_patterns import FORMS, ISO, LOOKS_LIKE_A_TIME

Order = Literal["dmy", "mdy", "ymd"]

SHOWN_ODD = 100
"""The number of distinct odd texts that are kept, the first ones in sorted order."""

LONGEST = 64
"""Longer texts are not times. Bounds what long texts cost."""


def _orders(separator: str, year: str) -> dict[Order, str]:
    found: dict[Order, str] = {
        "dmy": f"%d{separator}%m{separator}{year}",
        "mdy": f"%m{separator}%d{separator}{year}",
    }
    if year == "%y":
        found["ymd"] = f"%y{separator}%m{separator}%d"
    return found


_ORDERS = {
    f"{separator}{year}": _orders(separator, year) for year in ("%Y", "%y") for separator in "/.-"
}
_ORDERED_FORMS = {form for orders in _ORDERS.values() for form in orders.values()}
_OTHER_FORMS = [form for form in FORMS if form != ISO and form not in _ORDERED_FORMS]
_MONTHS_OF_FIRSTS = 6
_MOST_YEARS = 20


@dataclass
class _Clocks:
    """What follows the dates of a form, in rows."""

    rows: int = 0
    clock: int = 0
    tee: int = 0
    seconds: int = 0
    fraction: int = 0
    half: int = 0
    zoned: int = 0
    offsets: Counter[int] = field(default_factory=Counter)

    def add(self, other: "_Clocks") -> None:
        for part in dataclasses.fields(self):
            total = getattr(self, part.name) + getattr(other, part.name)
            setattr(self, part.name, total)

    def kinds(self) -> tuple[bool, ...]:
        """Return which parts occur."""
        parts = (self.clock, self.seconds, self.fraction, self.half, self.zoned)
        return (*(rows > 0 for rows in parts), len(self.offsets) > 1)

    def format(self, form: str) -> str:
        """Return the `strptime` format of the fullest spelling seen."""
        if not self.clock or "%H" in form:
            return form
        hour = "%I" if self.half else "%H"
        written = form + ("T" if 2 * self.tee > self.clock else " ") + hour + ":%M"
        if self.seconds:
            written += ":%S" + (".%f" if self.fraction else "")
        return written + (" %p" if self.half else "") + ("%z" if self.zoned else "")


@dataclass
class _Ordered:
    """What numbers in an unknown order show: `05/06/2023`.

    Attributes:
        rows: Rows that are a date in some order.
        valid: Rows that are a date, by order.
        differing: Rows that are different dates in different orders.
        misfits: By order, texts that are a date in another order only, with their rows.
        clocks: What follows the dates, by order.
        firsts, seconds, thirds: The numbers seen in each place, as bits; of years, two digits.
        years: The first years seen.
        example: The first differing text in sorted order.
    """

    rows: int = 0
    valid: Counter[Order] = field(default_factory=Counter)
    differing: int = 0
    misfits: dict[Order, "_Odd"] = field(default_factory=dict)
    clocks: dict[Order, _Clocks] = field(default_factory=dict)
    firsts: int = 0
    seconds: int = 0
    thirds: int = 0
    years: set[int] = field(default_factory=set)
    example: str = ""

    def add(self, other: "_Ordered") -> None:
        self.rows += other.rows
        self.valid += other.valid
        self.differing += other.differing
        for order, misfits in other.misfits.items():
            self.misfits.setdefault(order, _Odd()).add(misfits.counts)
        for order, clocks in other.clocks.items():
            self.clocks.setdefault(order, _Clocks()).add(clocks)
        self.firsts |= other.firsts
        self.seconds |= other.seconds
        self.thirds |= other.thirds
        self.years = set(sorted(self.years | other.years)[:_MOST_YEARS])
        self.example = min(filter(None, (self.example, other.example)), default="")

    def kinds(self) -> tuple[object, ...]:
        """Return what the rows show of the order."""
        valid = sorted(order for order, rows in self.valid.items() if rows == self.rows)
        clocks = [self.clocks[order].kinds() for order in sorted(self.clocks)]
        return (*valid, *clocks)


@dataclass
class _Odd:
    """The first texts in sorted order, with exact counts however the column was cut."""

    counts: dict[str, int] = field(default_factory=dict)

    def add(self, counts: Mapping[str, int]) -> None:
        for text, rows in counts.items():
            self.counts[text] = self.counts.get(text, 0) + rows
        if len(self.counts) > SHOWN_ODD:
            self.counts = {
                text: self.counts[text] for text in heapq.nsmallest(SHOWN_ODD, self.counts)
            }

    def add_where(self, mask: Mask, texts: pa.StringArray, counts: Integers) -> None:
        """Add the distinct texts where a mask is true, each with its rows."""
        rows = np.flatnonzero(mask)
        if not rows.size:
            return
        odd = texts if len(rows) == len(texts) else texts.take(arrays.from_integers(rows))
        if len(odd) > SHOWN_ODD:
            first = pc.partition_nth_indices(odd, pivot=SHOWN_ODD)[:SHOWN_ODD]
            rows = rows[arrays.to_integers(pc.cast(first, pa.int64()))]
            odd = odd.take(first)
        self.add(dict(zip(odd.to_pylist(), counts[rows].tolist(), strict=True)))


@dataclass(frozen=True)
class TimeDecision:
    """How the times of a column are written.

    Attributes:
        format: The format; None where day and month cannot be told apart.
        rows: Rows with a value.
        fits: Rows that the format reads.
        dates: Rows that some format reads.
        odd: Texts that the format does not read, with their rows, most frequent first; at most
            `SHOWN_ODD`.
        ambiguous: Where `format` is None, a text that is two different dates.
        notes: What was decided, a line each without the column's name.
        doubts: What was assumed with doubt, likewise.
    """

    format: TimeFormat | None
    rows: int
    fits: int
    dates: int
    odd: tuple[tuple[str, int], ...] = ()
    ambiguous: str = ""
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()


@dataclass
class TimeEvidence:
    """Counts of what the texts of a column fit.

    Example:
        >>> evidence = TimeEvidence.of(pa.array(["05/06/2023", "31/12/2023"]), np.array([2, 1]))
        >>> evidence.decide().format
        TimeFormat(formats=('%d/%m/%Y',), unit='', canonical='%Y-%m-%d')
    """

    rows: int = 0
    _plain: dict[str, _Clocks] = field(default_factory=dict)
    _ordered: dict[str, _Ordered] = field(default_factory=dict)
    _odd: _Odd = field(default_factory=_Odd)

    @classmethod
    def of(cls, texts: pa.StringArray, counts: Integers) -> "TimeEvidence":
        """Return the evidence of some texts.

        Costs about 0.1 microseconds for a text that is no time.

        Args:
            texts: Distinct texts without nulls and missing markers.
            counts: The rows of each.
        """
        found = cls()
        found.rows = int(counts.sum())
        canonical = time_fields.canonical_format(texts)
        if canonical:
            clock = found.rows if "%H" in canonical else 0
            found._plain[ISO] = _Clocks(found.rows, clock=clock, seconds=clock)
            return found
        likely = arrays.to_integers(pc.cast(pc.binary_length(texts), pa.int64())) <= LONGEST
        if not likely.all():
            found._odd.add_where(~likely, texts, counts)
            texts, counts = texts.filter(arrays.from_mask(likely)), counts[likely]
        likely = arrays.to_mask(pc.match_substring_regex(texts, LOOKS_LIKE_A_TIME))
        if not likely.all():
            found._odd.add_where(~likely, texts, counts)
            texts, counts = texts.filter(arrays.from_mask(likely)), counts[likely]
        for form in (ISO, *_ORDERS, *_OTHER_FORMS):
            if not len(texts):
                return found
            if form in _ORDERS:
                texts, counts = found._add_ordered(form, _ORDERS[form], texts, counts)
            else:
                texts, counts = found._add_plain(form, texts, counts)
        found._odd.add_where(np.ones(len(texts), np.bool_), texts, counts)
        return found

    def merge(self, other: "TimeEvidence") -> None:
        """Add the evidence of other rows of the column."""
        self.rows += other.rows
        for form, clocks in other._plain.items():
            self._plain.setdefault(form, _Clocks()).add(clocks)
        for shape, ordered in other._ordered.items():
            self._ordered.setdefault(shape, _Ordered()).add(ordered)
        self._odd.add(other._odd.counts)

    @property
    def dates(self) -> int:
        """Rows that some format reads."""
        plain = sum(clocks.rows for clocks in self._plain.values())
        return plain + sum(ordered.rows for ordered in self._ordered.values())

    def kinds(self) -> tuple[object, ...]:
        """Return what may change the decision when it changes, apart from shares."""
        clocks = [self._plain[form].kinds() for form in sorted(self._plain)]
        orders = [self._ordered[shape].kinds() for shape in sorted(self._ordered)]
        return (*sorted(self._plain), *sorted(self._ordered), *clocks, *orders)

    def decide(self, day_first: bool | None = None) -> TimeDecision:
        """Return how the column is written, whatever the share of texts that are times.

        Args:
            day_first: Whether the day comes before the month in numbers; None to tell from the
                rows.
        """
        odd = _Odd(dict(self._odd.counts))
        order, notes, doubts, ambiguous = self._order(day_first)
        if ambiguous:
            return TimeDecision(None, self.rows, 0, self.dates, ambiguous=ambiguous)
        found = {form: clocks for form, clocks in self._plain.items() if clocks.rows}
        for shape, ordered in self._ordered.items():
            chosen = _chosen(shape, order)
            if chosen in ordered.clocks and ordered.clocks[chosen].rows:
                found[_ORDERS[shape][chosen]] = ordered.clocks[chosen]
            if chosen in ordered.misfits:
                odd.add(ordered.misfits[chosen].counts)
        total = _Clocks()
        for clocks in found.values():
            total.add(clocks)
        ranked = sorted(found, key=lambda form: (-found[form].rows, form))
        canonical, doubt = _canonical(total)
        if len(ranked) > 1:
            shares = ", ".join(
                f"{found[form].format(form)} in {found[form].rows} rows" for form in ranked
            )
            notes = (*notes, f"several spellings: {shares}")
        # In an order that does not change with every row.
        formats = tuple(found[form].format(form) for form in sorted(found))
        return TimeDecision(
            TimeFormat(formats, canonical=canonical),
            rows=self.rows,
            fits=total.rows,
            dates=self.dates,
            odd=tuple(sorted(odd.counts.items(), key=lambda item: (-item[1], item[0]))),
            notes=notes,
            doubts=(*doubts, *doubt),
        )

    def _order(self, day_first: bool | None) -> tuple[Order, tuple[str, ...], tuple[str, ...], str]:
        """Return the order of numbers, notes, doubts, and an example where it cannot be told."""
        if not self._ordered:
            return "dmy", (), (), ""
        if day_first is not None:
            return ("dmy" if day_first else "mdy"), (), (), ""
        valid: Counter[Order] = Counter()
        for ordered in self._ordered.values():
            valid += ordered.valid
        total = sum(ordered.rows for ordered in self._ordered.values())
        differing = sum(ordered.differing for ordered in self._ordered.values())
        ranked = sorted(valid, key=lambda order: (-valid[order], order))
        best = ranked[0]
        rivals = [order for order in ranked if valid[order] == valid[best]]
        if "ymd" in rivals and len(rivals) > 1:
            # 23-05-10 reads as three dates. The year is the place that varies less.
            years_first = _years_first(self._ordered.values())
            rivals = [order for order in rivals if (order == "ymd") == years_first]
            best = rivals[0]
        named = {"dmy": "day first", "mdy": "month first", "ymd": "year first"}[best]
        if len(rivals) == 1 or not differing:
            others = max((valid[order] for order in ranked if order != best), default=0)
            settled = valid[best] - others
            doubts: tuple[str, ...] = ()
            if differing and valid[best] < total:
                others = total - valid[best]
                doubts = (f"{named} in most rows, but {others} rows are dates only otherwise",)
            notes = (
                (f"{named}: {settled} of {total} rows are dates in this order only",)
                if settled
                else ()
            )
            return best, notes, doubts, ""
        if all(shape.startswith(".") for shape in self._ordered) and "dmy" in rivals:
            return "dmy", ("day first, as usual with dots; no row settles it",), (), ""
        firsts = _order_of_firsts(self._ordered.values())
        if firsts:
            named = "day first" if firsts == "dmy" else "month first"
            return firsts, (f"{named}: the first of each month; no other row settles it",), (), ""
        example = min(ordered.example for ordered in self._ordered.values() if ordered.example)
        return best, (), (), example

    def _add_plain(
        self, form: str, texts: pa.StringArray, counts: Integers
    ) -> tuple[pa.StringArray, Integers]:
        """Take the texts of a form; return the others."""
        if not pc.any(pc.match_substring_regex(texts, FORMS[form].regex)).as_py():
            return texts, counts
        fields = time_fields.fields(texts, FORMS[form])
        here, valid = fields.matched, fields.moments.valid
        self._odd.add_where(~valid, texts.filter(arrays.from_mask(here)), counts[here])
        clocks = _clocks(fields, valid, counts[here])
        if clocks.rows:
            self._plain[form] = clocks
        return texts.filter(arrays.from_mask(~here)), counts[~here]

    def _add_ordered(
        self, shape: str, orders: Mapping[Order, str], texts: pa.StringArray, counts: Integers
    ) -> tuple[pa.StringArray, Integers]:
        """Take the texts of a shape; return the others."""
        if not pc.any(pc.match_substring_regex(texts, FORMS[orders["dmy"]].regex)).as_py():
            return texts, counts
        first = time_fields.fields(texts, FORMS[orders["dmy"]])
        matched = first.matched
        # The patterns of a shape differ in the names of the first three groups only.
        by_order = {
            order: first if order == "dmy" else first.renamed(FORMS[form])
            for order, form in orders.items()
        }
        here, rows = texts.filter(arrays.from_mask(matched)), counts[matched]
        some = np.any([fields.moments.valid for fields in by_order.values()], axis=0)
        ordered = _Ordered(rows=int(rows[some].sum()))
        differ = np.zeros(len(rows), np.bool_)
        for order, fields in by_order.items():
            valid = fields.moments.valid
            ordered.valid[order] = int(rows[valid].sum())
            ordered.clocks[order] = _clocks(fields, valid, rows)
            ordered.misfits[order] = _Odd()
            ordered.misfits[order].add_where(some & ~valid, here, rows)
            for other in by_order.values():
                both = valid & other.moments.valid
                differ |= both & (fields.moments.seconds != other.moments.seconds)
        ordered.differing = int(rows[differ].sum())
        if differ.any():
            ordered.example = pc.min(here.filter(arrays.from_mask(differ))).as_py()
        day, month = first.columns["d"], first.columns["m"]
        year = first.columns["Y" if "Y" in first.columns else "y"]
        ordered.firsts, ordered.seconds = _bits(day[some]), _bits(month[some])
        ordered.years = set(np.unique(year[some])[:_MOST_YEARS].tolist())
        ordered.thirds = _bits(year[some] % 100)
        if ordered.rows:
            self._ordered[shape] = ordered
        self._odd.add_where(~some, here, rows)
        return texts.filter(arrays.from_mask(~matched)), counts[~matched]


def _clocks(fields: "time_fields.Fields", valid: Mask, rows: Integers) -> _Clocks:
    moments = fields.moments

    def count(mask: Mask) -> int:
        return int(rows[mask & valid].sum())

    clock = fields.given("H")
    zones = np.unique(moments.offsets[valid & moments.zoned])
    return _Clocks(
        rows=count(valid),
        clock=count(clock),
        tee=count(fields.tee),
        seconds=count(fields.given("S")),
        fraction=count(moments.micros > 0),
        half=count(fields.given("p")),
        zoned=count(moments.zoned),
        offsets=Counter(
            {int(zone): count(moments.zoned & (moments.offsets == zone)) for zone in zones}
        ),
    )


def _canonical(total: _Clocks) -> tuple[str, tuple[str, ...]]:
    if not total.clock:
        return ISO, ()
    written = f"{ISO} %H:%M:%S{'.%f' if total.fraction else ''}"
    if not total.zoned:
        return written, ()
    naive = total.rows - total.zoned
    doubts = (f"{naive} rows name no zone beside {total.zoned} that do; they count as UTC",)
    zone = "Z" if set(total.offsets) == {0} else "%z"
    return written + zone, doubts if naive else ()


def _chosen(shape: str, order: Order) -> Order:
    """Return the order of a shape, where the order of the column does not exist in it."""
    return order if order in _ORDERS[shape] else "dmy"


def _years_first(shapes: Iterable[_Ordered]) -> bool:
    firsts = thirds = 0
    for ordered in shapes:
        firsts, thirds = firsts | ordered.firsts, thirds | ordered.thirds
    return firsts.bit_count() < thirds.bit_count()


def _order_of_firsts(shapes: Iterable[_Ordered]) -> Order | None:
    firsts = seconds = 0
    years: set[int] = set()
    for ordered in shapes:
        firsts, seconds, years = (
            firsts | ordered.firsts,
            seconds | ordered.seconds,
            years | ordered.years,
        )
    if len(years) < 2:
        return None
    if firsts == 1 << 1 and seconds.bit_count() >= _MONTHS_OF_FIRSTS:
        return "dmy"
    return "mdy" if seconds == 1 << 1 and firsts.bit_count() >= _MONTHS_OF_FIRSTS else None


def _bits(numbers: Integers) -> int:
    return sum(1 << int(number) for number in np.unique(numbers))
