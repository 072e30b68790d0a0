"""Ingests tabular data: reads, types and splits them, and writes them as examples."""

import hashlib
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kfp_tabular.components.common import files, options
from kfp_tabular.components.common.artifacts import lineage
from kfp_tabular.components.common.artifacts.examples import ShardDestination, record
from kfp_tabular.components.common.artifacts.findings import Findings
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.processing.engine import Engine
from kfp_tabular.components.common.processing.local_engine import LocalEngine
from kfp_tabular.components.common.storage import InputFile
from kfp_tabular.components.common.values import column_format
from kfp_tabular.components.common.values.column_format import ColumnFormat, TimeFormat
from kfp_tabular.components.common.values.time_patterns import canonical_format, pattern_of
from kfp_tabular.components.data_ingestion import (
    ingestion_summary,
    input_choice,
    lost_rows,
    reading_findings,
)
from kfp_tabular.components.data_ingestion.columns import column_decision, column_formats
from kfp_tabular.components.data_ingestion.columns.column_formats import Decider, GivenFormat
from kfp_tabular.components.data_ingestion.columns.column_names import require_columns
from kfp_tabular.components.data_ingestion.options import IngestionOptions, SplitOptions
from kfp_tabular.components.data_ingestion.readers import column_selection
from kfp_tabular.components.data_ingestion.readers.file_formats import open_source
from kfp_tabular.components.data_ingestion.splits import split_choice, split_hints
from kfp_tabular.components.data_ingestion.writing import passes
from kfp_tabular.components.data_ingestion.writing.passes import WrittenExamples
from kfp_tabular.components.data_ingestion.writing.prepared_block import missing_label

_logger = logging.getLogger(__name__)

_LIBRARIES = ("pyarrow", "numpy")
_MOST_LISTED_SOURCES = 50


@dataclass(frozen=True)
class IngestionRequest:
    """What to ingest, and where to write the outputs.

    Attributes:
        options: What to read, and how to type and split it.
        examples: Path of the examples output, a directory.
        rejected_rows: Path of the rejected rows output, a directory.
        summary: Path of the summary page, a file.
    """

    options: IngestionOptions
    examples: Path
    rejected_rows: Path
    summary: Path


@dataclass(frozen=True)
class IngestionResult:
    """The outcome of an ingestion.

    Attributes:
        rows: Rows by split.
        rejected: The number of rejected rows.
        examples_lineage: The lineage of the examples.
        rejected_lineage: The lineage of the rejected rows.
    """

    rows: Mapping[str, int]
    rejected: int
    examples_lineage: Mapping[str, Any]
    rejected_lineage: Mapping[str, Any]


def run(
    request: IngestionRequest, engine: Engine | None = None, shards_uri: str = ""
) -> IngestionResult:
    r"""Ingest data.

    Args:
        request: What to ingest, and where to write.
        engine: Runs the folds and maps; None for threads of this process.
        shards_uri: Where to write the shards of the examples, in a folder of this attempt; empty
            for the examples output.

    Raises:
        UserError: An option or the data are wrong. Nothing is written then.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     data, *outputs = (Path(folder, name) for name in ("taxi.csv", "a", "b", "c.md"))
        ...     _ = data.write_text("fare\n" + "\n".join(map(str, range(90))))
        ...     run(IngestionRequest(IngestionOptions(str(data)), *outputs)).rows
        {'train': 66, 'eval': 11, 'test': 13}
    """
    settings = request.options
    given = column_formats.parse(settings.column_types, settings.column_formats)
    options.check(settings)
    split_choice.check(settings.split)
    start = time.monotonic()
    findings = Findings()
    engine = engine or LocalEngine()
    with input_choice.opened(settings, engine) as found, ThreadPoolExecutor(1) as background:
        digests = background.submit(lambda: [file.digest() for file in found])
        selection = column_selection.select(settings, found)
        source = open_source(
            found, settings.data_format, settings.csv, selection, _named(settings), engine
        )
        selection.check(source.known)
        for note in (*selection.notes, *source.notes):
            findings.add(note)
        if settings.label:
            require_columns([settings.label], source.columns, "label")
        require_columns(list(settings.column_types), source.columns, "column_types")
        require_columns(list(settings.column_formats), source.columns, "column_formats")
        given = {**_split_time(settings.split), **given}
        given |= column_formats.bags(given, source.bags)
        decider = Decider(
            settings.label,
            settings.odd_values,
            given,
            tuple(settings.csv.missing_values),
            frozenset(source.columns),
        )
        splitting = split_choice.choose(settings.split, source, decider, engine, settings.exclude)
        with (
            files.atomic_directory(request.rejected_rows) as rejected,
            files.atomic_directory(request.examples) as examples,
            _destination(examples, shards_uri) as destination,
        ):
            written = passes.write(source, decider, splitting, destination, rejected, engine)
            column_decision.require_answers(written.decisions.values())
            _check_written(settings, written)
            lost_rows.report(
                findings, source, settings.label, written, destination, rejected, engine
            )
            split = split_hints.record(settings.split, splitting)
            reading_findings.add(findings, written)
            formats = _formats(written)
            split_hints.add_findings(findings, splitting, split, formats)
            findings.write(examples)
            column_format.write(formats, examples)
            facts = {
                **_facts(found, digests.result(), written, split),
                "excluded": sorted(selection.exclude),
            }
            examples_lineage = record(
                examples,
                written.schema,
                written.shards,
                inputs={},
                libraries=_LIBRARIES,
                extra=facts,
                shards_uri=destination.shards_uri,
            )
            rejected_lineage = lineage.record(
                rejected, inputs={}, rows={"rejected": facts["rejected"]}, libraries=_LIBRARIES
            )
    page = ingestion_summary.markdown(settings.data_uri, examples_lineage, written, findings)
    files.write_text(request.summary, page)
    seconds = time.monotonic() - start
    _logger.info("%d rows in %.1f s: %s", written.read.rows, seconds, dict(written.rows))
    return IngestionResult(written.rows, facts["rejected"], examples_lineage, rejected_lineage)


@contextmanager
def _destination(examples: Path, shards_uri: str) -> Iterator[ShardDestination]:
    """Return where to write shards; what is written elsewhere is removed on failure."""
    destination = (
        ShardDestination.attempt_below(shards_uri)
        if shards_uri
        else ShardDestination.of(examples.absolute())
    )
    with destination.removed_on_failure():
        yield destination


def _split_time(settings: SplitOptions) -> dict[str, GivenFormat]:
    """Return the format that the options give to the column of a split by time."""
    written = settings.split_time_format
    if not written or pattern_of(written) is None:
        return {}
    time = TimeFormat((written,), canonical=canonical_format([written]))
    return {settings.split_column: GivenFormat(ColumnFormat("time", time=time))}


def _named(settings: IngestionOptions) -> list[str]:
    """Return the columns that options name; they tell a header from a row."""
    split = settings.split
    names = [settings.label, split.split_column, *split.split_keys, *settings.column_types]
    names += settings.column_formats
    return [name for name in names if name]


def _check_written(settings: IngestionOptions, written: WrittenExamples) -> None:
    if not written.read.rows:
        raise UserError(f"{settings.data_uri}: the data have columns but no rows.")
    if settings.label:
        _check_label(settings.label, written)
    # A public table of flights lacks the delay of those that were cancelled: 3% of the rows.
    rows = written.read.rows
    rejected = sum(written.read.rejected.values()) - written.read.rejected.get(
        missing_label(settings.label), 0
    )
    if rejected > settings.max_rejected_fraction * rows:
        first = "; ".join(
            f"{row.file} line {row.line}: {row.reason}" for row in written.read.first_rejected[:3]
        )
        raise UserError(
            f"{rejected} of {rows} rows ({rejected / rows:.1%}) were rejected, "
            f"more than max_rejected_fraction {settings.max_rejected_fraction:g} allows. "
            f"The first: {first}."
        )
    for split, rows_of_split in written.rows.items():
        if not rows_of_split:
            raise UserError(
                f"split {split!r} has none of the {rows} rows. Give it a larger share, use "
                "more data, or choose another split_method."
            )


def _formats(written: WrittenExamples) -> dict[str, ColumnFormat]:
    """Return the formats of the columns of the examples."""
    formats = {
        name: decision.documented
        for name, decision in written.decisions.items()
        if name in written.schema.names
    }
    for decision in written.decisions.values():
        formats |= decision.derived
    return formats


def _check_label(label: str, written: WrittenExamples) -> None:
    if written.read.rejected.get(missing_label(label)) == written.read.rows:
        raise UserError(f"label {label!r} is missing in all {written.read.rows} rows.")
    accepted = sum(written.rows.values())
    if accepted and not written.read.label.varied:
        raise UserError(
            f"label {label!r} is {written.read.label.value!r} in all {accepted} rows, so there is "
            "nothing to learn."
        )


def _facts(
    found: Sequence[InputFile],
    digests: Sequence[str],
    written: WrittenExamples,
    split: Mapping[str, Any],
) -> dict[str, Any]:
    """Return what the lineage of the examples holds in addition to the usual fields."""
    listed = [
        {"uri": file.uri, "digest": digest, "bytes": file.size}
        for file, digest in zip(found, digests, strict=True)
    ]
    whole = hashlib.sha256("\n".join(digests).encode())
    return {
        # Metadata is kept in a database, so a thousand shards are counted rather than listed.
        "sources": listed[:_MOST_LISTED_SOURCES],
        "source_files": len(listed),
        "source_digest": f"sha256:{whole.hexdigest()}",
        "rejected": sum(written.read.rejected.values()),
        "split": split,
    }
