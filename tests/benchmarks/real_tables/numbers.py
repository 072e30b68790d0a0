"""Spellings of numbers, markers, codes and identifiers."""

import random
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks.real_tables.case import CASES, GOOD, ROWS, Case, case, changed, plain
from tests.benchmarks.real_tables.outcome import (
    auc,
    column,
    feature,
    rows,
    says,
    succeeds,
)
from tests.cases import people, spoil


def _grouped(value: float, thousands: str, decimal: str) -> str:
    text = f"{value:,.2f}"
    return text.replace(",", "#").replace(".", decimal).replace("#", thousands)


@case(*GOOD, column("income", "number"), feature("income", "numeric"), says("income", "thousands"))
def thousands_with_commas(folder: Path) -> Path:
    return plain(folder, changed(income=lambda value: _grouped(value, ",", ".")))


@case(*GOOD, column("income", "number"), feature("income", "numeric"))
def thousands_with_points(folder: Path) -> Path:
    return plain(folder, changed(income=lambda value: _grouped(value, ".", ",")))


@case(*GOOD, column("income", "number"), feature("income", "numeric"))
def thousands_with_blanks(folder: Path) -> Path:
    chance = random.Random(3)
    blanks = [" ", "\N{NO-BREAK SPACE}", "\N{NARROW NO-BREAK SPACE}"]
    return plain(folder, changed(income=lambda value: _grouped(value, chance.choice(blanks), ",")))


@case(*GOOD, column("income", "number"))
def thousands_with_apostrophes(folder: Path) -> Path:
    return plain(folder, changed(income=lambda value: _grouped(value, "'", ".")))


@case(*GOOD, column("income", "number"), says("income", "$"))
def dollars(folder: Path) -> Path:
    return plain(folder, changed(income=lambda value: f"${value:,.2f}"))


@case(*GOOD, column("income", "integer|number"), says("income", "EUR"))
def euros_behind(folder: Path) -> Path:
    return plain(folder, changed(income=lambda value: f"{value:.0f} EUR"))


@case(*GOOD, column("income", "number"), says("income", "currenc", severity="warning"))
def mixed_currencies(folder: Path) -> Path:
    chance = random.Random(4)
    return plain(folder, changed(income=lambda value: f"{chance.choice(['€', '$'])}{value:,.2f}"))


@case(*GOOD, column("age", "number"), feature("age", "numeric"), says("age", "%"))
def percent(folder: Path) -> Path:
    return plain(folder, changed(age=lambda value: f"{value / 2:.1f}%"))


def _balance(folder: Path, negative: Callable[[float], str]) -> Path:
    table = changed(income=lambda value: value - 36_000)
    table["income"] = [
        negative(-value) if value < 0 else f"{value:.2f}" for value in table["income"]
    ]
    return plain(folder, table)


@case(*GOOD, column("income", "number"), says("income", "parenthes"))
def parentheses(folder: Path) -> Path:
    return _balance(folder, lambda value: f"({value:.2f})")


@case(*GOOD, column("income", "number"))
def unicode_minus(folder: Path) -> Path:
    return _balance(folder, lambda value: f"\N{MINUS SIGN}{value:.2f}")


@case(*GOOD, column("income", "number"), feature("income", "numeric"), says("income", "limit"))
def limits(folder: Path) -> Path:
    table = people()
    table["income"] = spoil(table["income"], {"<7000": 0.01, ">150000": 0.002})
    return plain(folder, table)


MARKERS = {
    "question-marks": {"?": 0.02},
    "dashes": {"-": 0.02},
    "hive-nulls": {"\\N": 0.1},
    "spreadsheet-errors": {"#DIV/0!": 0.005, "#REF!": 0.002},
    "n-d": {"n/d": 0.01},
    "unknown-in-numbers": {"unknown": 0.03},
    "null-bytes": {"\0": 9 / ROWS},
    "mixed-markers": {"?": 0.01, "-": 0.01, "n/d": 0.01, "NULL": 0.01, "": 0.02, "none": 0.01},
}


def _marked(name: str, odd: dict[str, float]) -> None:
    def write(folder: Path) -> Path:
        table = people()
        table["income"] = spoil(table["income"], odd)
        table["age"] = spoil(table["age"], odd, seed=1)
        return plain(folder, table)

    expectations = (
        *GOOD,
        column("income", "number"),
        column("age", "integer|number"),
        feature("income", "numeric"),
        feature("age", "numeric"),
        says("income", "missing"),
    )
    CASES[name] = Case(name, write, "churn", (), expectations)


for _name, _odd in MARKERS.items():
    _marked(_name, _odd)


@case(*GOOD, column("sku", "text"))
def stock_keeping_units(folder: Path) -> Path:
    chance = random.Random(5)
    table = people()
    table["sku"] = [chance.choice(["1E5", "10E4", "100E3", "2E7", "5E1"]) for _ in range(ROWS)]
    return plain(folder, table)


@case(*GOOD, rows(ROWS), column("sku", "text"))
def codes_that_overflow(folder: Path) -> Path:
    table = people()
    table["sku"] = spoil([f"{row % 90 + 10}A" for row in range(ROWS)], {"12345E678": 0.002})
    return plain(folder, table)


@case(*GOOD, column("version", "text"))
def version_numbers(folder: Path) -> Path:
    chance = random.Random(6)
    table = people()
    table["version"] = [chance.choice(["1.10", "1.1", "1.9", "1.2"]) for _ in range(ROWS)]
    return plain(folder, table)


@case(succeeds, feature("units", "numeric"), auc(0.99), label="large")
def units_with_a_gap(folder: Path) -> Path:
    chance = random.Random(7)
    units = [chance.choice([*range(11), *range(13, 24)]) for _ in range(ROWS)]
    table = {
        "units": units,
        "noise": [round(chance.gauss(0, 1), 3) for _ in units],
        "large": [int(value >= 20) for value in units],
    }
    return plain(folder, table)


@case(*GOOD, feature("tenure", "numeric"), feature("age", "numeric"))
def tenure_and_age(folder: Path) -> Path:
    table = people()
    chance = random.Random(8)
    table["tenure"] = [chance.randint(0, 71) for _ in range(ROWS)]
    return plain(folder, table)


@case(*GOOD, feature("customer_id", "dropped"), says("customer_id", "identifier"))
def float_identifier(folder: Path) -> Path:
    table = people()
    table["customer_id"] = spoil([f"{10_000_123 + 7 * row}.0" for row in range(ROWS)], {"": 0.01})
    return plain(folder, table)


@case(*GOOD, feature("account", "dropped"), says("account", "identifier"))
def sparse_identifier(folder: Path) -> Path:
    chance = random.Random(9)
    table = people()
    table["account"] = chance.sample(range(10**9), ROWS)
    return plain(folder, table)


@case(*GOOD, feature("customer_id", "dropped"), says("customer_id", "split_keys"))
def repeated_identifier(folder: Path) -> Path:
    chance = random.Random(10)
    customers = chance.sample(range(10**6, 10**7), ROWS // 3) * 3
    chance.shuffle(customers)
    table = people()
    table["customer_id"] = customers
    return plain(folder, table)


@case(*GOOD, rows(ROWS), says("income", "1e39"))
def one_huge_value(folder: Path) -> Path:
    table = people()
    table["income"] = spoil(table["income"], {"1e39": 1 / ROWS})
    return plain(folder, table)
