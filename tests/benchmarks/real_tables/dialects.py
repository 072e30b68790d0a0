"""Dialects, encodings and compressions of CSV."""

import bz2
import gzip
import lzma
import random
import zipfile
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks.real_tables.case import GOOD, ROWS, case, changed, plain
from tests.benchmarks.real_tables.outcome import (
    auc,
    blessed,
    column,
    feature,
    quiet,
    rows,
    says,
    succeeds,
)
from tests.cases import Table, people, spoil, write_csv


@case(*GOOD, quiet)
def clean(folder: Path) -> Path:
    return plain(folder, people())


@case(*GOOD, column("income", "number"), says("delimiter", ";"), says("income", "decimal"))
def semicolons_and_decimal_commas(folder: Path) -> Path:
    table = changed(income=lambda value: f"{value:.2f}".replace(".", ","))
    return plain(folder, table, delimiter=";")


@case(*GOOD, rows(ROWS), says("first line", "delimiter"))
def sep_line(folder: Path) -> Path:
    return plain(folder, people(), delimiter=";", before=["sep=;"], newline="\r\n")


@case(*GOOD, rows(ROWS))
def sep_line_comma(folder: Path) -> Path:
    return plain(folder, people(), before=["sep=,"])


@case(*GOOD, rows(ROWS), column("age", "integer"), column("income", "number"), says("comment"))
def comments_and_units(folder: Path) -> Path:
    return plain(
        folder,
        people(),
        before=["# exported 2026-01-01", "# by: the CRM"],
        after_header=["# units: years, EUR,,,"],
        at_end=["# end of export"],
    )


@case(*GOOD, rows(ROWS), column("age", "integer"), says("unit"))
def units_line(folder: Path) -> Path:
    return plain(folder, people(), after_header=["years,EUR,,,"])


@case(*GOOD, rows(ROWS))
def title_lines(folder: Path) -> Path:
    return plain(folder, people(), before=["Customer export,,,,", ",,,,"])


@case(*GOOD, rows(ROWS))
def utf16_tabs(folder: Path) -> Path:
    return plain(folder, people(), delimiter="\t", encoding="utf-16")


def _umlauts(share: float) -> Table:
    table = people()
    chance = random.Random(1)
    ones = [row for row in range(ROWS) if table["churn"][row] == 1]
    for row in chance.sample(ones, int(share * ROWS)):
        table["city"][row] = "Köln"
    return table


@case(*GOOD, rows(ROWS), says("cp1252"))
def cp1252_in_a_few_rows(folder: Path) -> Path:
    return plain(folder, _umlauts(18 / ROWS), encoding="cp1252")


@case(succeeds, auc(0.9), blessed(True), rows(ROWS), says("cp1252"))
def cp1252_in_many_rows(folder: Path) -> Path:
    return plain(folder, _umlauts(0.2), encoding="cp1252")


@case(*GOOD, rows(ROWS), says("escape"))
def backslash_escapes(folder: Path) -> Path:
    table = people()
    table["city"] = spoil(table["city"], {'a "quoted" word': 20 / ROWS})
    return plain(folder, table, escape="\\")


@case(
    succeeds, auc(0.9), rows(ROWS), says("header"), column("column_1", "integer"), label="column_5"
)
def no_header(folder: Path) -> Path:
    return plain(folder, people(), header=False)


@case(*GOOD, feature("city", "categorical"), says("city", "case"))
def padded_and_case(folder: Path) -> Path:
    chance = random.Random(2)
    spellings = [str, lambda value: f" {value}", lambda value: f"{value} ", str.upper]

    def spell(value: str) -> str:
        return chance.choice(spellings)(value)

    return plain(folder, changed(city=spell))


@case(*GOOD, feature("city", "categorical"))
def line_breaks_in_values(folder: Path) -> Path:
    return plain(folder, changed(city=lambda value: f"{value}\ncentre"))


@case(*GOOD)
def symbolic_link(folder: Path) -> Path:
    write_csv(folder / "real" / "people.csv", people())
    link = folder / "link"
    link.symlink_to(folder / "real")
    return link


def _compressed(folder: Path, name: str, compress: Callable[[bytes], bytes]) -> Path:
    plain = write_csv(folder / "plain" / "people.csv", people())
    target = folder / name
    target.write_bytes(compress(plain.read_bytes()))
    return target


@case(*GOOD)
def gzip_without_ending(folder: Path) -> Path:
    return _compressed(folder, "people", gzip.compress)


@case(*GOOD)
def bzip2(folder: Path) -> Path:
    return _compressed(folder, "people.csv", bz2.compress)


@case(*GOOD)
def xz(folder: Path) -> Path:
    return _compressed(folder, "people.csv.xz", lzma.compress)


@case(*GOOD)
def zstd(folder: Path) -> Path:
    import pyarrow as pa

    return _compressed(folder, "people.zst", lambda data: pa.compress(data, "zstd", asbytes=True))


@case(*GOOD)
def zip_with_one_member(folder: Path) -> Path:
    plain = write_csv(folder / "plain" / "people.csv", people())
    target = folder / "people.csv.zip"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(plain, "people.csv")
    return target
