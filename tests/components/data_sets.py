"""Data sets for comparisons of engines: trips, a wide table, and a nasty file."""

import csv
import datetime
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROWS = 3_000


@dataclass(frozen=True)
class Source:
    """A CSV file, and its label."""

    path: Path
    label: str


def trips(folder: Path) -> Source:
    """Numbers, categories, times, places, missing values; a label that leans on some."""
    random = np.random.default_rng(11)
    start = datetime.datetime(2026, 1, 1)
    fare = random.lognormal(2.3, 0.7, ROWS).round(2)
    columns = {
        "fare": fare,
        "miles": np.where(random.random(ROWS) < 0.1, np.nan, random.gamma(2, 2, ROWS).round(1)),
        "company": [f"company {number}" for number in random.zipf(1.7, ROWS) % 300],
        "payment": random.choice(["Cash", "Credit Card", "", "Unknown"], ROWS),
        "start": [str(start + datetime.timedelta(minutes=17 * at)) for at in range(ROWS)],
        "area": random.integers(1, 78, ROWS),
        "tipped": np.where(fare + random.normal(0, 5, ROWS) > 12, "yes", "no"),
    }
    return written(folder, columns, "tipped")


def wide(folder: Path) -> Source:
    """300 columns."""
    random = np.random.default_rng(12)
    rows = 300
    columns: dict[str, Any] = {f"n{at}": random.normal(at, 1 + at, rows) for at in range(200)}
    columns |= {f"c{at}": random.choice(list("abcdef"), rows) for at in range(99)}
    columns["y"] = random.choice(["no", "yes"], rows)
    return written(folder, columns, "y")


def nasty(folder: Path) -> Source:
    """Quoted line ends, a mark, CRLF, blank lines at the end, rows with too many fields."""
    rows = [
        f'{number % 97},"line {number % 7}\r\nand ""another""",{number * 7 % 101}.5,{number % 2}'
        + (",9" if number % 501 == 500 else "")
        for number in range(ROWS)
    ]
    path = folder / "data.csv"
    text = "\r\n".join(["id,note,amount,label", *rows])
    path.write_bytes(b"\xef\xbb\xbf" + text.encode() + b"\r\n\r\n")
    return Source(path, "label")


def written(folder: Path, columns: Mapping[str, Any], label: str) -> Source:
    path = folder / "data.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns)
        for row in zip(*columns.values(), strict=True):
            writer.writerow("" if value != value else value for value in row)
    return Source(path, label)


DATA_SETS: list[Callable[[Path], Source]] = [trips, wide, nasty]
