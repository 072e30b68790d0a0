"""Rows that are left out are counted, and may not all have one label."""

import pytest

from kfp_tabular.components.common.artifacts import findings
from kfp_tabular.components.common.errors import UserError
from tests.cases import people, spoil, write_csv

ROWS = 400
PEOPLE = people(ROWS)


def write(tmp_path, *broken):
    path = write_csv(tmp_path / "people.csv", PEOPLE)
    path.write_bytes(path.read_bytes() + "".join(f"{row}\n" for row in broken).encode("latin-1"))
    return path


def warnings(got):
    found = findings.read(got.path / "examples")
    return [str(finding) for finding in found if finding.severity == "warning"]


def test_each_reason_is_counted_with_an_example(run, tmp_path):
    path = write(tmp_path, "1,2,Oslo,3,1,9", "1,2,Köln,3,0", "1,2,Oslo,3,0,9", "1,2,Oslo,3,")
    got = run(path, label="churn", csv_encoding="utf-8", max_rejected_fraction=0.1)
    assert warnings(got) == [
        f"2 of 404 rows are left out: 6 fields, expected 5, such as {path} line 402: "
        "'1,2,Oslo,3,1,9'. Option: csv_delimiter, csv_quote, csv_escape.",
        f"1 of 404 rows are left out: not valid UTF-8, such as {path} line 403: "
        "'1,2,K\\\\xf6ln,3,0'. Option: csv_encoding.",
        f"1 of 404 rows are left out: label 'churn' is missing, such as {path} line 405: "
        "'1,2,Oslo,3,'.",
    ]


def test_rows_without_a_label_are_left_out_however_many(run, tmp_path):
    path = write_csv(tmp_path / "people.csv", PEOPLE | {"churn": spoil(PEOPLE["churn"], {"": 0.2})})
    got = run(path, label="churn")
    (warning,) = warnings(got)
    assert warning.startswith("80 of 400 rows are left out: label 'churn' is missing, such as")


def test_a_marker_in_a_label_is_no_label(run, tmp_path):
    incomes = [*PEOPLE["income"][:-2], "n/d", "n/d"]
    path = write_csv(tmp_path / "people.csv", PEOPLE | {"income": incomes})
    assert any("2 of 400 rows" in warning for warning in warnings(run(path, label="income")))


def test_a_table_without_lost_rows_has_no_warning(run, tmp_path):
    assert warnings(run(write(tmp_path), label="churn")) == []


@pytest.mark.parametrize(
    ("broken", "options", "words"),
    [
        ("1,2,Köln,3,1", {"csv_encoding": "utf-8"}, "not valid UTF-8.*Set csv_encoding so that"),
        ("1,2,Oslo,3,1,9", {}, "fields, expected 5.*csv_delimiter, csv_quote, csv_escape"),
        ("2,Oslo,3,1", {}, "4 fields, expected 5"),
    ],
)
def test_rows_lost_with_one_label_are_an_error(run, tmp_path, broken, options, words):
    path = write(tmp_path, *[broken] * 18)
    words = (
        f"^All 18 rows that would be left out have the label '1'.*people.csv line 402: .*{words}"
    )
    with pytest.raises(UserError, match=words):
        run(path, label="churn", max_rejected_fraction=0.1, **options)
    # Rows of both labels, or so few that chance explains it.
    other = broken.replace("3,1", "3,0")
    for rows in ([*[broken] * 17, other], [broken] * 2):
        got = run(write(tmp_path, *rows), label="churn", max_rejected_fraction=0.1, **options)
        assert len(got.rejected) == len(rows)


def test_a_rare_encoding_with_one_label_loses_no_row(run, tmp_path):
    table = PEOPLE | {"city": spoil(PEOPLE["city"], {"Köln": 0.006})}
    got = run(write_csv(tmp_path / "a.csv", table, encoding="cp1252"), label="churn")
    assert got.rejected == []
    assert "Köln" in got.column("city")


def test_rows_without_a_label_are_no_hint_at_a_skewed_loss(run):
    data = "x,price\n" + "".join(f"{row},{row * 1.5}\n" for row in range(300)) + "1,n/d\n2,n/d\n"
    got = run(data, label="price")
    assert sum(got.result.rows.values()) == 300
    named = [finding for finding in got.warnings if finding.code == "missing-markers"]
    assert "'n/d' (2) taken as missing. First: data.csv line 302, data.csv line 303" in str(
        named[0]
    )
