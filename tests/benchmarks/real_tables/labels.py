"""Labels, splits and worthless models."""

import random
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks.real_tables.case import GOOD, ROWS, case, changed, plain
from tests.benchmarks.real_tables.outcome import (
    auc,
    blessed,
    classes,
    metric,
    rows,
    says,
    succeeds,
)
from tests.cases import Table, passengers, people, spoil, write_csv


@case(succeeds, auc(0.69, 0.80), label="survived")
def few_kinds_of_row(folder: Path) -> Path:
    return plain(folder, passengers())


@case(succeeds, auc(0.3, 0.6), blessed(False), label="coin")
def five_times_each_row(folder: Path) -> Path:
    chance = random.Random(13)
    table: Table = {"row": [], "a": [], "b": [], "coin": []}
    number = 0
    for _ in range(600):
        a, b, coin = (
            round(chance.gauss(0, 1), 3),
            round(chance.gauss(0, 1), 3),
            chance.randint(0, 1),
        )
        for _ in range(5):
            for name, value in zip(table, (number, a, b, coin), strict=True):
                table[name].append(value)
            number += 1
    return plain(folder, table)


@case(succeeds, auc(0.6, 0.9), says("kinds of row"), label="bought")
def six_kinds_of_row(folder: Path) -> Path:
    chance = random.Random(14)
    table: Table = {"plan": [], "region": [], "bought": []}
    for _ in range(ROWS):
        plan, region = chance.choice(["free", "basic", "pro"]), chance.choice(["north", "south"])
        odds = {"free": 0.2, "basic": 0.5, "pro": 0.8}[plan]
        for name, value in zip(table, (plan, region, int(chance.random() < odds)), strict=True):
            table[name].append(value)
    return plain(folder, table)


@case(*GOOD, classes("no", "yes"))
def untidy_label(folder: Path) -> Path:
    chance = random.Random(15)
    spell = {1: ["yes", "yes ", "Yes"], 0: ["no", "no ", "NO"]}
    weights = [0.9, 0.05, 0.05]
    return plain(folder, changed(churn=lambda value: chance.choices(spell[value], weights)[0]))


@case(succeeds, auc(0.9), classes("0", "1"), says("churn", "missing"))
def markers_in_the_label(folder: Path) -> Path:
    table = people()
    table["churn"] = spoil(table["churn"], {"NA": 0.003, "?": 0.003, "unknown": 0.003})
    return plain(folder, table)


@case(succeeds, auc(0.9), classes("0", "1"), rows(ROWS))
def integer_and_boolean_label(folder: Path) -> Path:
    table = people()
    half = ROWS // 2
    first = {name: values[:half] for name, values in table.items()}
    second = {name: values[half:] for name, values in table.items()}
    second["churn"] = [str(bool(value)) for value in second["churn"]]
    write_csv(folder / "data" / "a.csv", first)
    write_csv(folder / "data" / "b.csv", second)
    return folder / "data"


def _worded(folder: Path, zero: str, one: str) -> Path:
    table = people()
    rare = [row for row in range(ROWS) if table["churn"][row] == 1]
    kept = set(rare[::3]) | {row for row in range(ROWS) if table["churn"][row] == 0}
    table = {name: [values[row] for row in sorted(kept)] for name, values in table.items()}
    table["churn"] = [one if value else zero for value in table["churn"]]
    return plain(folder, table)


@case(succeeds, auc(0.9), classes("retained", "churned"), says("churned", "positive_class"))
def rarer_class_first_in_alphabet(folder: Path) -> Path:
    return _worded(folder, "retained", "churned")


@case(succeeds, auc(0.9), classes("good", "bad"))
def bad_and_good(folder: Path) -> Path:
    return _worded(folder, "good", "bad")


@case(
    succeeds,
    auc(0.9),
    classes("bad", "good"),
    arguments=["--param", "positive_class=good"],
)
def positive_class_is_chosen(folder: Path) -> Path:
    return _worded(folder, "good", "bad")


@case(succeeds, classes("0", "1", "2"), metric("accuracy", 0.5, 1), label="level")
def whole_float_classes(folder: Path) -> Path:
    table = people()
    table["level"] = [f"{min(value // 30, 2)}.0" for value in table.pop("age")]
    del table["churn"]
    chance = random.Random(16)
    table["hint"] = [float(value) + chance.gauss(0, 0.5) for value in table["level"]]
    return plain(folder, table)


@case(succeeds, metric("r2", 0.3, 1), says("n/d"), label="income")
def two_odd_values_in_a_number_to_predict(folder: Path) -> Path:
    return plain(folder, _regression({"n/d": 2 / ROWS}, str))


@case(succeeds, metric("r2", 0.3, 1), label="income")
def prices_to_predict(folder: Path) -> Path:
    return plain(folder, _regression({}, lambda value: f"${value:,.0f}"))


def _regression(odd: dict[str, float], spell: Callable[[float], str]) -> Table:
    table = people()
    chance = random.Random(17)
    table["income"] = [
        round(20_000 + 400 * age + chance.gauss(0, 5_000), 2) for age in table["age"]
    ]
    table["income"] = spoil([spell(value) for value in table["income"]], odd)
    del table["churn"]
    return table


@case(succeeds, blessed(False), says("positive"), label="fraud")
def three_positives(folder: Path) -> Path:
    chance = random.Random(18)
    count = 20_000
    positive = set(chance.sample(range(count), 3))
    table = {
        "amount": [round(chance.lognormvariate(3, 1), 2) for _ in range(count)],
        "hour": [chance.randrange(24) for _ in range(count)],
        "fraud": [int(row in positive) for row in range(count)],
    }
    return plain(folder, table)


@case(succeeds, says("refund", "leak", severity="error"))
def copy_of_the_label(folder: Path) -> Path:
    table = people()
    table["refund"] = ["paid" if value else "none" for value in table["churn"]]
    return plain(folder, table)


@case(succeeds, says("score", "leak"))
def column_that_predicts_the_label(folder: Path) -> Path:
    chance = random.Random(19)
    table = people()
    table["score"] = [round(value + chance.gauss(0, 0.34), 3) for value in table["churn"]]
    return plain(folder, table)


@case(succeeds, blessed(False), says("recall"), label="queue")
def three_classes_never_answered(folder: Path) -> Path:
    chance = random.Random(20)
    table: Table = {"amount": [], "queue": []}
    for _ in range(ROWS):
        queue = chance.choices(["a", "b", "c", "d", "e"], [0.45, 0.43, 0.04, 0.04, 0.04])[0]
        table["amount"].append(round(chance.gauss(1.5 if queue == "a" else 0, 1), 3))
        table["queue"].append(queue)
    return plain(folder, table)
