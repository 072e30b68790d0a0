"""Names, folders, Parquet and free text."""

import random
from pathlib import Path
from typing import Any

from tests.benchmarks.real_tables.case import GOOD, ROWS, case, plain
from tests.benchmarks.real_tables.outcome import (
    column,
    feature,
    metric,
    refused,
    rows,
    succeeds,
)
from tests.cases import Table, people, poisson


@case(*GOOD)
def reserved_names(folder: Path) -> Path:
    table = people()
    chance = random.Random(21)
    renamed: Table = {
        "class": table["age"],
        "from": table["income"],
        "Age": table["city"],
        "age": table["visits"],
        "a b/c.d": [chance.random() for _ in range(ROWS)],
        "churn": table["churn"],
    }
    return plain(folder, renamed)


def _hive(folder: Path) -> Path:
    table = people()
    for city in sorted(set(table["city"])):
        chosen = [row for row in range(ROWS) if table["city"][row] == city]
        part = {name: [values[row] for row in chosen] for name, values in table.items()}
        del part["city"]
        _parquet(folder / "data" / f"city={city}" / "part.parquet", part)
    return folder / "data"


def _parquet(path: Path, table: dict[str, Any]) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(table), path)
    return path


@case(*GOOD, rows(ROWS), feature("city", "categorical"))
def hive_folders(folder: Path) -> Path:
    return _hive(folder)


@case(succeeds, rows(ROWS), label="city")
def hive_folders_name_the_label(folder: Path) -> Path:
    return _hive(folder)


def _nested(folder: Path) -> Path:
    chance = random.Random(22)
    table: dict[str, Any] = people()
    table["tags"] = [
        chance.sample(["new", "vip", "late", "web"], chance.randrange(4)) for _ in range(ROWS)
    ]
    table["place"] = [{"x": chance.random(), "y": chance.random()} for _ in range(ROWS)]
    return _parquet(folder / "people.parquet", table)


@case(*GOOD, arguments=["--exclude", "tags", "--exclude", "place"])
def nested_columns_excluded(folder: Path) -> Path:
    return _nested(folder)


@case(refused("tags", "exclude"))
def nested_columns(folder: Path) -> Path:
    return _nested(folder)


@case(
    *GOOD,
    column("tags", "bag"),
    arguments=["--param", 'nested={"tags": "bag", "place": "flatten"}'],
)
def nested_columns_read(folder: Path) -> Path:
    return _nested(folder)


@case(
    succeeds,
    metric("accuracy", 0.7, 1),
    feature("body", "text"),
    feature("subject", "text"),
    label="queue",
)
def support_tickets(folder: Path) -> Path:
    chance = random.Random(23)
    words = {
        "billing": ["invoice", "charged", "refund", "payment", "twice"],
        "login": ["password", "locked", "sign in", "account", "reset"],
        "shipping": ["parcel", "courier", "late", "address", "delivery"],
        "defect": ["broken", "screen", "replace", "noise", "warranty"],
        "other": ["question", "opening hours", "newsletter", "job", "thanks"],
    }
    filler = [
        "hello",
        "I",
        "have",
        "been",
        "waiting",
        "since",
        "monday",
        "and",
        "need",
        "help",
        "with",
        "my",
        "order",
        "please",
    ]
    table: Table = {"subject": [], "body": [], "priority": [], "queue": []}
    for row in range(ROWS):
        queue = chance.choice(list(words))
        table["subject"].append(f"{chance.choice(words[queue])} {chance.choice(filler)} #{row}")
        body = [chance.choice(filler) for _ in range(chance.randint(8, 25))]
        for _ in range(chance.randint(1, 3)):
            body.insert(chance.randrange(len(body)), chance.choice(words[queue]))
        table["body"].append(" ".join(body) + chance.choice([".", "!", "?"]))
        table["priority"].append(poisson(chance, 2))
        table["queue"].append(queue)
    return plain(folder, table)


@case(*GOOD, column("visits", "integer"), rows(ROWS))
def text_in_one_file(folder: Path) -> Path:
    table = people()
    half = ROWS // 2
    first = {name: values[:half] for name, values in table.items()}
    second = {name: values[half:] for name, values in table.items()}
    second["visits"] = [str(value) for value in second["visits"]]
    _parquet(folder / "data" / "a.parquet", first)
    _parquet(folder / "data" / "b.parquet", second)
    return folder / "data"
