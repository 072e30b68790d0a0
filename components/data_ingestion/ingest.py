"""Reads tabular data into split, typed examples."""

import hashlib
import logging
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from kfp_tabular.components.common import files, storage
from kfp_tabular.components.common.artifacts import lineage
from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.components.common.storage import LocalFile
from kfp_tabular.components.data_ingestion import ingestion_summary as summary
from kfp_tabular.components.data_ingestion.columns.column_types import parse_kinds
from kfp_tabular.components.data_ingestion.readers.csv_source import CsvOptions
from kfp_tabular.components.data_ingestion.readers.file_formats import DATA_FORMATS, open_source
from kfp_tabular.components.data_ingestion.splits import split_choice
from kfp_tabular.components.data_ingestion.splits.split_choice import SplitRequest
from kfp_tabular.components.data_ingestion.splits.splitters import require_columns
from kfp_tabular.components.data_ingestion.writing import passes
from kfp_tabular.components.data_ingestion.writing.passes import Written
from kfp_tabular.components.data_ingestion.writing.prepared_block import missing_label

_logger = logging.getLogger(__name__)

_LIBRARIES = ("pyarrow", "numpy")
_MOST_LISTED_SOURCES = 50


@dataclass(frozen=True)
class Request:
    """What to ingest; see `component.ingest_data` for the meaning of each field.

    Attributes:
        data_uri: A file, a directory or a glob.
        examples: Where the examples go; a directory.
        rejected_rows: Where the rejected rows go; a directory.
        summary: Where the page goes; a file.
        data_format: `auto`, `csv`, `parquet` or `tfrecord`.
        label: The label's column; empty where there is none.
        split: How rows are assigned to splits.
        max_rejected_fraction: In [0, 1].
        csv: How CSV is read.
        column_types: Kinds of columns that are not to be inferred.
    """

    data_uri: str
    examples: Path
    rejected_rows: Path
    summary: Path
    data_format: str = "auto"
    label: str = ""
    split: SplitRequest = field(default_factory=SplitRequest)
    max_rejected_fraction: float = 0.01
    csv: CsvOptions = field(default_factory=CsvOptions)
    column_types: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """What was ingested.

    Attributes:
        rows: Rows by split.
        rejected: The number of rejected rows.
        examples_lineage: For the examples' metadata.
        rejected_lineage: For the rejected rows' metadata.
    """

    rows: Mapping[str, int]
    rejected: int
    examples_lineage: Mapping[str, Any]
    rejected_lineage: Mapping[str, Any]


def run(request: Request) -> Result:
    """Ingests data.

    Args:
        request: What to ingest, and where to.

    Raises:
        UserError: Where the request or the data is bad. Nothing is written then.
    """
    forced = parse_kinds(request.column_types)
    _check(request)
    start = time.monotonic()
    with storage.local_files(request.data_uri) as found, ThreadPoolExecutor(1) as background:
        digests = background.submit(lambda: [lineage.digest_file(file.path) for file in found])
        source = open_source(found, request.data_format, request.csv, forced)
        if request.label:
            require_columns([request.label], source.columns, "label")
        require_columns(list(forced), source.columns, "column_types")
        splitter = split_choice.choose(request.split, source, request.label)
        with (
            files.atomic_directory(request.rejected_rows) as rejected,
            files.atomic_directory(request.examples) as examples,
        ):
            written = passes.write(source, splitter, request.label, examples, rejected)
            _check_written(request, written)
            facts = _facts(request, found, digests.result(), written)
            examples_lineage = lineage.record(
                examples, inputs={}, rows=written.rows, libraries=_LIBRARIES, extra=facts
            )
            rejected_lineage = lineage.record(
                rejected, inputs={}, rows={"rejected": facts["rejected"]}, libraries=_LIBRARIES
            )
    files.write_text(request.summary, summary.markdown(request.data_uri, examples_lineage, written))
    seconds = time.monotonic() - start
    _logger.info("%d rows in %.1f s: %s", written.read, seconds, dict(written.rows))
    return Result(written.rows, facts["rejected"], examples_lineage, rejected_lineage)


def _check(request: Request) -> None:
    if request.data_format not in DATA_FORMATS:
        raise UserError(
            f"data_format: {request.data_format!r} is unknown; give {', '.join(DATA_FORMATS)}."
            + closest(request.data_format, DATA_FORMATS)
        )
    if not 0 <= request.max_rejected_fraction <= 1:
        raise UserError(
            f"max_rejected_fraction is {request.max_rejected_fraction}; give a share from 0 to 1."
        )
    request.split.check()
    # Properties that raise where the option is bad.
    _ = request.csv.delimiter_byte, request.csv.codec


def _check_written(request: Request, written: Written) -> None:
    if not written.read:
        raise UserError(f"{request.data_uri}: there are columns but no rows.")
    if request.label:
        _check_label(request.label, written)
    rejected = sum(written.rejected.values())
    if rejected > request.max_rejected_fraction * written.read:
        first = "; ".join(
            f"{row.file} line {row.line}: {row.reason}" for row in written.first_rejected[:3]
        )
        raise UserError(
            f"{rejected} of {written.read} rows ({rejected / written.read:.1%}) are rejected, more "
            f"than max_rejected_fraction {request.max_rejected_fraction:g} allows. First: {first}."
        )
    for split, rows in written.rows.items():
        if not rows:
            raise UserError(
                f"split {split!r} has no rows (of {written.read}); give it a larger share, more "
                "data, or another split_method."
            )


def _check_label(label: str, written: Written) -> None:
    if written.rejected.get(missing_label(label)) == written.read:
        raise UserError(f"label {label!r} is missing in all {written.read} rows.")
    accepted = sum(written.rows.values())
    if accepted and not written.label.varied:
        raise UserError(
            f"label {label!r} is {written.label.value!r} in all {accepted} rows; there is nothing "
            "to learn."
        )


def _facts(
    request: Request, found: Sequence[LocalFile], digests: Sequence[str], written: Written
) -> dict[str, Any]:
    """Gives what the examples' lineage holds beside the usual."""
    listed = [
        {"uri": file.uri, "digest": digest, "bytes": file.path.stat().st_size}
        for file, digest in zip(found, digests, strict=True)
    ]
    whole = hashlib.sha256("\n".join(digests).encode())
    return {
        # Metadata is kept in a database: a thousand shards are summed up, not listed.
        "sources": listed[:_MOST_LISTED_SOURCES],
        "source_files": len(listed),
        "source_digest": f"sha256:{whole.hexdigest()}",
        "rejected": sum(written.rejected.values()),
        "split": {**asdict(request.split), "keys": list(request.split.keys)},
    }
