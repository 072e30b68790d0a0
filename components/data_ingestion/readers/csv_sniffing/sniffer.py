"""Finds out how a file is written, and notes what was decided."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from kfp_tabular.components.common.artifacts.findings import Finding, Severity
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.storage import InputFile
from kfp_tabular.components.data_ingestion.options import (
    AUTO,
    NONE,
    CsvOptions,
    delimiter_character,
)
from kfp_tabular.components.data_ingestion.readers import csv_rows
from kfp_tabular.components.data_ingestion.readers.csv_dialect import CsvDialect, CsvLayout
from kfp_tabular.components.data_ingestion.readers.csv_header import column_names, numbered
from kfp_tabular.components.data_ingestion.readers.csv_rows import RowSyntax
from kfp_tabular.components.data_ingestion.readers.csv_sniffing import (
    comments,
    file_scan,
    layout,
)
from kfp_tabular.components.data_ingestion.readers.csv_sniffing.delimiters import (
    COMMON,
    fields_of,
    find_delimiter,
)
from kfp_tabular.components.data_ingestion.readers.csv_sniffing.escapes import has_backslashes
from kfp_tabular.components.data_ingestion.readers.csv_sniffing.file_scan import FileScan
from kfp_tabular.components.data_ingestion.readers.csv_sniffing.layout import Surroundings
from kfp_tabular.components.data_ingestion.readers.csv_stream import open_utf8

_LEAST_LINES = 3
_LONGEST_HEADER = 16 << 20
_MOST_ROWS, _LEAST_ROWS = 150, 20
_MOST_FIELDS = 5_000
_LINE_END = re.compile(r"\r\n|\r|\n")
_SEP_LINE = re.compile(r'"?sep=(.)"?', re.IGNORECASE)


@dataclass(frozen=True)
class SniffedFile:
    """How a file is written.

    Attributes:
        dialect: How to read it.
        layout: Where its rows are.
        start: What its first lines look like.
        is_plain: Whether its header is its first line, and nothing but its first rows decides how
            to read it.
        decisions: What was decided, without the name of the file; nothing where it is written as
            everyone expects.
    """

    dialect: CsvDialect
    layout: CsvLayout
    start: "_Start"
    is_plain: bool
    decisions: tuple[Finding, ...] = ()


def sniff(
    file: InputFile,
    options: CsvOptions,
    scan: FileScan,
    *,
    expected: Collection[str] = (),
    like: SniffedFile | None = None,
) -> SniffedFile | None:
    r"""Find out how a file is written; None where it is empty.

    Args:
        file: The file.
        options: What is known; `auto` is to be found out.
        scan: What the whole of it tells.
        expected: Columns that other options name, such as the label.
        like: Another file. Where the first lines look the same, the rest is written alike.

    Raises:
        UserError: The header cannot be read, or two columns have the same name.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from kfp_tabular.components.common.storage import LocalFile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "taxi.csv")
        ...     _ = path.write_text("sep=;\nfare;tip\n5,5;1\n")
        ...     file = LocalFile("taxi.csv", path)
        ...     found = sniff(file, CsvOptions(), file_scan.scan(file, ""))
        >>> found.layout.columns, found.layout.lines
        (('fare', 'tip'), 2)
    """
    if not scan.head:
        return None
    start = _Start.of(scan)
    is_plain = not (
        scan.escaped_quotes
        or scan.hash_lines
        or scan.foreign_bytes
        or layout.TOTAL_LINE.search(scan.last_line)
    )
    if like is not None and is_plain and (like.is_plain, like.start) == (is_plain, start):
        return like
    sniffing = _Sniffing(file, options, scan)
    dialect, found = sniffing.run(expected)
    is_plain = is_plain and found.has_header and found.lines == 1
    return SniffedFile(dialect, found, start, is_plain, tuple(sniffing.decisions))


@dataclass(frozen=True)
class _Start:
    """What the first lines of a file look like: files with the same are written alike."""

    encoding: str
    header: bytes
    has_digits: bool
    delimiters: tuple[int, ...]

    @classmethod
    def of(cls, scan: FileScan) -> "_Start":
        header, _, rest = scan.head.partition(b"\n")
        row = rest.partition(b"\n")[0]
        return cls(
            scan.encoding.name,
            header,
            re.search(rb"\d", row) is not None,
            tuple(row.count(sign.encode()) for sign in COMMON),
        )


def decisions(files: Mapping[InputFile, SniffedFile]) -> list[Finding]:
    """Return what was decided about the files of one ingestion, once for files that are alike."""
    alike: dict[Finding, list[str]] = {}
    for file, found in files.items():
        for decision in found.decisions:
            alike.setdefault(decision, []).append(file.uri)
    findings = []
    for decision, names in alike.items():
        others = f" and {len(names) - 1} other files" if len(names) > 1 else ""
        if others and len(names) == len(files):
            others = f" and all {len(names) - 1} others"
        findings.append(replace(decision, message=f"{names[0]}{others}: {decision.message}"))
    return findings


class _Sniffing:
    """The steps of `sniff` for one file."""

    def __init__(self, file: InputFile, options: CsvOptions, scan: FileScan) -> None:
        self._file = file
        self._options = options
        self._scan = scan
        self.decisions: list[Finding] = []
        self._data, self._is_whole = self._head()

    def run(self, expected: Collection[str]) -> tuple[CsvDialect, CsvLayout]:
        self._say_encoding()
        data, options = self._data, self._options
        start = len(data) - len(data.lstrip(b"\r\n"))
        if start == len(data):
            raise UserError(
                f"{self._file.uri}: the file has only blank lines. Expected a header and rows."
            )
        delimiter = (
            "" if options.csv_delimiter == AUTO else delimiter_character(options.csv_delimiter)
        )
        start, delimiter = self._after_sep_line(start, delimiter)
        lines = _LINE_END.split(self._text(data[start:]))
        lines = [line for line in lines if line.strip()]
        mark = self._given(options.csv_comment)
        if mark is None:
            mark = comments.mark_above(lines)
        rows = [line for line in lines if not (mark and line.startswith(mark))]
        quote = self._given(options.csv_quote)
        found = find_delimiter(rows, delimiter, quote)
        if not delimiter and found.delimiter != ",":
            self._note("delimiter", f"{_shown(found.delimiter)} separates the columns")
        if quote is None and found.quote != '"':
            self._note("quote", f"{found.quote} quotes fields")
        syntax = RowSyntax(found.delimiter.encode(), found.quote.encode())
        syntax = replace(
            syntax,
            escape=self._escape(syntax),
            skipped=self._skipped(mark, found.delimiter, found.quote, found.fields, lines),
        )
        return self._lay_out(start, syntax, mark, expected)

    def _head(self) -> tuple[bytes, bool]:
        """Return the first bytes of the file, and whether they are all of it."""
        head, is_whole = self._scan.head, self._scan.is_whole
        if is_whole or csv_rows.count_line_ends(head) >= _LEAST_LINES:
            return head, is_whole
        with open_utf8(self._file, self._scan.encoding) as stream:
            head = file_scan.read(stream, _LONGEST_HEADER)
            return head, not stream.read(1)

    def _after_sep_line(self, start: int, delimiter: str) -> tuple[int, str]:
        line = _LINE_END.split(self._text(self._data[start : start + 16]))[0]
        sep = _SEP_LINE.fullmatch(line)
        if sep is None or not sep[1].isascii() or (delimiter and delimiter != sep[1]):
            return start, delimiter
        end = re.compile(rb"\r\n|\r|\n").search(self._data, start)
        self._note(
            "sep-line",
            f"the first line names {_shown(sep[1])} as the delimiter and is skipped",
            option="csv_delimiter",
        )
        return end.end() if end else len(self._data), sep[1]

    def _escape(self, syntax: RowSyntax) -> bytes:
        escape = self._given(self._options.csv_escape)
        if escape is not None:
            return escape.encode()
        if not has_backslashes(self._scan.escaped_quotes, syntax):
            return b""
        self._note("escape", f"\\{syntax.quote.decode()} is a quote inside a field")
        return b"\\"

    def _skipped(
        self, mark: str, delimiter: str, quote: str, fields: int, lines: Sequence[str]
    ) -> bytes:
        """Return the pattern of lines that are comments."""
        if self._options.csv_comment != AUTO:
            return re.escape(mark.encode())
        if mark and mark != "#":
            self._say_comments(mark, next(line for line in lines if line.startswith(mark)))
            return re.escape(mark.encode())
        found = [self._text(line) for line in self._scan.hash_lines]
        if mark or (
            0 < len(found) < file_scan.MOST_LINES
            and comments.are_comments(found, delimiter, quote, fields)
        ):
            self._say_comments("#", found[0], len(found))
            return comments.HASH_LINES
        return b""

    def _say_comments(self, mark: str, example: str, count: int = 0) -> None:
        lines = f"{count} lines" if count > 1 else "lines" if not count else "a line"
        verb = "start" if count != 1 else "starts"
        comment = "comments and are skipped" if count != 1 else "a comment and is skipped"
        be = "are" if count != 1 else "is"
        self._note(
            "comment",
            f"{lines} that {verb} with {mark} {be} {comment}, such as {_short(example)!r}",
        )

    def _lay_out(
        self, start: int, syntax: RowSyntax, mark: str, expected: Collection[str]
    ) -> tuple[CsvDialect, CsvLayout]:
        data = self._data
        found_rows = csv_rows.find_rows(data[start:], syntax)
        starts, ends = found_rows.starts.tolist(), found_rows.ends.tolist()
        if not self._is_whole and len(starts) > 1:
            starts, ends = starts[:-1], ends[:-1]
        if not starts:
            raise UserError(
                f"{self._file.uri}: the file has only comments. Expected a header and rows. "
                "Set csv_comment to none to read them."
            )
        self._check_header(data[start + starts[0] : start + ends[0]])
        rows = [
            self._fields(data[start + first : start + last], syntax)
            for first, last in zip(starts[:_MOST_ROWS], ends[:_MOST_ROWS], strict=True)
        ]
        rows = rows[: max(_LEAST_ROWS, _MOST_FIELDS // max(map(len, rows)))]
        above = [
            line
            for line in _LINE_END.split(self._text(data[start : start + starts[0]]))
            if mark and line.startswith(mark)
        ]
        delimiter, quote = syntax.delimiter.decode(), syntax.quote.decode()
        around = layout.find_surroundings(
            rows,
            has_header={"true": True, "false": False}.get(self._options.csv_header),
            may_skip=self._options.csv_comment != NONE,
            expected=expected,
            comment=comments.fields_of(above[-1], mark, delimiter, quote) if above else None,
        )
        used = around.titles + around.units + (around.header is not None and not around.commented)
        size = start + starts[used] if used < len(starts) else len(data)
        self._say_layout(around, rows)
        if around.header is None:
            names = numbered(around.fields - around.trailing)
        else:
            names = column_names(self._file.uri, self._trimmed(around.header))
            self._say_unnamed(around.header, names)
        total = self._total(syntax, rows[used:])
        if total:
            syntax = replace(syntax, skipped=b"|".join(filter(None, (syntax.skipped, total))))
        dialect = CsvDialect(syntax, self._scan.encoding, tuple(self._options.missing_values))
        return dialect, CsvLayout(
            names,
            size,
            csv_rows.count_line_ends(data[:size]),
            has_header=around.header is not None,
            trailing=around.trailing,
        )

    def _check_header(self, header: bytes) -> None:
        try:
            text = header.decode()
        except UnicodeDecodeError as error:
            raise UserError(
                f"{self._file.uri}: the header is not valid {self._scan.encoding.name} "
                f"({error.reason} at byte {error.start}). Set csv_encoding, for example to latin-1."
            ) from error
        if "\0" in text:
            raise UserError(
                f"{self._file.uri}: the header holds zero bytes. The file is not CSV, or it needs "
                "csv_encoding utf-16-le or utf-16-be."
            )

    def _total(self, syntax: RowSyntax, rows: Sequence[Sequence[str]]) -> bytes:
        """Return the pattern of a last line that holds totals; empty where there is none."""
        line = self._scan.last_line
        if self._options.csv_comment == NONE or not layout.TOTAL_LINE.search(line) or len(rows) < 2:
            return b""
        column = [row[0] for row in rows[:-1] if row]
        fields = self._fields(line, syntax)
        if not layout.is_total(fields, column):
            return b""
        self._note(
            "total",
            f"the last line holds totals and is skipped: {_short(self._text(line))!r}",
            option="csv_comment",
        )
        return re.escape(line) + rb"(?=[\r\n]|\Z)"

    def _fields(self, row: bytes, syntax: RowSyntax) -> list[str]:
        text = self._text(csv_rows.unescaped(row, syntax))
        return fields_of(text, syntax.delimiter.decode(), syntax.quote.decode())

    def _say_encoding(self) -> None:
        scan = self._scan
        if scan.encoding.repairs:
            self._note(
                "encoding",
                f"{scan.foreign_bytes} bytes are not valid UTF-8, as the rest of the file is, and "
                f"are read as cp1252, such as {scan.foreign_example!r}",
                severity="warning",
            )
        elif scan.foreign_bytes:
            self._note(
                "encoding",
                f"read as {scan.encoding.name.lower()}, because {scan.foreign_bytes} bytes are not "
                f"valid UTF-8, such as in {scan.foreign_example!r}",
            )
        elif self._options.csv_encoding == AUTO and scan.encoding.codec.name != "utf-8":
            self._note("encoding", f"read as {scan.encoding.name}")

    def _say_layout(self, around: Surroundings, rows: Sequence[Sequence[str]]) -> None:
        auto = self._options.csv_header == AUTO
        if around.titles:
            self._note(
                "title",
                f"{around.titles} lines above the header are skipped, such as "
                f"{_short(' '.join(rows[0]).strip())!r}",
                option="csv_header",
            )
        if around.commented and around.header:
            self._note(
                "header",
                f"the comment above the rows names the columns: {_short(', '.join(around.header))}",
            )
        if around.header is None and auto:
            self._note(
                "header",
                f"no header, because the first line looks like the others "
                f"({_short(', '.join(rows[around.titles]))!r}); the columns are called column_1 to "
                f"column_{around.fields - around.trailing}",
            )
        if around.units:
            self._note(
                "units",
                "the line below the header holds units and is skipped: "
                f"{_short(', '.join(rows[around.titles + 1]))!r}",
                option="csv_comment",
            )
        if around.trailing:
            self._note(
                "trailing",
                "the delimiter at the end of each line is dropped",
                option="csv_delimiter",
            )

    def _trimmed(self, header: Sequence[str]) -> tuple[str, ...]:
        """Return names without the blanks around them, which serve to line up columns."""
        names = tuple(name.strip() for name in header)
        if names == tuple(header) or len(set(names)) < len(names):
            return tuple(header)
        self._note("header", "blanks around the names of columns are dropped")
        return names

    def _say_unnamed(self, header: Sequence[str], names: Sequence[str]) -> None:
        replaced = [name for given, name in zip(header, names, strict=True) if not given]
        if replaced:
            self._note(
                "unnamed-column",
                f"{len(replaced)} columns have no name and are called "
                f"{_short(', '.join(replaced))}",
                option="exclude",
            )

    def _note(
        self, subject: str, message: str, *, option: str = "", severity: Severity = "note"
    ) -> None:
        self.decisions.append(
            Finding(severity, f"csv-{subject}", f"{message}.", option=option or f"csv_{subject}")
        )

    def _given(self, option: str) -> str | None:
        """Return what an option says; empty for `none`, None for `auto`."""
        return None if option == AUTO else "" if option == NONE else option

    def _text(self, data: bytes) -> str:
        return data.decode("utf-8", "replace")


def _shown(delimiter: str) -> str:
    return {"\t": "tab", " ": "a blank"}.get(delimiter, f"{delimiter!r}")


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
