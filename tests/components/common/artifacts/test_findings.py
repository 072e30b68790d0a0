"""Findings and their document."""

import logging

import pytest

from kfp_tabular.components.common.artifacts import findings
from kfp_tabular.components.common.artifacts.findings import Findings
from kfp_tabular.components.common.errors import UserError


def test_findings_are_logged_once_sorted_by_severity_and_read_back(tmp_path, caplog):
    found = Findings()
    with caplog.at_level(logging.INFO):
        found.note("day-first", "'when' is read day first.", column="when", option="column_types")
        found.error("leak", "'refund' alone predicts the label.", column="refund")
        found.error("leak", "'refund' alone predicts the label.", column="refund")
    found.write(tmp_path)
    assert [finding.code for finding in findings.read(tmp_path)] == ["leak", "day-first"]
    assert findings.read(tmp_path) == list(found)
    assert [record.levelname for record in caplog.records] == ["INFO", "ERROR"]
    assert caplog.messages[0] == "note [day-first]: 'when' is read day first. Option: column_types."


def test_an_artifact_without_the_document_has_no_findings(tmp_path):
    assert findings.read(tmp_path) == []


def test_the_log_of_a_task_holds_its_findings_whatever_the_data_hold(caplog):
    found = Findings()
    with caplog.at_level(logging.INFO):
        found.warning("odd", "'a\nerror [leak]: x' holds '\x1b[31m\u202e'.", option="odd_values")
        logging.getLogger("tensorflow").warning("warning: not a finding [of ours]: at all")
    lines = [
        f"[KFP Executor 2026-11-30 12:00:00,123 {record.levelname}]: {record.getMessage()}"
        for record in caplog.records
    ]
    assert all(line.isprintable() for line in lines)
    (read,) = findings.find_in_log([*lines, *lines, "", "error [x"])
    assert (read.severity, read.code) == ("warning", "odd")
    assert read.message == r"'a\nerror [leak]: x' holds '\x1b[31m\u202e'. Option: odd_values."


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[1]",
        '[{"severity": "note"}]',
        '[{"severity": "fatal", "code": "leak", "message": "x"}]',
        '[{"severity": "note", "code": "leak", "message": 1}]',
    ],
)
def test_another_document_is_refused(tmp_path, text):
    (tmp_path / "_findings.json").write_text(text)
    with pytest.raises(UserError, match=r"findings\.json: not a list of findings"):
        findings.read(tmp_path)
