"""What a task found that a person should know: what it decided, dropped or cannot vouch for.

A task collects findings, logs each as one line, and writes them to `_findings.json` in its main
output. A local run shows those of all tasks on the console, first in its report, and in
`summary.json`.
"""

import dataclasses
import json
import logging
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from kfp_tabular.components.common import files
from kfp_tabular.components.common.errors import UserError

FILE_NAME = "_findings.json"
"""The underscore keeps readers of partitioned data from taking it for data."""

Severity = Literal["error", "warning", "note"]
"""`error`: do not trust the result, such as a leak. `warning`: look at it, such as lost values.
`note`: what was decided, such as day-first dates."""

SEVERITIES: tuple[Severity, ...] = get_args(Severity)

_logger = logging.getLogger(__name__)
_LOG_LINE = re.compile(
    r"(?:^|\]: )(?P<severity>error|warning|note) \[(?P<code>[a-z0-9-]+)\]: (?P<text>.*)$"
)
_LEVELS = {"error": logging.ERROR, "warning": logging.WARNING, "note": logging.INFO}


@dataclass(frozen=True)
class Finding:
    """One finding.

    Attributes:
        severity: How much it matters.
        code: What kind of finding it is, for scripts: lower case with hyphens (`missing-markers`).
        message: One line for people: what, how many, one example.
        column: The column it is about; empty for none.
        option: The option that changes it; empty for none.
    """

    severity: Severity
    code: str
    message: str
    column: str = ""
    option: str = ""

    def __str__(self) -> str:
        option = f" Option: {self.option}." if self.option else ""
        return one_line(f"{self.message}{option}")

    @property
    def log_line(self) -> str:
        """The line of a task's log, which `find_in_log` reads again."""
        return f"{self.severity} [{self.code}]: {self}"


class Findings:
    """Collects the findings of a task, and logs each once.

    Example:
        >>> found = Findings()
        >>> found.note("day-first", "'when' is read day first.", column="when")
        >>> [finding.code for finding in found]
        ['day-first']
    """

    def __init__(self) -> None:
        self._found: dict[Finding, None] = {}

    def __iter__(self) -> Iterator[Finding]:
        """Yield the findings: errors, then warnings, then notes."""
        return iter(by_severity(self._found))

    def __len__(self) -> int:
        return len(self._found)

    def error(self, code: str, message: str, *, column: str = "", option: str = "") -> None:
        """Add a finding that makes the result worthless unless it is looked at."""
        self.add(Finding("error", code, message, column, option))

    def warning(self, code: str, message: str, *, column: str = "", option: str = "") -> None:
        """Add a finding that someone should look at."""
        self.add(Finding("warning", code, message, column, option))

    def note(self, code: str, message: str, *, column: str = "", option: str = "") -> None:
        """Add a decision that a person may want to know."""
        self.add(Finding("note", code, message, column, option))

    def add(self, finding: Finding) -> None:
        """Add a finding; the same one again has no effect."""
        if finding not in self._found:
            self._found[finding] = None
            _logger.log(_LEVELS[finding.severity], "%s", finding.log_line)

    def write(self, directory: str | os.PathLike[str]) -> None:
        """Write `_findings.json` to an existing directory, even if there are none."""
        document = [dataclasses.asdict(finding) for finding in self]
        text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        files.write_text(Path(directory, FILE_NAME), text)


def one_line(text: str) -> str:
    r"""Return text that a terminal or a log shows as one line, whatever the data hold.

    Example:
        >>> one_line("region 'EU\n\x1b[31m'")
        "region 'EU\\n\\x1b[31m'"
    """
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else repr(character)[1:-1] for character in text
    )


def find_in_log(lines: Iterable[str]) -> list[Finding]:
    """Return the findings that the log of a task holds, errors first; options stay in the message.

    Example:
        >>> line = "[KFP Executor 2026-11-30 12:00:00 WARNING]: warning [leak]: 'refund' leaks."
        >>> find_in_log(["Reading.", line])
        [Finding(severity='warning', code='leak', message="'refund' leaks.", column='', option='')]
    """
    matches = filter(None, map(_LOG_LINE.search, lines))
    found = {
        Finding(_severity(match["severity"]), match["code"], match["text"]): None
        for match in matches
    }
    return by_severity(found)


def by_severity(found: Iterable[Finding]) -> list[Finding]:
    """Sort findings: errors, then warnings, then notes; otherwise in the order given."""
    return sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))


def read(directory: str | os.PathLike[str]) -> list[Finding]:
    """Return the findings that an artifact holds; none where it has no `_findings.json`.

    Raises:
        UserError: The file is not a list of findings.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     found = Findings()
        ...     found.warning("leak", "'refund' alone predicts the label.", column="refund")
        ...     found.write(folder)
        ...     [str(finding) for finding in read(folder)]
        ["'refund' alone predicts the label."]
    """
    file = Path(directory, FILE_NAME)
    if not file.exists():
        return []
    try:
        document = json.loads(file.read_text("utf-8"))
        if not isinstance(document, list):
            raise TypeError("not a list")
        return [_checked(Finding(**entry)) for entry in document]
    except (ValueError, TypeError) as error:
        raise UserError(f"{file}: not a list of findings: {error}") from error


def _severity(word: str) -> Severity:
    return next(severity for severity in SEVERITIES if severity == word)


def _checked(finding: Finding) -> Finding:
    if finding.severity not in SEVERITIES:
        raise ValueError(f"severity {finding.severity!r}")
    for name, value in dataclasses.asdict(finding).items():
        if not isinstance(value, str):
            raise TypeError(f"{name} is not text: {value!r}")
    return finding
