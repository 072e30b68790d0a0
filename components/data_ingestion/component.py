"""The KFP interface of data ingestion."""

from typing import Any, Dict, List

from kfp import dsl

from kfp_tabular.components.common import images
from kfp_tabular.components.common.task.component import component


@component(base_image=images.TENSORFLOW)
def ingest_data(
    data_uri: str,
    examples: dsl.Output[dsl.Dataset],
    rejected_rows: dsl.Output[dsl.Dataset],
    outline: dsl.Output[dsl.Dataset],
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
    exclude: List[str] = [],
    keep: List[str] = [],
    slice_columns: List[str] = [],
    entity_columns: List[str] = [],
    fairness_columns: List[str] = [],
    nested: Dict[str, str] = {},
    column_types: Dict[str, str] = {},
    column_formats: Dict[str, Any] = {},
    odd_values: str = "missing",
    csv_delimiter: str = "auto",
    csv_quote: str = "auto",
    csv_escape: str = "auto",
    csv_header: str = "auto",
    csv_comment: str = "auto",
    csv_encoding: str = "auto",
    missing_values: List[str] = [],
    processing: Dict[str, Any] = {},
) -> None:
    """Read CSV, Parquet or TFRecord files and write them as split, typed Parquet examples.

    A CSV column gets the narrowest type that all of its values fit: integer, number, or text;
    `true`/`false` become 1/0. Text stays text where a number would lose something: values with
    leading zeros (`00123`), and integers too large for the type. Infinite numbers, rows that do
    not parse and rows without a label go to the rejected rows. Missing are the empty string, NaN
    and, in columns of numbers, the markers that pandas reads as missing (`NA`, `NULL`, ...).

    Args:
        data_uri: A file, a directory (all files below it) or a glob (`*`, `?`, `**`): a local
            path or a `file://`, `gs://`, `s3://` or `minio://` URI. CSV and TFRecord files may be
            compressed (gzip, bzip2, xz, zstd, lz4, zip). All files have the same format and the
            same columns.
        examples: Output. Parquet shards by split, `split=train/part-00000.parquet`. Columns are
            int64, float64 (always finite) or string; missing is null.
        rejected_rows: Output. Parquet with `file`, `line`, `reason` and `text`; written even if
            no row is rejected.
        outline: Output. Examples with the same columns and splits, and a row for each label, for
            `check_parameters`.
        summary: Output. A Markdown page: files, splits, types and rejected rows.
        data_format: `csv`, `parquet`, `tfrecord` (of tf.Example), or `auto` to detect it from the
            content.
        label: The label's column. It must have more than one value; rows without a label are
            rejected. Empty: no label.
        split_method: `hash`: by a hash of `split_keys`, the same on every machine and in any row
            order; rows with equal keys stay together. `row`: by the same hash and the row's number
            among those with equal keys, for data of a few kinds of row. `time`: the earliest rows
            by `split_column` go to the first split, and rows of the same time stay together.
            `column`: `split_column` names the split of each row and is left out of the examples.
        split_fractions: Relative weights by split, for `hash`, `row` and `time`. For `time`, the
            order is train, eval, test, then others by name.
        split_column: For `time`, a column of numbers or ISO 8601 text; for `column`, a column of
            split names.
        split_keys: Columns whose values together decide the split, for example to keep all rows of
            a customer in one split. Empty: for `hash`, all columns but the label and identifiers,
            or `row` where there are too few kinds of row to keep equal ones together; for `row`,
            all columns.
        split_salt: A different text gives a different split by hash.
        split_time_format: The format of text in a time column, in `strptime` directives (`%d/%m/%Y
            %H:%M`). Empty: told from the rows. ISO 8601 is always read.
        max_rejected_fraction: The task fails if a larger share of the rows is rejected, from 0 to
            1. Rows without a label are left out, too, but do not count.
        exclude: Columns that are not read, such as nested ones and those that the model must not
            see. `split_keys`, `split_column`, `keep`, `slice_columns`, `entity_columns` and
            `fairness_columns` are read all the same.
        keep: Columns to read although `exclude` names them: the model does not see them, but the
            evaluation does, for example in `outcome_values`.
        slice_columns: Those of the evaluation, crosses (`a,b`) included: read although `exclude`
            names them.
        entity_columns: Those of the evaluation: read although `exclude` names them.
        fairness_columns: Those of the evaluation: read although `exclude` names them.
        nested: How Parquet columns and TFRecord features with several values per row become
            columns, by column. `flatten`: a column per field (`address.city`), per position of a
            list (`scores_0`) or per key of a map (`settings.theme`). `bag`: lists of numbers or
            texts stay together as one column.
        column_types: `integer`, `number`, `boolean`, `time` or `text` by column, to override what
            is inferred. `text` keeps the text as it is, with the blanks around it.
        column_formats: By column, an object with how it is written; what is left out is inferred.
            `type`; for numbers `decimal`, `thousands`, `units` (a list) and `percent`; for times
            `format` (of `strptime`), `unit` (`seconds`, ...) and `day_first`; for booleans `true`
            and `false` (lists); `missing` (a list).
        odd_values: What happens to the few values of a column that do not fit its type.
            `missing`: they are missing. `flag`: they are missing, and a column `<name>_odd` marks
            them. `reject`: their rows are rejected. `text`: the column is text.
        csv_delimiter: The character between fields of CSV; `tab` for a tabulator, `auto` to find
            it out from the first lines of each file.
        csv_quote: The character around fields; `none` for none.
        csv_escape: The character before a quote inside quotes; `none` where quotes are only
            doubled.
        csv_header: Whether the first row holds the names of the columns: `true`, `false` (they are
            called `column_1`, `column_2`, ...), or `auto`.
        csv_comment: What begins lines that are skipped; `none` to skip no lines, nor units below
            the header or totals at the end.
        csv_encoding: The encoding of CSV files, by its Python name. Rows that are not valid in it
            are rejected. `auto`: UTF-8, UTF-16, or cp1252 or latin-1 where a file is not valid
            UTF-8.
        missing_values: Texts that mean missing in every CSV column, in addition to the empty one.
        processing: The engine for rows; by default threads of the task. `{"engine": "spark"}` and
            its settings: see the guide on scaling.

    Raises:
        UserError: Exit code 2. A file, a column or an argument is wrong, the label is missing or
            constant, too many rows are rejected, or a split ends up empty. No output is written
            then.

    Example:
        >>> @dsl.pipeline
        ... def ingestion(data_uri: str):
        ...     ingest_data(data_uri=data_uri, label="tip", split_keys=["customer"])
    """
    from pathlib import Path

    from kfp_tabular.components.common import options
    from kfp_tabular.components.common.artifacts import examples_outline, lineage
    from kfp_tabular.components.common.artifacts.examples import Examples
    from kfp_tabular.components.common.errors import reported_to_user
    from kfp_tabular.components.common.processing import engines
    from kfp_tabular.components.data_ingestion import ingest
    from kfp_tabular.components.data_ingestion.options import IngestionOptions

    with reported_to_user(), engines.opened(processing, "ingest-data") as opened:
        result = ingest.run(
            ingest.IngestionRequest(
                options=options.build(IngestionOptions, locals()),
                examples=Path(examples.path),
                rejected_rows=Path(rejected_rows.path),
                summary=Path(summary.path),
            ),
            opened.engine,
            opened.shards_uri,
        )
        examples_outline.write(Examples(Path(examples.path)), label, outline.path)
    examples.metadata.update(lineage.metadata(result.examples_lineage))
    rejected_rows.metadata.update(lineage.metadata(result.rejected_lineage))
