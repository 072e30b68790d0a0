"""The KFP interface of data ingestion."""

from typing import Dict, List

from kfp import dsl

from kfp_tabular.components.common import images


@dsl.component(base_image=images.TENSORFLOW, install_kfp_package=False)
def ingest_data(
    data_uri: str,
    examples: dsl.Output[dsl.Dataset],
    rejected_rows: dsl.Output[dsl.Dataset],
    summary: dsl.Output[dsl.Markdown],
    data_format: str = "auto",
    label: str = "",
    split_method: str = "hash",
    split_fractions: Dict[str, float] = {"train": 0.7, "eval": 0.15, "test": 0.15},
    split_column: str = "",
    split_keys: List[str] = [],
    split_salt: str = "",
    split_time_format: str = "",
    max_rejected_fraction: float = 0.01,
    column_types: Dict[str, str] = {},
    csv_delimiter: str = ",",
    csv_encoding: str = "utf-8",
    missing_values: List[str] = [],
) -> None:
    """Reads CSV, Parquet or TFRecord into split, typed Parquet examples.

    The type of a CSV column is the narrowest that fits all of its values: integer, number, or
    text; `true`/`false` become 1/0. Text stays text where a number would lose something: values
    with leading zeros (`00123`), and integers too large for the type. Infinite numbers, rows that
    do not parse and rows without a label go to the rejected rows. An empty string, NaN, and in
    columns of numbers also what pandas reads as missing (`NA`, `NULL`, ...), are missing.

    Args:
        data_uri: A file, a directory (all files below it) or a glob (`*`, `?`, `**`): a local
            path, `file://`, `gs://`, `s3://` or `minio://`. CSV and TFRecord may be gzipped. All
            files have the same format and the same columns.
        examples: Parquet shards by split, `split=train/part-00000.parquet`. Columns are int64,
            float64 (always finite) or string; missing is null.
        rejected_rows: Parquet with `file`, `line`, `reason` and `text`; there also if empty.
        summary: Files, splits, types and rejected rows, to read.
        data_format: `csv`, `parquet`, `tfrecord` (of tf.Example), or `auto` to see it from the
            content.
        label: The label's column. It must exist and have more than one value; rows without it
            are rejected. Empty: there is no label.
        split_method: `hash`: by a hash of `split_keys`, the same on every machine and in any row
            order. `time`: the earliest rows by `split_column` go to the first split, and rows of
            the same time stay together. `column`: `split_column` names the split of each row and
            is left out of the examples.
        split_fractions: Relative weights by split, for `hash` and `time`. For `time` the order
            is train, eval, test, then others by name.
        split_column: For `time`, a column of numbers or ISO 8601 text; for `column`, one of names.
        split_keys: Columns whose values together decide the split, so that rows of the same
            customer stay together, say. Empty: the whole row.
        split_salt: Another text gives another split by hash.
        split_time_format: How the text of a time column is written, as for `strptime`
            (`%d/%m/%Y %H:%M`). Empty: ISO 8601.
        max_rejected_fraction: More rejected rows than this share, from 0 to 1, are an error.
        column_types: `integer`, `number` or `text` by column, for columns whose type is not to
            be inferred. Rows that do not fit are rejected.
        csv_delimiter: One character; `tab` for a tabulator.
        csv_encoding: The encoding of CSV, as Python names it. Rows that are not valid in it are
            rejected.
        missing_values: Texts that mean missing in every column of CSV, beside the empty one.

    Raises:
        UserError: (exit code 2) Where a file, a column or an argument is wrong, the label is
            missing or constant, too many rows are rejected, or a split ends up empty. No output
            is written then.
    """
    from pathlib import Path

    from kfp_tabular.components.common.errors import reported_to_user
    from kfp_tabular.components.data_ingestion import ingest
    from kfp_tabular.components.data_ingestion.readers.csv_source import CsvOptions
    from kfp_tabular.components.data_ingestion.splits.split_choice import SplitRequest

    with reported_to_user():
        result = ingest.run(
            ingest.Request(
                data_uri=data_uri,
                examples=Path(examples.path),
                rejected_rows=Path(rejected_rows.path),
                summary=Path(summary.path),
                data_format=data_format,
                label=label,
                split=SplitRequest(
                    method=split_method,
                    fractions=split_fractions,
                    column=split_column,
                    keys=tuple(split_keys),
                    salt=split_salt,
                    time_format=split_time_format,
                ),
                max_rejected_fraction=max_rejected_fraction,
                csv=CsvOptions(csv_delimiter, csv_encoding, tuple(missing_values)),
                column_types=column_types,
            )
        )
    examples.metadata.update(result.examples_lineage)
    rejected_rows.metadata.update(result.rejected_lineage)
