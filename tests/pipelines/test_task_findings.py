"""Findings of tasks: from their folders to the console."""

import io
from dataclasses import dataclass, field

from rich.console import Console

from kfp_tabular.components.common.artifacts.findings import Finding, Findings
from kfp_tabular.pipelines import task_findings
from kfp_tabular.pipelines.progress import Progress
from kfp_tabular.pipelines.task_findings import TaskFinding

LEAK = Finding("error", "leak", "'refund' alone predicts the label.", "refund", "exclude")
NOTE = Finding("note", "day-first", "'when' is read day first.", "when")


@dataclass(frozen=True)
class Outcome:
    name: str = "validate-data"
    status: str = "succeeded"
    seconds: float = 1.25
    findings: list[Finding] = field(default_factory=list)


def write(folder, *found):
    folder.mkdir(parents=True)
    findings = Findings()
    for finding in found:
        findings.add(finding)
    findings.write(folder)


def shown(outcome, **console):
    stream = io.StringIO()
    with Progress(["validate-data"], Console(file=stream, width=60, **console)) as progress:
        progress.started("validate-data")
        progress.finished(outcome)
    return stream.getvalue()


def test_findings_come_from_all_artifacts_once_and_errors_first(tmp_path):
    write(tmp_path / "examples", NOTE, LEAK)
    write(tmp_path / "schema", LEAK)
    assert task_findings.read(tmp_path) == (LEAK, NOTE)


def test_another_document_of_that_name_is_a_warning(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "_findings.json").write_text("{}")
    (found,) = task_findings.read(tmp_path)
    assert (found.severity, found.code) == ("warning", "unreadable-findings")
    assert "_findings.json: not a list of findings" in found.message


def test_plain_lines_have_the_findings_of_a_task_below_it():
    text = shown(Outcome(findings=[NOTE, LEAK]))
    assert text.splitlines() == [
        "  validate-data            done       1.2 s",
        "    error: 'refund' alone predicts the label. Option: exclude.",
        "    note: 'when' is read day first.",
    ]


def test_a_terminal_shows_them_as_well():
    text = shown(Outcome(findings=[LEAK]), force_terminal=True, legacy_windows=False)
    assert "refund" in text
    assert text.index("error:") < text.index("Option: exclude.")


def test_data_cannot_write_markup_or_controls_on_the_console():
    odd = Finding("warning", "odd", "'[red]x[/red]\x1b[2J\r\n  deploy-model done' :smile:")
    (line,) = shown(Outcome(findings=[odd])).splitlines()[1:]
    assert line == r"    warning: '[red]x[/red]\x1b[2J\r\n  deploy-model done' :smile:"


def test_many_errors_are_in_full_and_many_notes_are_short():
    many = [
        Finding(severity, "code", f"{severity} {number}.", f"c{number}")
        for severity in ("error", "note")
        for number in range(8)
    ]
    lines = task_findings.console_lines(many)
    assert [severity for severity, _ in lines].count("error") == 8
    assert lines[8:] == [
        ("note", "note 0."),
        ("note", "note 1."),
        ("note", "note 2."),
        ("note", "likewise 'c3', 'c4', 'c5', 'c6', 'c7'"),
    ]


def test_thousands_of_findings_do_not_bury_the_rest():
    many = [Finding("warning", "odd", f"odd {number}.", f"c{number}") for number in range(3000)]
    lines = task_findings.console_lines(many)
    assert len(lines) == 11
    assert lines[-1][1].endswith("'c20', 'c21' and 2978 more columns")
    general = [Finding("warning", "rows", f"rows {number}.") for number in range(12)]
    assert task_findings.console_lines(general)[-1] == (
        "warning",
        "and 2 more of the kind rows; the report lists them",
    )


def test_a_finding_with_its_task():
    found = TaskFinding.of("validate-data", LEAK)
    assert (found.task, found.column, str(found)) == ("validate-data", "refund", str(LEAK))
