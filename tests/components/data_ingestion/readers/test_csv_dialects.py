"""Ways in which people write the same table: each is read as the clean one."""

import csv
import io
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.storage import LocalFile
from kfp_tabular.components.data_ingestion.options import CsvOptions
from kfp_tabular.components.data_ingestion.readers.csv_source import CsvSource
from kfp_tabular.components.data_ingestion.readers.source import blocks
from tests.cases import people, respell, spoil, write_csv

ROWS = 200
PEOPLE = people(ROWS)
NAMES = tuple(PEOPLE)


@dataclass
class Read:
    """What a file holds, as text."""

    columns: dict
    rejected: list
    findings: list

    @property
    def codes(self):
        return {finding.code for finding in self.findings}

    def message(self, code):
        (finding,) = (finding for finding in self.findings if finding.code == code)
        return str(finding)


@pytest.fixture
def read(tmp_path):
    def call(*paths, expected=(), **options):
        files = [LocalFile(path.name, path) for path in paths]
        source = CsvSource(files, CsvOptions(**options), expected=expected)
        columns = {name: [] for name in source.columns}
        rejected = []
        for block in blocks(source):
            parsed = block.parse()
            rejected += parsed.unreadable
            for name, values in columns.items():
                values.extend(parsed.columns[name].to_pylist())
            rejected += [row for mask, _ in parsed.faults for row in mask.nonzero()[0]]
        return Read(columns, rejected, source.notes)

    return call


def as_text(table):
    return {name: respell(values, str) for name, values in table.items()}


CLEAN = as_text(PEOPLE)


def test_the_plain_dialect_needs_no_words(read, tmp_path):
    got = read(write_csv(tmp_path / "a.csv", PEOPLE))
    assert got.columns == CLEAN
    assert not list(got.findings)


@pytest.mark.parametrize(
    ("dialect", "codes"),
    [
        ({"delimiter": ";"}, {"csv-delimiter"}),
        ({"delimiter": "\t"}, {"csv-delimiter"}),
        ({"delimiter": "|", "newline": "\r\n"}, {"csv-delimiter"}),
        ({"delimiter": "\x01"}, {"csv-delimiter"}),
        ({"delimiter": "~"}, {"csv-delimiter"}),
        ({"delimiter": " "}, {"csv-delimiter"}),
        ({"delimiter": ";", "before": ["sep=;"]}, {"csv-sep-line"}),
        ({"delimiter": ";", "before": ["sep=;"], "newline": "\r\n"}, {"csv-sep-line"}),
        ({"before": ["sep=,"]}, {"csv-sep-line"}),
        ({"before": ['"sep=\t"'], "delimiter": "\t"}, {"csv-sep-line"}),
        ({"quote": "'", "quote_all": True}, {"csv-quote"}),
        ({"quote_all": True, "newline": "\r"}, set()),
        ({"before": ["# made by hand", "# on Monday"]}, {"csv-comment"}),
        ({"before": ["# made by hand"], "at_end": ["# end of export"]}, {"csv-comment"}),
        ({"after_header": ["# units: years, EUR,,,"]}, {"csv-comment"}),
        ({"after_header": ["years,EUR,,visits,"]}, {"csv-units"}),
        ({"after_header": ["[a],[EUR],,[n],[0/1]"]}, {"csv-units"}),
        ({"after_header": ["int,double,string,int,int"]}, {"csv-units"}),
        ({"at_end": ["# end of export"]}, {"csv-comment"}),
        ({"at_end": ['# say "yes', "#done"]}, {"csv-comment"}),
        ({"before": ["% matlab"]}, {"csv-comment"}),
        ({"before": ["// generated"]}, {"csv-comment"}),
        ({"before": ["#" + ",".join(NAMES)], "header": False}, {"csv-header", "csv-comment"}),
        ({"before": ["Customers of May", ""]}, {"csv-title"}),
        ({"before": ["Customers of May,,,,", "exported:,2024-05-01,,,", ",,,,"]}, {"csv-title"}),
        ({"before": ["Kunden", "Stand: 1. Mai"], "delimiter": ";"}, {"csv-title", "csv-delimiter"}),
        ({"at_end": ["Total,1234567.89,,612,"]}, {"csv-total"}),
        ({"at_end": ["", "Gesamt;1;;2;"], "delimiter": ";"}, {"csv-total", "csv-delimiter"}),
        ({"encoding": "utf-8-sig"}, set()),
        ({"encoding": "utf-16", "delimiter": "\t"}, {"csv-encoding", "csv-delimiter"}),
        ({"encoding": "utf-16-le"}, {"csv-encoding"}),
        ({"encoding": "utf-16-be", "newline": "\r\n"}, {"csv-encoding"}),
        ({"encoding": "utf-32"}, {"csv-encoding"}),
        ({"before": ["", ""]}, set()),
    ],
    ids=str,
)
def test_ways_to_write_the_same_table(read, tmp_path, dialect, codes):
    got = read(write_csv(tmp_path / "people.csv", PEOPLE, **dialect))
    assert got.columns == CLEAN
    assert got.rejected == []
    assert got.codes == codes
    assert all(finding.option.startswith("csv_") for finding in got.findings)
    assert {finding.severity for finding in got.findings} <= {"note"}
    assert all(finding.message.startswith("people.csv: ") for finding in got.findings)


def test_semicolons_and_decimal_commas(read, tmp_path):
    table = CLEAN | {"income": respell(PEOPLE["income"], lambda x: f"{x:.2f}".replace(".", ","))}
    got = read(write_csv(tmp_path / "a.csv", table, delimiter=";"))
    assert got.columns == table
    assert got.message("csv-delimiter") == (
        "a.csv: ';' separates the columns. Option: csv_delimiter."
    )


@pytest.mark.parametrize("share", [0.006, 0.2, 1.0])
def test_a_file_in_cp1252_loses_no_row(read, tmp_path, share):
    cities = spoil(CLEAN["city"], {"Köln": share})
    got = read(write_csv(tmp_path / "a.csv", CLEAN | {"city": cities}, encoding="cp1252"))
    assert got.columns["city"] == cities
    assert got.rejected == []
    assert "read as cp1252" in got.message("csv-encoding")
    assert "'Köln'" in got.message("csv-encoding")


def test_bytes_that_cp1252_lacks_are_latin_1(read, tmp_path):
    cities = spoil(CLEAN["city"], {"K\x81ln": 0.01})
    got = read(write_csv(tmp_path / "a.csv", CLEAN | {"city": cities}, encoding="latin-1"))
    assert got.columns["city"] == cities
    assert "read as iso8859-1" in got.message("csv-encoding")


def test_a_few_foreign_bytes_in_utf_8(read, tmp_path):
    # Files that were put together from several sources.
    path = write_csv(tmp_path / "a.csv", CLEAN | {"city": spoil(CLEAN["city"], {"Köln": 0.5})})
    path.write_bytes(path.read_bytes() + "31,1.5,Zürich,2,0\n".encode("cp1252"))
    got = read(path)
    assert "Köln" in got.columns["city"]
    assert got.columns["city"][-1] == "Zürich"
    (found,) = got.findings
    assert found.severity == "warning"
    assert "1 bytes are not valid UTF-8" in found.message


@settings(max_examples=30, deadline=None)
@given(text=st.text(st.characters(codec="cp1252", exclude_categories=["Cc"]), min_size=1))
def test_one_encoding_for_a_file(tmp_path_factory, text):
    text = text.replace("#", "x").strip() or "x"
    words = [f"é{text}", *"abcdef"] * 3
    path = tmp_path_factory.mktemp("cp1252") / "a.csv"
    write_csv(path, {"word": words, "n": list(range(21))}, encoding="cp1252")
    source = CsvSource([LocalFile("a", path)], CsvOptions())
    found = [value for block in blocks(source) for value in block.parse().columns["word"]]
    assert [value.as_py() for value in found][1] == "a"
    assert len(found) == 21


@pytest.mark.parametrize("share", [0.01, 0.5])
def test_backslashes_before_quotes(read, tmp_path, share):
    cities = spoil(CLEAN["city"], {'a "quoted", word': share, "C:\\data": share / 2})
    table = CLEAN | {"city": cities}
    got = read(write_csv(tmp_path / "a.csv", table, escape="\\"))
    assert got.columns == table
    assert got.rejected == []
    assert '\\"' in got.message("csv-escape")
    # Quotes that are doubled, beside backslashes that are only that.
    assert read(write_csv(tmp_path / "b.csv", table)).columns == table
    paths = CLEAN | {"city": spoil(CLEAN["city"], {"C:\\data, new\\": share})}
    got = read(write_csv(tmp_path / "c.csv", paths))
    assert got.columns == paths
    assert got.codes == set()


def test_no_header(read, tmp_path):
    path = write_csv(tmp_path / "a.csv", PEOPLE, header=False)
    got = read(path)
    assert list(got.columns) == [f"column_{number}" for number in range(1, 6)]
    assert list(got.columns.values()) == list(CLEAN.values())
    assert "csv_header" in got.message("csv-header")
    assert next(iter(read(path, csv_header="true").columns)) == CLEAN["age"][0]
    got = read(write_csv(tmp_path / "b.csv", PEOPLE), csv_header="false")
    assert len(got.columns["column_1"]) == ROWS + 1
    assert got.codes == set()


@pytest.mark.parametrize(
    ("rows", "header"),
    [
        # Years and numbers as names.
        ([["country", "2019", "2020", "2021"], *[["Chad", "5", "7", "9"]] * 9], True),
        ([["0", "1", "2", "3"], *[["4.5", "7", "9", "1"]] * 9], True),
        # Text alone: values recur, names do not.
        ([["kind", "colour"], *[["a", "red"], ["b", "blue"]] * 9], True),
        ([["a", "red"], *[["a", "red"], ["b", "blue"], ["b", "red"]] * 9], False),
        ([["id", "text"], *[[f"x{i}", f"words {i}"] for i in range(9)]], True),
        # A marker in the first row is not a name.
        ([["52", "n/d", "Oslo"], *[["31", "7.5", "Rome"], ["40", "1", "Oslo"]] * 9], False),
        ([["when", "n"], *[["2024-01-01", "1"]] * 9], True),
        ([["2024-01-02", "x"], *[["2024-01-01", "y"]] * 9], False),
        ([["", "a"], *[["0", "x"], ["1", "y"]]], True),
    ],
)
def test_header_or_not(read, tmp_path, rows, header):
    path = tmp_path / "a.csv"
    path.write_text("".join(",".join(row) + "\n" for row in rows))
    got = read(path)
    assert ("column_1" not in got.columns) == header
    assert len(next(iter(got.columns.values()))) == len(rows) - header


def test_blanks_around_names(read, tmp_path):
    got = read(write_csv(tmp_path / "a.csv", {f" {name} ": PEOPLE[name] for name in NAMES}))
    assert got.columns == CLEAN
    assert "blanks around the names" in got.message("csv-header")


def test_comments_are_counted_once(read, tmp_path):
    path = write_csv(tmp_path / "a.csv", PEOPLE, before=["# export", "# two"], at_end=["# end"])
    assert "3 lines that start with #" in read(path).message("csv-comment")
    assert "'# export'" in read(path).message("csv-comment")
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    assert "3 lines that start with #" in read(path).message("csv-comment")


def test_the_label_tells_the_header(read, tmp_path):
    rows = [["a", "red"], *[["a", "red"], ["b", "blue"]] * 9]
    path = tmp_path / "a.csv"
    path.write_text("".join(",".join(row) + "\n" for row in rows))
    assert "red" in read(path, expected=["red"]).columns
    assert "column_2" in read(path, expected=["column_2"]).columns


def test_a_column_called_hash_and_values_that_begin_with_one(read, tmp_path):
    table = {"#": list(range(50)), "name": ["#1", "#REF!"] * 25}
    assert read(write_csv(tmp_path / "a.csv", table)).columns == as_text(table)
    swapped = {"name": ["#1", "#REF!"] * 25, "n": list(range(50))}
    got = read(write_csv(tmp_path / "b.csv", swapped))
    assert got.columns == as_text(swapped)
    assert got.codes == set()
    errors = {"age": spoil(CLEAN["age"], {"#DIV/0!": 0.05}), "n": CLEAN["visits"]}
    got = read(write_csv(tmp_path / "c.csv", errors, before=["# export"]))
    assert got.columns == errors
    assert read(write_csv(tmp_path / "d.csv", errors), csv_comment="none").columns == errors


def test_delimiters_at_the_end_of_lines(read, tmp_path):
    path = tmp_path / "a.csv"
    lines = [",".join(row) for row in zip(*CLEAN.values(), strict=True)]
    for header in (",".join(NAMES), ",".join(NAMES) + ","):
        path.write_text(f"{header}\n" + "".join(f"{line},\n" for line in lines))
        got = read(path)
        assert got.columns == CLEAN
        assert got.codes == {"csv-trailing"}
    path.write_text(",".join(NAMES) + "\n" + ",\n".join(lines) + "\n")
    assert read(path).columns == CLEAN
    path.write_text(path.read_text() + ",".join(["1"] * 6) + "\n")
    assert len(read(path).rejected) == 1


def test_names_of_rows_as_r_writes_them(read, tmp_path):
    path = tmp_path / "a.csv"
    rows = zip(*CLEAN.values(), strict=True)
    path.write_text(
        ",".join(NAMES) + "\n" + "".join(f'"{n}",{",".join(row)}\n' for n, row in enumerate(rows))
    )
    got = read(path)
    assert list(got.columns) == ["unnamed_1", *NAMES]
    assert {name: got.columns[name] for name in NAMES} == CLEAN


def test_files_in_different_dialects(read, tmp_path):
    one = write_csv(tmp_path / "1.csv", PEOPLE)
    two = write_csv(tmp_path / "2.csv", PEOPLE, delimiter=";", encoding="utf-16")
    three = write_csv(tmp_path / "3.csv", PEOPLE, header=False)
    four = write_csv(tmp_path / "4.csv", PEOPLE, delimiter=";")
    got = read(one, two, three, four)
    assert got.columns == {name: values * 4 for name, values in CLEAN.items()}
    assert got.message("csv-delimiter").startswith("2.csv and 1 other files: ';' separates")
    assert got.message("csv-header").startswith("3.csv: ")


def test_lines_of_rejected_rows_count_what_is_skipped(read, tmp_path):
    path = write_csv(
        tmp_path / "a.csv",
        {"a": ["1", "2\n2", "3"] * 9, "b": ["x"] * 27},
        before=["# one", "", "# three"],
        at_end=["# comment", "1,2,3"],
    )
    got = read(path)
    assert [(row.line, row.text) for row in got.rejected] == [(4 + 27 + 9 + 2, "1,2,3")]


def test_values_of_several_lines(read, tmp_path):
    cities = spoil(CLEAN["city"], {"New\nYork": 0.2, "Los\r\nAngeles": 0.1})
    assert read(write_csv(tmp_path / "a.csv", CLEAN | {"city": cities})).columns["city"] == cities


@settings(max_examples=60, deadline=None)
@given(
    delimiter=st.sampled_from(",;\t|"),
    quote_all=st.booleans(),
    newline=st.sampled_from(["\n", "\r\n"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    words=st.lists(
        st.text(st.sampled_from("ab ,;|\"'\n#é"), max_size=8).map(lambda text: f"w{text}"),
        min_size=10,
        max_size=40,
    ),
)
def test_any_dialect_of_a_table_is_found(
    tmp_path_factory, delimiter, quote_all, newline, encoding, words
):
    out = io.StringIO(newline="")
    quoting = csv.QUOTE_ALL if quote_all else csv.QUOTE_MINIMAL
    writer = csv.writer(out, delimiter=delimiter, quoting=quoting, lineterminator=newline)
    writer.writerow(["n", "amount", "word"])
    rows = [[str(n), f"{n / 7:.2f}", word] for n, word in enumerate(words)]
    writer.writerows(rows)
    path = tmp_path_factory.mktemp("dialect") / "a.csv"
    path.write_bytes(out.getvalue().encode(encoding))
    source = CsvSource([LocalFile("a", path)], CsvOptions())
    assert tuple(source.columns) == ("n", "amount", "word")
    parsed = [block.parse() for block in blocks(source)]
    found = [
        list(row)
        for part in parsed
        for row in zip(*(part.columns[name].to_pylist() for name in source.columns), strict=True)
    ]
    assert found == rows


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"csv_quote": "''"}, "csv_quote"),
        ({"csv_escape": "é"}, "csv_escape"),
        ({"csv_header": "yes"}, "csv_header"),
        ({"csv_comment": ""}, "csv_comment"),
    ],
)
def test_options_are_checked(run, options, words):
    with pytest.raises(UserError, match=words):
        run("a,b\n1,2\n", **options)
