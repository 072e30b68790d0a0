"""The findings of a run's tasks, and how the console shows them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from itertools import groupby
from pathlib import Path

from kfp_tabular.components.common.artifacts import findings
from kfp_tabular.components.common.artifacts.findings import Finding, Severity
from kfp_tabular.components.common.errors import UserError

# Of one code: so many notes, and so many errors and warnings, are printed each on its own line.
_MOST_NOTES = 3
_MOST_URGENT = 10
_MOST_COLUMNS = 12


@dataclass(frozen=True)
class TaskFinding(Finding):
    """A finding of one of a run's tasks.

    Attributes:
        task: The task's name.
    """

    task: str = ""

    @classmethod
    def of(cls, task: str, finding: Finding) -> "TaskFinding":
        """Return a finding with the name of its task."""
        values = {field.name: getattr(finding, field.name) for field in fields(Finding)}
        return cls(**values, task=task)


def read(folder: Path) -> tuple[Finding, ...]:
    """Return the findings in a task's output artifacts, errors first.

    Args:
        folder: The task's folder, which holds its artifacts; it need not exist.

    Example:
        >>> read(Path("no-such-folder"))
        ()
    """
    found: dict[Finding, None] = {}
    for file in sorted(folder.glob(f"*/{findings.FILE_NAME}")):
        try:
            found.update(dict.fromkeys(findings.read(file.parent)))
        except (UserError, OSError) as error:
            unreadable = Finding("warning", "unreadable-findings", str(error))
            found[unreadable] = None
    return tuple(findings.by_severity(found))


def console_lines(found: Iterable[Finding]) -> list[tuple[Severity, str]]:
    """Return the lines that the console shows of a task's findings.

    Errors and warnings are shown as they are. Many findings of one kind become a few, and a line
    that names the columns of the rest.

    Example:
        >>> found = [
        ...     Finding("note", "decimal-comma", f"{name!r} has decimal commas.", name)
        ...     for name in ("tax", "net", "gross", "fee", "tip")
        ... ]
        >>> for severity, text in console_lines(found):
        ...     print(severity, text)
        note 'tax' has decimal commas.
        note 'net' has decimal commas.
        note 'gross' has decimal commas.
        note likewise 'fee', 'tip'
    """
    kinds: dict[tuple[Severity, str], list[Finding]] = {}
    for finding in findings.by_severity(found):
        kinds.setdefault((finding.severity, finding.code), []).append(finding)
    lines: list[tuple[Severity, str]] = []
    for (severity, code), same in kinds.items():
        most = _MOST_NOTES if severity == "note" else _MOST_URGENT
        shown, rest = same[:most], same[most:]
        lines += [(severity, str(finding)) for finding in shown]
        if rest:
            lines.append((severity, _likewise(code, rest)))
    return lines


def counts(found: Iterable[Finding]) -> str:
    """Return how many findings there are, such as `1 error, 3 notes`; empty without any.

    Example:
        >>> counts([Finding("warning", "leak", "'refund' leaks."), Finding("note", "sep", "';'.")])
        '1 warning, 1 note'
    """
    parts = []
    for severity, same in groupby(findings.by_severity(found), lambda finding: finding.severity):
        number = len(list(same))
        parts.append(f"{number} {severity}{'' if number == 1 else 's'}")
    return ", ".join(parts)


def _likewise(code: str, rest: Sequence[Finding]) -> str:
    columns = list(dict.fromkeys(finding.column for finding in rest if finding.column))
    if not columns:
        return f"and {len(rest)} more of the kind {code}; the report lists them"
    named = ", ".join(repr(column) for column in columns[:_MOST_COLUMNS])
    more = len(columns) - _MOST_COLUMNS
    return f"likewise {named}" + (f" and {more} more columns" if more > 0 else "")
