"""Findings on pages."""

from kfp_tabular.components.common.artifacts import findings_page
from kfp_tabular.components.common.artifacts.findings import Finding
from kfp_tabular.components.common.html import Markup

LEAK = Finding("error", "leak", "'<b>' alone predicts the label.", "<b>", "exclude")
NOTE = Finding("note", "day-first", "'when' is read\nday first.", "when")


def test_errors_and_warnings_are_shown_and_notes_folded():
    shown = findings_page.section([LEAK, NOTE], [Markup("<i>train</i>"), Markup("<i>ingest</i>")])
    table, folded = shown.blocks
    assert "<span class='badge error'>error</span>" in table
    assert "<td><i>train</i></td>" in table
    assert "&#x27;&lt;b&gt;&#x27; alone predicts the label." in table
    assert "Option: <code>exclude</code>" in table
    assert "1 note on what was decided" in folded
    assert "<details" in folded
    assert r"is read\nday first." in folded


def test_notes_alone_say_that_there_is_nothing_worse():
    first, folded = findings_page.section([NOTE, NOTE]).blocks
    assert first == "<p>No errors and no warnings.</p>"
    assert "2 notes" in folded


def test_a_page_without_findings_has_no_section():
    assert findings_page.section([]) is None
    assert findings_page.sections([]) == []
    assert findings_page.markdown([]) == ""


def test_markdown_shows_the_text_and_not_what_it_could_mean():
    text = findings_page.markdown([LEAK, NOTE])
    assert r"- **error**: '\<b\>' alone predicts the label. Option: exclude." in text
    assert r"is read\\nday first." in text


def test_very_many_findings_are_counted():
    many = [Finding("warning", "odd", f"value {number}") for number in range(600)]
    (table,) = findings_page.section(many).blocks
    assert table.count("<tr>") == 501
    assert "The first 500; 100 more are in _findings.json." in table
    assert findings_page.markdown(many).splitlines()[-1] == "- And 100 more."
