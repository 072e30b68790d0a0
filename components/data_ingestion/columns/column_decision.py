"""How to read a column: decided from all that its values show."""

import dataclasses
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from kfp_tabular.components.common.artifacts.findings import Finding
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.values import missing_markers, reading
from kfp_tabular.components.common.values.column_format import (
    BooleanFormat,
    ColumnFormat,
    Kind,
    NumberFormat,
    TimeFormat,
)
from kfp_tabular.components.data_ingestion.columns import time_choice
from kfp_tabular.components.data_ingestion.columns.column_evidence import (
    BOOLEANS,
    ColumnEvidence,
)
from kfp_tabular.components.data_ingestion.columns.number_shapes import (
    CURRENCIES,
    NOTATIONS,
    Notation,
    Shape,
)

MOST_ODD_SHARE = 0.05
"""Up to this share of values that do not fit a type are odd values of it; more, and it is text."""

MOST_DIVERSE_SHARE = 0.01
"""The same where nearly all odd values differ from each other, as codes do and markers do not."""

_DIVERSE_FROM = 20
_ZERO_LED_SHARE = 0.005
_VERSION_SHARE = 0.01
_LARGE_SHARE = 0.05
_GAIN = 0.01
_LABEL_MARKER_SHARE = 0.2
_LABEL_WORD_SHARE = 0.05
_MOST_LISTED = 5
_MOST_MISSING = 200
_LONGEST_SHOWN = 40
_UNIT_SHARE = 0.8
_FEWEST_GROUPED = 5

_WORDS_IN_LABELS = frozenset({"-", "--", ".", "*", "/", "_", "error", "err", "invalid", "pending"})
_WORDS_IN_LABELS |= frozenset(
    ("unknown", "unk", "none", "missing", "blank", "empty", "void", "nil")
)


@dataclass(frozen=True)
class Wishes:
    """What the options ask for.

    Attributes:
        odd_values: What happens to values that do not fit: `missing`, `flag`, `reject` or `text`,
            which is that the column is text.
        forced: The format that the options give a column; None to decide it.
        is_label: Whether the column is the label.
        missing: Texts that mean missing, which the evidence has left out.
        day_first: Whether the day comes before the month in dates; None to decide it.
        taken: The names of all columns of the data.
    """

    odd_values: str = "missing"
    forced: ColumnFormat | None = None
    is_label: bool = False
    missing: tuple[str, ...] = ()
    day_first: bool | None = None
    taken: Collection[str] = ()


@dataclass(frozen=True)
class Decision:
    """How to read a column.

    Attributes:
        format: The format that its values are converted with.
        missing: Texts that are missing, which are left out before the conversion, and texts in the
            data that do not fit. Endpoints take both as missing.
        aliases: For labels, the spelling to use by spelling in the data, where they differ.
        derived: The columns that are derived from its text, by name.
        findings: What to tell a person.
        question: What the user must answer before the column can be read; empty for nothing.
    """

    format: ColumnFormat
    missing: tuple[str, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)
    derived: Mapping[str, ColumnFormat] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    question: str = ""

    @property
    def arrow(self) -> pa.DataType:
        """The Arrow type of the values in the examples."""
        return arrow_type(self.format)

    @property
    def documented(self) -> ColumnFormat:
        """The format for `columns.json`."""
        return dataclasses.replace(self.format, missing=(*self.format.missing, *self.missing))

    def converts_as(self, other: "Decision") -> bool:
        """Return whether both give the same values for all rows that were seen."""
        return self._conversion() == other._conversion()

    def _conversion(self) -> object:
        return self.format, dict(self.aliases), list(self.derived)


def arrow_type(given: ColumnFormat) -> pa.DataType:
    """Return the Arrow type in which examples hold values of a format.

    Example:
        >>> arrow_type(ColumnFormat("boolean"))
        DataType(int64)
    """
    if given.kind in ("boolean", "integer") or (given.time is not None and given.time.unit):
        return pa.int64()
    return pa.float64() if given.kind == "number" else pa.string()


def require_answers(decisions: Iterable[Decision]) -> None:
    """Check that nothing must be asked.

    Raises:
        UserError: The user must choose how to read a column.
    """
    for decision in decisions:
        if decision.question:
            raise UserError(decision.question)


def decide(name: str, evidence: ColumnEvidence, wishes: Wishes) -> Decision:
    """Decide how to read a column.

    Args:
        name: The column's name.
        evidence: What all of its values show.
        wishes: What the options ask for.

    Example:
        >>> from kfp_tabular.components.data_ingestion.columns.column_evidence import observe
        >>> seen = observe(pa.array(["$1,234.50", "$7"] * 40 + ["n/d"])).evidence
        >>> written = decide("price", seen, Wishes()).format.number
        >>> written.thousands, written.units
        (',', ('$',))
    """
    return _Column(name, evidence, wishes).decide()


class _Column:
    """Decides about one column."""

    def __init__(self, name: str, evidence: ColumnEvidence, wishes: Wishes) -> None:
        self._name = name
        self._evidence = evidence
        self._wishes = wishes
        self._findings: list[Finding] = []
        known = missing_markers.known()
        self._markers = {text: rows for text, rows in evidence.words.items() if text in known}
        self._booleans = {text: rows for text, rows in evidence.words.items() if text not in known}
        self._spelled = sum(self._booleans.values())
        self._plain = evidence.integers + evidence.decimals
        self._numeric = self._plain + sum(evidence.shapes.values())
        self._texts = self._numeric + self._spelled + evidence.strange.rows
        self._stated = {name for name, rows in evidence.stated.items() if rows}

    def decide(self) -> Decision:
        if self._wishes.forced is not None:
            return self._forced(self._wishes.forced)
        stated = self._stated - {"text"}
        if (
            not self._texts
            and not self._evidence.infinite
            and not stated
            and not (self._markers and self._wishes.is_label)
        ):
            if self._markers:
                self._list_markers()
            return self._decided(ColumnFormat(_declared(self._evidence.stated)))
        return self._boolean() or self._time() or self._number() or self._text()

    def _forced(self, given: ColumnFormat) -> Decision:
        if given.kind in ("integer", "number"):
            return self._forced_number(given)
        if given.kind == "boolean" and given.boolean is None:
            true = tuple(word for word, truth in BOOLEANS.items() if truth)
            false = tuple(word for word, truth in BOOLEANS.items() if not truth)
            self._list_odd(self._evidence.strange.rows, [])
            return self._decided(
                dataclasses.replace(given, boolean=BooleanFormat((*true, "1"), (*false, "0")))
            )
        if given.kind == "time" and self._texts:
            return self._forced_time(given)
        return self._decided(given)

    def _forced_number(self, given: ColumnFormat) -> Decision:
        evidence, shapes = self._evidence, self._evidence.shapes
        best = self._notation() if given.number is None else _notation_of(given.number)
        fitting = [shape for shape in shapes if shape.fits >> best & 1]
        odd = self._texts - self._rows_in(best)
        if given.number is None:
            written = self._number_format(best, fitting, odd)
            if given.kind == "integer" and written.kind == "number":
                self._list_odd(evidence.decimals, [])
            return self._decided(dataclasses.replace(written, kind=given.kind))
        self._list_odd(odd, [shape for shape in shapes if shape not in fitting])
        return self._decided(given)

    def _boolean(self) -> Decision | None:
        """Return booleans, also where 0 and 1 stand beside `true` and `false`."""
        evidence = self._evidence
        stated = self._stated - {"boolean", "integer", "text"}
        if evidence.decimals or evidence.shapes or stated or self._stated == {"text"}:
            return None
        if not (self._booleans or "boolean" in self._stated):
            return None
        if evidence.low is not None and not (evidence.low >= 0 and (evidence.high or 0) <= 1):
            return None
        words = {text.lower() for text in self._booleans}
        # `yes` and `Yes` are spellings of one class of a label; `yes` and `y` are not.
        spelled = words if self._wishes.is_label else list(self._booleans)
        several = any(
            sum(BOOLEANS[text.lower()] is truth for text in spelled) > 1 for truth in (True, False)
        )
        numbers = bool(evidence.integers) or "integer" in self._stated
        surely = words & {"true", "false"} or "boolean" in self._stated or numbers
        if not surely and not several:
            return None
        rows = self._spelled + evidence.integers
        rows += evidence.stated["boolean"] + evidence.stated["integer"]
        if not self._tolerates(evidence.strange.rows, rows):
            return None
        words |= {"true", "false"}
        true, false = (
            tuple(word for word in BOOLEANS if BOOLEANS[word] is truth and word in words)
            + ((digit,) if numbers else ())
            for truth, digit in ((True, "1"), (False, "0"))
        )
        if numbers or len(words) > 2:
            spellings = [*sorted(self._booleans), *(["0", "1"] if numbers else [])]
            self._note(
                "boolean",
                f"{self._name!r}: booleans in several spellings ({_listed(spellings)}) are one "
                "type.",
                self._as_text(),
            )
        self._list_odd(evidence.strange.rows, [])
        written = BooleanFormat(true, false)
        return self._decided(
            ColumnFormat("boolean", boolean=None if written == BooleanFormat() else written)
        )

    def _time(self) -> Decision | None:
        """Return points in time: stated ones, text that reads as such, numbers that count."""
        if self._wishes.is_label:
            return None
        if self._stated and not self._texts and not self._stated - set(time_choice.STATED):
            fraction = ".%f" if "time with fractions" in self._stated else ""
            written = f"%Y-%m-%d %H:%M:%S{fraction}"
            return self._decided(
                ColumnFormat("time", time=TimeFormat((written,), canonical=written))
            )
        found = time_choice.choose(
            self._name, self._evidence, self._texts, day_first=self._wishes.day_first
        )
        if found is None or (found.odd_rows and self._wishes.odd_values == "text"):
            return None
        return self._of_time(found)

    def _of_time(self, found: time_choice.TimeChoice) -> Decision:
        if found.format is None:
            return Decision(ColumnFormat("text"), question=found.question)
        if found.note:
            self._note("time", f"{self._name!r}: {found.note}.", self._as_text())
        for doubt in found.doubts:
            self._warn("time", f"{self._name!r}: {doubt}.", self._as_text())
        self._list_odd_times(found.odd_rows, dict(found.odd))
        odd = tuple(text for text, _ in found.odd)
        return self._decided(
            ColumnFormat("time", time=found.format, missing=found.missing), odd=odd
        )

    def _list_odd_times(self, rows: int, counts: Mapping[str, int]) -> None:
        self._list_markers()
        if rows:
            self._warn(
                "odd-values",
                f"{self._name!r}: {_count(rows, 'value')} {'is' if rows == 1 else 'are'} no time, "
                f"{self._fate()}: {_counted(counts)}.",
                f'odd_values, or column_types {{"{self._name}": "text"}}',
            )

    def _forced_time(self, given: ColumnFormat) -> Decision:
        if given.time is not None:
            counts = {
                text: rows
                for text, rows in self._evidence.strange.counts.items()
                if reading.read_one(text, given)[1]
            }
            self._list_odd_times(sum(counts.values()), counts)
            return self._decided(given, odd=tuple(counts))
        found = time_choice.choose(
            self._name,
            self._evidence,
            self._texts,
            day_first=self._wishes.day_first,
            is_forced=True,
        )
        if found is not None:
            return self._of_time(found)
        return Decision(
            ColumnFormat("text"),
            question=f"column {self._name!r}: no value is a time. Set its format in "
            f'column_formats: {{"{self._name}": {{"type": "time", "format": "%d/%m/%Y"}}}}.',
        )

    def _number(self) -> Decision | None:
        evidence = self._evidence
        if self._stated - {"integer", "number", "boolean", "text"}:
            return None
        stated = sum(evidence.stated[name] for name in ("integer", "number", "boolean"))
        infinite = evidence.infinite if not evidence.strange.rows else 0
        if not self._numeric and not infinite and not self._stated & {"integer", "number"}:
            return None
        if self._stated == {"text"} and not self._is_formatted():
            return None
        if self._is_code():
            return None
        best = self._notation()
        fitting = [shape for shape in evidence.shapes if self._fits(shape, best)]
        fits = self._rows_in(best)
        odd = self._texts - fits
        if not self._tolerates(odd, fits + stated):
            return None
        return self._decided(self._number_format(best, fitting, odd))

    def _is_formatted(self) -> bool:
        """Return whether most numbers are written as no file with types holds them."""
        shapes = self._evidence.shapes
        special = sum(
            rows
            for shape, rows in shapes.items()
            if shape.unit or shape.percent or shape.parentheses or not shape.fits & 1
        )
        return special > self._numeric / 2

    def _tolerates(self, odd: int, fits: int) -> bool:
        """Return whether values that do not fit are few enough to be odd ones."""
        if not odd or not fits:
            return fits > 0
        if self._wishes.odd_values == "text":
            return False
        strange = self._evidence.strange
        distinct = len(strange.counts)
        diverse = strange.many or (distinct >= _DIVERSE_FROM and distinct > strange.rows / 2)
        return odd / (fits + odd) <= (MOST_DIVERSE_SHARE if diverse else MOST_ODD_SHARE)

    def _fits(self, shape: Shape, notation: int) -> bool:
        if not shape.fits >> notation & 1:
            return False
        return not shape.unit or shape.unit in CURRENCIES or shape.unit == self._unit()

    def _unit(self) -> str:
        """Return the unit (`kg`) of nearly all numbers; empty where there is none."""
        units: dict[str, int] = {}
        for shape, rows in self._evidence.shapes.items():
            if shape.unit and shape.unit not in CURRENCIES:
                units[shape.unit] = units.get(shape.unit, 0) + rows
        most = max(units, key=lambda unit: units[unit], default="")
        return most if most and units[most] >= _UNIT_SHARE * self._numeric else ""

    def _rows_in(self, notation: int) -> int:
        """Return the rows that are numbers in a notation."""
        evidence = self._evidence
        rows = evidence.integers
        if NOTATIONS[notation].decimal == ".":
            rows += evidence.decimals
        elif NOTATIONS[notation].thousands == ".":
            rows += evidence.groupable
        shapes = evidence.shapes
        return rows + sum(shapes[shape] for shape in shapes if self._fits(shape, notation))

    def _notation(self) -> int:
        """Return the notation that fits most values.

        Values with a separator can be different numbers in two notations (`1,234`). The preferred
        notation then gives way only if noticeably more values fit the other one.
        """
        best = 0
        if self._has_point_groups():
            return _POINT_GROUPS
        for notation in range(1, len(NOTATIONS)):
            gain = self._rows_in(notation) - self._rows_in(best)
            if gain > _GAIN * self._conflicts(best, notation):
                best = notation
        return best

    def _has_point_groups(self) -> bool:
        """Return whether points separate thousands although no value shows a decimal comma.

        All numbers with a point then have three digits behind it and none is below 1. Smaller
        numbers are written without one, or all are amounts of money.
        """
        evidence = self._evidence
        shapes = {shape: rows for shape, rows in evidence.shapes.items() if not shape.code}
        if evidence.groupable < evidence.decimals or any(
            shape.fractions & 1 and not self._may_group(shape) for shape in shapes
        ):
            return False
        grouped = [shape for shape in shapes if self._may_group(shape)]
        rows = evidence.groupable + sum(shapes[shape] for shape in grouped)
        if rows < _FEWEST_GROUPED:
            return False
        widest = max([evidence.widest, *(shape.digits for shape in shapes)])
        if widest:
            return widest <= 3
        return not evidence.decimals and all(shape.unit in CURRENCIES for shape in grouped)

    def _may_group(self, shape: Shape) -> bool:
        """Return whether a point in a shape may be a decimal point or separate thousands."""
        groups = 1 << _POINT_GROUPS
        return bool(shape.fractions & 1 and shape.fits & groups and not shape.fractions & groups)

    def _conflicts(self, one: int, other: int) -> int:
        evidence = self._evidence
        both = 1 << one | 1 << other
        rows = sum(
            rows
            for shape, rows in evidence.shapes.items()
            if shape.fits & both == both and shape.fractions & both not in (0, both)
        )
        points = {NOTATIONS[one].decimal, NOTATIONS[other].decimal}
        grouped = "." in (NOTATIONS[one].thousands, NOTATIONS[other].thousands)
        return rows + (evidence.groupable if grouped and "." in points else 0)

    def _is_code(self) -> bool:
        """Return whether the numbers are codes, in which their spelling matters; say why."""
        why, example = self._code()
        if why:
            self._note(
                "codes",
                f"{self._name!r} stays text: {why}, such as {example!r}.",
                f'column_types {{"{self._name}": "number"}}',
            )
        return bool(why)

    def _code(self) -> tuple[str, str]:
        evidence, shapes = self._evidence, self._evidence.shapes
        zero_led = [shape for shape in shapes if shape.zero_led]
        rows = sum(shapes[shape] for shape in zero_led)
        if rows and (rows > _ZERO_LED_SHARE * self._numeric or self._has_one_width(zero_led)):
            return f"{_count(rows, 'value')} with leading zeros", evidence.examples[zero_led[0]]
        codes = evidence.codes
        if codes.rows and not evidence.decimals and self._has_code_exponents():
            return "integers with an exponent are codes here", min(codes.counts)
        if (
            evidence.narrow
            and not evidence.no_versions
            and evidence.trailing > _VERSION_SHARE * evidence.decimals
        ):
            return "version numbers, in which 1.1 and 1.10 differ", evidence.version
        grouped = {shape.grouped for shape in shapes if shape.grouped and not shape.zero_led}
        rows = sum(rows for shape, rows in shapes.items() if shape.grouped in grouped)
        if len(grouped) == 1 and rows > (1 - MOST_ODD_SHARE) * self._numeric:
            example = min(evidence.examples[shape] for shape in shapes if shape.grouped in grouped)
            return "all have the same groups of digits, like phone numbers", example
        big = [shape for shape in shapes if shape.plain and not shape.fractions]
        rows = sum(shapes[shape] for shape in big)
        rows += evidence.large if evidence.decimals else 0
        if rows > _LARGE_SHARE * self._numeric:
            example = evidence.examples[big[0]] if big else str(evidence.high)
            return "integers too large for a number", example
        return "", ""

    def _has_one_width(self, zero_led: list[Shape]) -> bool:
        evidence = self._evidence
        widths = {len(shape.grouped) for shape in zero_led}
        if len(widths) > 1 or evidence.decimals or evidence.low is None or evidence.high is None:
            return False
        return {len(str(evidence.low)), len(str(evidence.high))} == widths

    def _has_code_exponents(self) -> bool:
        codes = self._evidence.codes
        if codes.many or codes.rows > MOST_ODD_SHARE * self._numeric:
            return True
        values = [float(text) for text in codes.counts]
        if len(set(values)) < len(values):
            return True
        return any(
            value > reading.LARGEST and len(text.lower().partition("e")[0]) > 1
            for text, value in zip(codes.counts, values, strict=True)
        )

    def _number_format(self, best: int, fitting: list[Shape], odd: int) -> ColumnFormat:
        evidence, shapes = self._evidence, self._evidence.shapes
        units = sorted({shape.unit for shape in fitting if shape.unit})
        ungrouped = NOTATIONS.index(Notation(NOTATIONS[best].decimal, ""))
        grouped = any(not shape.fits >> ungrouped & 1 for shape in fitting)
        grouped |= best == _POINT_GROUPS and bool(evidence.groupable)
        written = NumberFormat(
            decimal=NOTATIONS[best].decimal,
            thousands=NOTATIONS[best].thousands if grouped else "",
            units=tuple(units),
            percent=any(shape.percent for shape in fitting),
            parentheses=any(shape.parentheses for shape in fitting),
            limits=any(shape.limit for shape in fitting),
        )
        whole = not evidence.decimals or best == _POINT_GROUPS
        whole &= not written.percent and "number" not in self._stated
        beyond = {text for text in evidence.codes.counts if float(text) > reading.LARGEST}
        for shape in fitting:
            if shape.fractions >> best & 1 and not (
                shape.code and len(beyond) == len(evidence.codes.counts)
            ):
                whole = False
        plain = written == NumberFormat()
        kind: Kind = "integer" if whole else "number"
        self._describe_numbers(written, fitting)
        big = [shape for shape in fitting if whole and shape.plain and not shape.fractions]
        misfits = [shape for shape in shapes if shape not in fitting or shape in big]
        odd += sum(shapes[shape] for shape in big)
        self._list_beyond(sorted(beyond))
        self._list_odd(odd, misfits)
        return ColumnFormat(kind, None if plain else written)

    def _describe_numbers(self, written: NumberFormat, fitting: list[Shape]) -> None:
        evidence = self._evidence
        how = [
            *(["decimal comma"] if written.decimal == "," else []),
            *([f"thousands {written.thousands!r}"] if written.thousands else []),
            *([f"unit {_listed(written.units)}"] if written.units else []),
            *(["percent"] if written.percent else []),
            *(["parentheses for negative"] if written.parentheses else []),
            *(["U+2212 or a minus behind"] if any(shape.minus for shape in fitting) else []),
        ]
        special = [shape for shape in fitting if not shape.plain and not shape.limit]
        if how:
            rows = sum(evidence.shapes[shape] for shape in special) or evidence.groupable
            example = min((evidence.examples[shape] for shape in special), default="")
            self._note(
                "number-format",
                f"{self._name!r}: {_count(rows, 'value')} read as numbers ({', '.join(how)})"
                + (f", such as {example!r}." if example else "."),
                self._as_text(),
            )
        if self._has_point_groups():
            self._warn(
                "thousands",
                f"{self._name!r}: points with three digits behind them are taken for thousands "
                "separators, because smaller numbers have none.",
                f'column_formats {{"{self._name}": {{"type": "number", "decimal": "."}}}}',
            )
        currencies = {CURRENCIES[unit] for unit in written.units if unit in CURRENCIES}
        if len(currencies) > 1:
            self._warn(
                "mixed-currencies",
                f"{self._name!r} mixes currencies ({_listed(sorted(currencies))}); amounts are not "
                f"converted. Column {self._derived('currency')!r} holds the currency.",
                self._as_text(),
            )
        limits = [shape for shape in fitting if shape.limit]
        if limits:
            rows = sum(evidence.shapes[shape] for shape in limits)
            example = min(evidence.examples[shape] for shape in limits)
            self._note(
                "limits",
                f"{self._name!r}: {_count(rows, 'limit')} such as {example!r} are read as the "
                f"limit; column {self._derived('limit')!r} marks them with -1 and 1.",
                self._as_text(),
            )
        percents = sum(evidence.shapes[shape] for shape in fitting if shape.percent)
        if percents and percents < self._numeric:
            self._warn(
                "mixed-percent",
                f"{self._name!r}: {_count(percents, 'value')} with % are divided by 100, "
                f"{self._numeric - percents:,} without are not.",
                self._as_text(),
            )

    def _list_beyond(self, codes: list[str]) -> None:
        rows = self._evidence.beyond + self._evidence.infinite
        rows += sum(self._evidence.codes.counts[text] for text in codes)
        if rows:
            example = f", such as {codes[0]!r}" if codes else ""
            self._warn(
                "huge-values",
                f"{self._name!r}: {_count(rows, 'number')} beyond {reading.LARGEST:.2g}{example}, "
                f"{self._fate()}.",
                "odd_values",
            )

    def _list_odd(self, rows: int, shapes: list[Shape]) -> None:
        """Say which values do not fit."""
        self._list_markers()
        if not rows:
            return
        evidence = self._evidence
        counts = {evidence.examples[shape]: evidence.shapes[shape] for shape in shapes}
        counts |= self._booleans if self._numeric else {}
        counts |= evidence.strange.counts
        self._warn(
            "odd-values",
            f"{self._name!r}: {_count(rows, 'value')} do not fit, {self._fate()}: "
            f"{_counted(counts)}.",
            f'odd_values, or column_types {{"{self._name}": "text"}}',
        )

    def _list_markers(self) -> None:
        usual = {
            text: rows for text, rows in self._markers.items() if text in missing_markers.EXPORTED
        }
        others = {text: rows for text, rows in self._markers.items() if text not in usual}
        option = self._as_text()
        if usual:
            self._note(
                "missing-markers",
                f"{self._name!r}: {_counted(usual)} taken as missing.",
                option,
            )
        if others:
            self._warn(
                "missing-markers",
                f"{self._name!r}: {_counted(others)} taken as missing.",
                option,
            )

    def _text(self) -> Decision:
        evidence = self._evidence
        missing = self._label_markers() if self._wishes.is_label else {}
        if missing:
            self._warn(
                "missing-labels",
                f"label {self._name!r}: {_counted(missing)} taken as missing.",
                self._as_text(),
            )
        if evidence.padded:
            self._note(
                "trimmed",
                f"{self._name!r}: {_count(evidence.padded, 'value')} with blanks around, trimmed.",
                self._as_text(),
            )
        aliases = self._variants(set(missing))
        return self._decided(ColumnFormat("text", missing=tuple(sorted(missing))), aliases)

    def _label_markers(self) -> dict[str, int]:
        """Return the few texts in a label that mean missing; a marker in many rows is a class."""
        counts = {**self._booleans, **self._evidence.strange.counts}
        total = self._texts + sum(self._markers.values())
        if len(counts) + bool(self._numeric) < 2 or "+" in counts:
            return {}
        return {
            text: rows
            for text, rows in self._markers.items()
            if rows
            <= total
            * (_LABEL_WORD_SHARE if text.lower() in _WORDS_IN_LABELS else _LABEL_MARKER_SHARE)
        }

    def _variants(self, missing: set[str]) -> dict[str, str]:
        """Report texts that differ in case or inner blanks; for a label, return the merged ones."""
        evidence = self._evidence
        if evidence.strange.many:
            return {}
        groups: dict[str, dict[str, int]] = {}
        counts = {**self._markers, **self._booleans, **evidence.strange.counts}
        for text in sorted(counts):
            if text not in missing:
                groups.setdefault(" ".join(text.casefold().split()), {})[text] = counts[text]
        several = [group for group in groups.values() if len(group) > 1]
        if not several:
            return {}
        shown = "; ".join(_counted(group) for group in several[:_MOST_LISTED])
        if self._wishes.is_label:
            self._note(
                "case-variants",
                f"label {self._name!r}: spellings of the same class are merged: {shown}.",
                self._as_text(),
            )
            return {
                text: max(group, key=lambda one: group[one])
                for group in several
                for text in group
                if text != max(group, key=lambda one: group[one])
            }
        self._warn(
            "case-variants",
            f"{self._name!r}: {_count(len(several), 'category')} in several spellings: {shown}.",
            "",
        )
        return {}

    def _decided(
        self,
        given: ColumnFormat,
        aliases: Mapping[str, str] | None = None,
        odd: tuple[str, ...] | None = None,
    ) -> Decision:
        listed = list(self._wishes.missing)
        if self._wishes.odd_values in ("missing", "flag") and given.kind in _READ_STRICTLY:
            counts = self._evidence.strange.counts
            strange = sorted(counts, key=lambda text: (-counts[text], text))
            listed += (strange if odd is None else list(odd))[:_MOST_MISSING]
        derived: dict[str, ColumnFormat] = {}
        if not self._wishes.is_label and given.number is not None:
            currencies = {CURRENCIES.get(unit, unit) for unit in given.number.units}
            if len(currencies) > 1:
                derived[self._derived("currency")] = ColumnFormat(
                    "text", derived_from=self._name, part="unit"
                )
            if given.number.limits:
                derived[self._derived("limit")] = ColumnFormat(
                    "integer", derived_from=self._name, part="limit"
                )
        if self._wishes.odd_values == "flag" and not self._wishes.is_label and self._has_odd:
            derived[self._derived("odd")] = ColumnFormat(
                "integer", derived_from=self._name, part="odd"
            )
        return Decision(given, tuple(listed), aliases or {}, derived, tuple(self._findings))

    @property
    def _has_odd(self) -> bool:
        return any(finding.code in ("odd-values", "huge-values") for finding in self._findings)

    def _derived(self, part: str) -> str:
        """Return a name for a derived column that no column of the data has."""
        name = f"{self._name}_{part}"
        while name in self._wishes.taken:
            name += "_"
        return name

    def _fate(self) -> str:
        return {
            "flag": f"taken as missing and marked in column {self._derived('odd')!r}",
            "reject": "and their rows are rejected",
        }.get(self._wishes.odd_values, "taken as missing")

    def _as_text(self) -> str:
        return f'column_types {{"{self._name}": "text"}}'

    def _note(self, code: str, message: str, option: str) -> None:
        self._findings.append(Finding("note", code, message, self._name, option))

    def _warn(self, code: str, message: str, option: str) -> None:
        self._findings.append(Finding("warning", code, message, self._name, option))


_READ_STRICTLY = ("boolean", "integer", "number", "time")
_POINT_GROUPS = NOTATIONS.index(Notation(",", "."))


def _declared(stated: Mapping[str, int]) -> Kind:
    """Return what a column without any value holds, by the types that files state for it."""
    kinds: dict[str, Kind] = {"boolean": "boolean", "integer": "integer", "number": "number"}
    found = {kinds.get(name, "text") for name in stated}
    if found == {"integer", "number"}:
        return "number"
    return found.pop() if len(found) == 1 else "text" if found else "missing"


def _notation_of(given: NumberFormat) -> int:
    return NOTATIONS.index(Notation(given.decimal, given.thousands))


def _count(rows: int, what: str) -> str:
    plural = f"{what[:-1]}ies" if what.endswith("y") else f"{what}s"
    return f"{rows:,} {what if rows == 1 else plural}"


def _listed(texts: Iterable[str]) -> str:
    return ", ".join(repr(text) for text in texts)


def _counted(counts: Mapping[str, int]) -> str:
    ranked = sorted(counts, key=lambda text: (-counts[text], text))
    shown = ", ".join(f"{_short(text)} ({counts[text]:,})" for text in ranked[:_MOST_LISTED])
    more = len(ranked) - _MOST_LISTED
    return shown if more <= 0 else f"{shown} and {more} more"


def _short(text: str) -> str:
    return repr(text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}...")
