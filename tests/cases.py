"""Tables as people have them: the clean table that every case starts from, and how it is spoiled.

A case is a clean table with one thing changed, written to a file:

    table = people()
    table["income"] = spoil(table["income"], {"n/d": 0.02})
    write_csv(tmp_path / "people.csv", table, delimiter=";")
"""

import math
import os
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

Table = dict[str, list[Any]]

CITIES = {"Paris": 0.84, "Madrid": 0.0, "London": -0.7, "Oslo": -1.54}
"""The cities of `people`, each with its effect on churn."""

_SIGNAL = 1.75  # How far the columns decide `churn`: a perfect model has an AUC of 0.935.


def people(rows: int = 3_000, seed: int = 0) -> Table:
    """Return the clean table: `age`, `income`, `city`, `visits` and the label `churn` (0 or 1).

    Ages are from 18 to 89, incomes log-normal with two decimals, visits Poisson with mean 3. Churn
    is a noisy function of all four; 43% are 1. An AUC of 0.93 to 0.94 is reachable.
    """
    chance = random.Random(seed)
    table: Table = {"age": [], "income": [], "city": [], "visits": [], "churn": []}
    cities = list(CITIES)
    for _ in range(rows):
        age = chance.randint(18, 89)
        income = round(chance.lognormvariate(10.5, 0.5), 2)
        city = chance.choice(cities)
        visits = poisson(chance, 3)
        score = 0.06 * (age - 53) - 1.6 * (math.log(income) - 10.5)
        score += CITIES[city] - 0.55 * (visits - 3)
        churn = int(chance.random() < 1 / (1 + math.exp(-_SIGNAL * score)))
        for column, value in zip(table.values(), (age, income, city, visits, churn), strict=True):
            column.append(value)
    return table


def passengers(rows: int = 4_000, seed: int = 0) -> Table:
    """Return a table of few kinds: 72 distinct rows of `pclass`, `sex`, `age` and `port`.

    The label `survived` depends on the kind, not on the row: an AUC of 0.74 is reachable.
    """
    chance = random.Random(seed)
    ages = {"child": 0.7, "young": 0.1, "adult": 0.0, "old": -0.6}
    ports = {"C": 0.3, "Q": 0.0, "S": -0.2}
    table: Table = {"pclass": [], "sex": [], "age": [], "port": [], "survived": []}
    for _ in range(rows):
        pclass, sex = chance.randint(1, 3), chance.choice(["female", "male"])
        age, port = chance.choice(list(ages)), chance.choice(list(ports))
        score = 0.5 * (2 - pclass) + (0.7 if sex == "female" else -0.7) + ages[age] + ports[port]
        survived = int(chance.random() < 1 / (1 + math.exp(-score)))
        row = (pclass, sex, age, port, survived)
        for column, value in zip(table.values(), row, strict=True):
            column.append(value)
    return table


def poisson(chance: random.Random, mean: float) -> int:
    """Return a number from the Poisson distribution."""
    limit, product, number = math.exp(-mean), chance.random(), 0
    while product > limit:
        product *= chance.random()
        number += 1
    return number


def spoil(values: Sequence[Any], odd: Mapping[Any, float], seed: int = 0) -> list[Any]:
    """Return values with some replaced, at random places.

    Args:
        values: A column.
        odd: The share of rows that get each value; at least one row for a share above 0.
        seed: Decides the places.
    """
    counts = {value: max(1, round(share * len(values))) for value, share in odd.items() if share}
    rows = random.Random(seed).sample(range(len(values)), sum(counts.values()))
    spoiled, used = list(values), 0
    for value, count in counts.items():
        for row in rows[used : used + count]:
            spoiled[row] = value
        used += count
    return spoiled


def respell(values: Sequence[Any], spell: Callable[[Any], str]) -> list[str]:
    """Return values as a person would write them; `spell` writes one."""
    return [spell(value) for value in values]


def write_csv(
    path: str | os.PathLike[str],
    table: Mapping[str, Sequence[Any]],
    *,
    delimiter: str = ",",
    quote: str = '"',
    escape: str = "",
    quote_all: bool = False,
    header: bool = True,
    before: Sequence[str] = (),
    after_header: Sequence[str] = (),
    at_end: Sequence[str] = (),
    newline: str = "\n",
    encoding: str = "utf-8",
) -> Path:
    r"""Write a table as CSV, and return the file's path.

    Args:
        path: The file; its folders are created.
        table: Values by column, all of the same length. None is written as nothing; floats as
            Python prints them.
        delimiter: The text between fields.
        quote: The quote; a field that needs it is quoted. Empty: fields are written as they are.
        escape: The character before a quote inside a field; empty doubles the quote.
        quote_all: Quote every field.
        header: Whether to write the names of the columns.
        before: Lines to write before the header, such as `sep=;`.
        after_header: Lines to write after the header.
        at_end: Lines to write after the rows.
        newline: What ends a line.
        encoding: The encoding, by its Python name.
    """
    special = (delimiter, quote, "\n", "\r")

    def field(value: Any) -> str:
        text = "" if value is None else str(value)
        if not quote or not (quote_all or any(part in text for part in special)):
            return text
        return f"{quote}{text.replace(quote, (escape or quote) + quote)}{quote}"

    lines = list(before)
    if header:
        lines.append(delimiter.join(field(name) for name in table))
    lines += after_header
    lines += (delimiter.join(map(field, row)) for row in zip(*table.values(), strict=True))
    lines += at_end
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(line + newline for line in lines).encode(encoding))
    return path
