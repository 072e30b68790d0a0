import codecs
import gzip

import pyarrow.csv as pacsv
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.storage import LocalFile
from kfp_tabular.components.data_ingestion.options import CsvOptions
from kfp_tabular.components.data_ingestion.readers import csv_source
from kfp_tabular.components.data_ingestion.readers.csv_source import CsvSource
from kfp_tabular.components.data_ingestion.readers.source import blocks


@pytest.fixture(params=[1, 40, 4 << 20], ids=lambda size: f"pieces of {size}")
def piece_bytes(request, monkeypatch):
    monkeypatch.setattr(csv_source, "BLOCK_BYTES", request.param)
    monkeypatch.setattr(csv_source, "_BYTES_PER_COLUMN", 0)


def test_types_hold_for_the_whole_input(run, piece_bytes):
    rows = 300
    lines = ["integer,float_late,text_late,null,late,zip,flag,big,quoted"]
    for i in range(rows):
        last = i == rows - 1
        lines.append(
            f"{i},{0.5 if last else i},{'x' if i % 3 else i},,{i if last else ''},"
            f'{i:05d},{"true" if i % 2 else "false"},{10**17 + i},"a, {i}\nb"'
        )
    got = run("\n".join(lines) + "\n")
    assert got.types == {
        "integer": "int64",
        "float_late": "double",
        "text_late": "string",
        "null": "string",
        "late": "int64",
        "zip": "string",
        "flag": "int64",
        "big": "int64",
        "quoted": "string",
    }
    assert got.column("integer") == list(range(rows))
    assert got.column("float_late") == [float(i) for i in range(rows - 1)] + [0.5]
    assert got.column("text_late") == ["x" if i % 3 else str(i) for i in range(rows)]
    assert got.column("null") == [None] * rows
    assert got.column("late") == [None] * (rows - 1) + [rows - 1]
    assert got.column("zip")[7] == "00007"
    assert got.column("flag")[:2] == [0, 1]
    assert got.column("big")[-1] == 10**17 + rows - 1
    assert got.column("quoted")[3] == "a, 3\nb"
    assert got.rejected == []


def test_rejected_rows_know_their_line_and_why(run, piece_bytes):
    data = (
        b"a,label\n"  # 1
        b'"two\nlines",1\n'  # 2-3
        b"\n"  # 4, blank
        b"1,2,3\n"  # 5
        b"caf\xe9,1\n"  # 6
        b"ok,\n"  # 7
        b'"x\n\ny,z"\n'  # 8-10, one field
        b"fine,0\n"  # 11
    ) + b"fine,1\n" * 20
    got = run(data, label="label", max_rejected_fraction=0.5, csv_encoding="utf-8")
    assert [(row["line"], row["reason"], row["text"]) for row in got.rejected] == [
        (5, "3 fields, expected 2", "1,2,3"),
        (6, "not valid UTF-8", "caf\\xe9,1"),
        (7, "label 'label' is missing", "ok,"),
        (8, "1 fields, expected 2", '"x\n\ny,z"'),
    ]
    assert {row["file"].rpartition("/")[2] for row in got.rejected} == {"data.csv"}
    assert got.result.rejected == 4
    assert got.column("a")[:2] == ["two\nlines", "fine"]
    assert "3 fields, expected 2" in got.summary


def test_infinite_numbers_are_missing(run):
    got = run("a,b\n1.5,x\ninf,y\n-Infinity,z\n1e999,w\nnan,v\n")
    assert got.column("a") == [1.5, None, None, None, None]
    (finding,) = got.warnings
    assert finding.code == "huge-values"
    assert "3 numbers beyond 3.4e+38" in finding.message
    assert "data.csv line 3" in finding.message


def test_rows_with_odd_values_are_rejected_on_request(run):
    data = "a,b\n" + "1,x\n" * 30 + "oops,y\n"
    got = run(data, odd_values="reject", max_rejected_fraction=0.5)
    assert got.column("a") == [1] * 30
    assert [(row["line"], row["text"]) for row in got.rejected] == [(32, "oops,y")]
    assert got.rejected[0]["reason"] == "column 'a': the value is no integer"


def test_a_quote_that_is_never_closed(run):
    got = run('a,b\n1,2\n"3,4\n5,6\n', max_rejected_fraction=0.5)
    assert got.column("a") == [1, 5]
    assert got.rejected[0]["line"] == 3
    assert got.rejected[0]["reason"] == "an opening quote is never closed"


FIELDS = st.text("ab1 ,;\"'\n\rü€", max_size=6).filter(lambda text: text != "\r")


@example(rows=[("", ";\r;", 0), ("", ";\r;", 0), (";", ";\r;", 0)], size=1)
@given(
    rows=st.lists(st.tuples(FIELDS, FIELDS, st.integers(0, 9)), min_size=1, max_size=25),
    size=st.integers(1, 60),
)
def test_what_a_csv_writer_wrote_comes_back(tmp_path_factory, rows, size):
    import csv
    import io

    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)
    writer.writerow(["x y", "z.ü", "n"])
    writer.writerows(rows)
    path = tmp_path_factory.mktemp("csv") / "data.csv"
    path.write_bytes(text.getvalue().encode())
    before = csv_source.BLOCK_BYTES, csv_source._BYTES_PER_COLUMN
    csv_source.BLOCK_BYTES, csv_source._BYTES_PER_COLUMN = size, 0
    try:
        source = CsvSource([LocalFile("x", path)], CsvOptions())
        parsed = [block.parse() for block in blocks(source)]
    finally:
        csv_source.BLOCK_BYTES, csv_source._BYTES_PER_COLUMN = before
    assert not any(part.unreadable for part in parsed)
    found = [
        row
        for part in parsed
        for row in zip(*(part.columns[name].to_pylist() for name in source.columns), strict=True)
    ]
    assert found == [(x or None, y or None, str(n)) for x, y, n in rows]


def test_the_result_is_arrows_where_arrow_can_tell(chicago_taxi, run):
    expected = pacsv.read_csv(
        chicago_taxi,
        convert_options=pacsv.ConvertOptions(strings_can_be_null=True, null_values=[""]),
    )
    assert run(chicago_taxi).table.equals(expected)


@pytest.mark.parametrize(
    ("content", "options"),
    [
        (codecs.BOM_UTF8 + "a,ü\n1,é\n".encode(), {}),
        (gzip.compress("a,ü\n1,é\n".encode()), {}),
        (gzip.compress("a,ü\n".encode()) + gzip.compress("1,é\n".encode()), {}),
        ("a,ü\n1,é\n".encode("utf-16"), {}),
        ("a,ü\n1,é\n".encode("latin-1"), {"csv_encoding": "latin-1"}),
        ("a,ü\n1,é\n".encode("utf-16-le"), {"csv_encoding": "utf-16-le"}),
        ("a;ü\r\n1;é\r\n".encode(), {"csv_delimiter": ";"}),
        ("a\tü\n1\té".encode(), {"csv_delimiter": "tab"}),
        ("a\tü\n1\té".encode(), {"csv_delimiter": "\\t"}),
        ("\n\na,ü\r1,é\r".encode(), {}),
        ('"a","ü"\n"1","é"\n'.encode(), {}),
    ],
)
def test_ways_to_write_the_same(run, content, options):
    got = run(content, **options)
    assert got.table.to_pydict() == {"a": [1], "ü": ["é"]}


def test_bytes_outside_a_given_encoding_are_rejected(run):
    got = run(b"a\n\x81\nx\n", csv_encoding="cp1252", max_rejected_fraction=0.5)
    assert got.column("a") == ["x"]
    assert got.rejected[0]["text"] == "\\x81"


def test_a_header_outside_a_given_encoding(run):
    with pytest.raises(UserError, match="header is not valid UTF-8.*latin-1"):
        run(b"\xe9,b\n1,2\n", csv_encoding="utf-8")


def test_odd_names_work(run):
    names = ["with space", "dot.dot", "größe", "a/b", "日本", 'qu"ote', "new\nline", "select"]
    header = ",".join('"' + name.replace('"', '""') + '"' for name in names)
    got = run(f"{header}\n{','.join('12345678')}\n")
    assert list(got.types) == names


def test_columns_without_a_name_get_one(run):
    assert list(run(",a,\n0,1,\n").types) == ["unnamed_1", "a"]


def test_texts_that_mean_missing(run):
    got = run("a,b\n?,?\n1,x\n-,y\n", missing_values=("?", "-"))
    assert got.table.to_pydict() == {"a": [None, 1, None], "b": [None, "x", "y"]}


def test_types_can_be_given(run):
    got = run(
        "zip,hour,n\n123,07,1\n456,08,x\n,09,2\n",
        column_types={"zip": "text", "hour": "integer", "n": "number"},
    )
    assert got.table.to_pydict() == {
        "zip": ["123", "456", None],
        "hour": [7, 8, 9],
        "n": [1.0, None, 2.0],
    }
    assert [finding.code for finding in got.warnings] == ["odd-values"]
    assert "'x' (1). First: data.csv line 3." in got.warnings[0].message


def test_files_with_columns_in_another_order(run, tmp_path):
    (tmp_path / "1.csv").write_text("a,b\n1,x\n")
    (tmp_path / "2.csv").write_text("b,a\ny,2.5\n")
    (tmp_path / "3.csv").write_text("")
    got = run(tmp_path / "*.csv")
    assert got.table.to_pydict() == {"a": [1.0, 2.5], "b": ["x", "y"]}


def test_thousands_of_columns(run):
    columns, rows = 2000, 60
    header = ",".join(f"c{i}" for i in range(columns))
    line = ",".join(["1", "2.5", "x", ""] * (columns // 4))
    got = run("\n".join([header, *[line] * rows]) + "\n")
    assert got.table.shape == (rows, columns)
    assert set(got.types.values()) == {"int64", "double", "string"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty"),
        (b"\n\n", "only blank lines"),
        (b"a,b\n", "columns but no rows"),
        (b"a,b,a\n1,2,3\n", "more than one column 'a'"),
        (b"\xff\xfe", "only blank lines|is empty"),
        (b"a\0b\n1\n", "zero bytes"),
        (gzip.compress(b"a,b\n" + b"1,2\n" * 9999)[:-30], "truncated or damaged"),
        (gzip.compress(b"a,b\n1,2\n")[:5], "truncated or damaged"),
        (b"a,b\n" + b"1\n" * 3 + b"1,2\n", r"3 of 4 rows \(75.0%\).*line 2: 1 fields, expected 2"),
    ],
)
def test_bad_files(run, tmp_path, content, words):
    with pytest.raises(UserError, match=words) as failure:
        run(content)
    assert "data.csv" in str(failure.value)
    assert [path.name for path in (tmp_path / "out").glob("**/*")] == []


@pytest.mark.parametrize(
    ("second", "words"),
    [
        ("a,c\n1,2\n", "2.csv: column 'bb' is missing; .*1.csv has it"),
        ("a,bb,c\n1,2,3\n", "2.csv: column 'c' is not in .*1.csv"),
    ],
)
def test_files_with_other_columns(run, tmp_path, second, words):
    (tmp_path / "1.csv").write_text("a,bb\n1,2\n")
    (tmp_path / "2.csv").write_text(second)
    with pytest.raises(UserError, match=words):
        run(tmp_path / "*.csv")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"csv_delimiter": ",,"}, "csv_delimiter"),
        ({"csv_delimiter": '"'}, "csv_delimiter"),
        ({"csv_encoding": "utf-9"}, "csv_encoding"),
    ],
)
def test_bad_options(run, options, words):
    with pytest.raises(UserError, match=words):
        run("a\n1\n", **options)
