"""What a validation finds that a person should know: in its artifact, its log and its page."""

import logging

import numpy as np
import pyarrow as pa

from kfp_tabular.components.common.artifacts import findings
from tests.cases import people


def split(table):
    table = pa.table(table)
    return {"train": table[:1000], "eval": table[1000:1300], "test": table[1300:]}


def test_leaks_and_anomalies_are_findings_and_leaks_do_not_fail(write_examples, validated, caplog):
    table = people(1600)
    table["refund"] = ["paid" if value else "none" for value in table["churn"]]
    table["nothing"] = pa.nulls(1600, pa.string())
    with caplog.at_level(logging.INFO):
        done = validated(write_examples(**split(table)), label="churn")
    found = findings.read(done.folder / "anomalies")
    assert [(entry.severity, entry.code, entry.column) for entry in found] == [
        ("error", "leak", "refund"),
        ("warning", "no-values", "nothing"),
    ]
    assert done.result.is_valid
    assert done.result.failure == ""
    assert any("error [leak]: Column 'refund' alone" in line for line in caplog.messages)
    page = done.page
    assert page.index("<h2>Summary") < page.index("<h2>Findings") < page.index("<h2>Anomalies")
    assert "&#x27;refund&#x27; alone predicts the label" in page


def test_an_excluded_column_is_no_leak(write_examples, validated):
    table = people(1600)
    table["refund"] = table["churn"]
    done = validated(write_examples(**split(table)), label="churn", exclude=["refund"])
    assert findings.read(done.folder / "anomalies") == []


def test_the_clean_table_has_no_findings(write_examples, validated):
    done = validated(write_examples(**split(people(1600))), label="churn")
    assert findings.read(done.folder / "anomalies") == []
    assert "Findings" not in done.page


def test_the_row_number_of_sorted_rows_is_no_leak(write_examples, validated):
    rows = np.arange(2_000)
    churn = (rows >= 1_400).astype(np.int64)
    held_out = rows % 4 == 0
    table = pa.table({"rownames": rows, "churn": churn})
    examples = write_examples(
        train=table.filter(pa.array(~held_out)), test=table.filter(pa.array(held_out))
    )
    done = validated(examples, label="churn")
    assert findings.read(done.folder / "anomalies") == []
