"""The options of `ingest_data`."""

import codecs
import dataclasses
from dataclasses import dataclass, field
from typing import Any

from kfp_tabular.components.common.documents import one_of
from kfp_tabular.components.common.options import option
from kfp_tabular.components.common.processing.processing_settings import processing_option
from kfp_tabular.components.data_ingestion.nested_ways import NESTED_WAYS

CSV, PARQUET, TFRECORD = "csv", "parquet", "tfrecord"
AUTO, NONE = "auto", "none"
DATA_FORMATS = (AUTO, CSV, PARQUET, TFRECORD)

BY_HASH, BY_ROW, BY_TIME, BY_COLUMN = "hash", "row", "time", "column"
SPLIT_METHODS = (BY_HASH, BY_ROW, BY_TIME, BY_COLUMN)
USING_KEYS = (BY_HASH, BY_ROW)

# A form cannot hold a tabulator itself.
_DELIMITER_NAMES = {"\\t": "\t", "tab": "\t"}


def delimiter_character(delimiter: str) -> str:
    r"""Return the character that the option `csv_delimiter` stands for.

    Example:
        >>> delimiter_character("tab")
        '\t'
    """
    return _DELIMITER_NAMES.get(delimiter, delimiter)


def _check_delimiter(value: Any) -> None:
    text = delimiter_character(str(value))
    if value != AUTO and (len(text) != 1 or not text.isascii() or text in '"\r\n'):
        raise ValueError("expected one ASCII character, such as ',', ';' or '|', or 'tab'")


def _check_character(value: Any) -> None:
    if value not in (AUTO, NONE) and (
        len(str(value)) != 1 or not str(value).isascii() or value in "\r\n"
    ):
        raise ValueError("expected auto, none, or one ASCII character")


def _check_comment(value: Any) -> None:
    if not value or not str(value).isprintable():
        raise ValueError("expected auto, none, or the start of comments, such as '#'")


def _check_encoding(value: Any) -> None:
    if value == AUTO:
        return
    try:
        codecs.lookup(value)
    except (LookupError, TypeError) as error:
        raise ValueError(
            "expected auto, or an encoding that Python knows, such as utf-8, latin-1, cp1252 or "
            "utf-16"
        ) from error


def check_share(value: Any) -> None:
    """Raise ValueError if a value is no share."""
    if not 0 <= value <= 1:
        raise ValueError("expected a share from 0 to 1")


def check_nested(value: Any) -> None:
    """Raise ValueError if a column has an unknown way to become columns."""
    for way in value.values():
        if way not in NESTED_WAYS:
            raise ValueError("expected bag or flatten for each column")


def data_uri_option() -> Any:
    """Return the option `data_uri`, as every component has it that reads data."""
    return option(
        dataclasses.MISSING,
        """A file, a directory (all files below it) or a glob (`*`, `?`, `**`): a local path or a
        `file://`, `gs://`, `s3://` or `minio://` URI. CSV and TFRecord files may be compressed
        (gzip, bzip2, xz, zstd, lz4, zip). All files have the same format and the same columns.""",
    )


def data_format_option() -> Any:
    """Return the option `data_format`, as every component has it that reads data."""
    return option(
        AUTO,
        "`csv`, `parquet`, `tfrecord` (of tf.Example), or `auto` to detect it from the content.",
        check=one_of(*DATA_FORMATS),
    )


@dataclass(frozen=True)
class SplitOptions:
    """How to assign rows to splits."""

    split_method: str = option(
        BY_HASH,
        """`hash`: by a hash of `split_keys`, the same on every machine and in any row order; rows
        with equal keys stay together. `row`: by the same hash and the row's number among those
        with equal keys, for data of a few kinds of row. `time`: the earliest rows by
        `split_column` go to the first split, and rows of the same time stay together. `column`:
        `split_column` names the split of each row and is left out of the examples.""",
        check=one_of(*SPLIT_METHODS),
    )
    split_fractions: dict[str, float] = option(
        {"train": 0.7, "eval": 0.15, "test": 0.15},
        """Relative weights by split, for `hash`, `row` and `time`. For `time`, the order is train,
        eval, test, then others by name.""",
    )
    split_column: str = option(
        "",
        """For `time`, a column of numbers or ISO 8601 text; for `column`, a column of split
        names.""",
    )
    split_keys: list[str] = option(
        [],
        """Columns whose values together decide the split, for example to keep all rows of a
        customer in one split. Empty: for `hash`, all columns but the label and identifiers, or
        `row` where there are too few kinds of row to keep equal ones together; for `row`, all
        columns.""",
    )
    split_salt: str = option("", "A different text gives a different split by hash.")
    split_time_format: str = option(
        "",
        """The format of text in a time column, in `strptime` directives (`%d/%m/%Y %H:%M`).
        Empty: told from the rows. ISO 8601 is always read.""",
    )


@dataclass(frozen=True)
class CsvOptions:
    """How to read CSV."""

    csv_delimiter: str = option(
        AUTO,
        """The character between fields of CSV; `tab` for a tabulator, `auto` to find it out from
        the first lines of each file.""",
        check=_check_delimiter,
    )
    csv_quote: str = option(
        AUTO, "The character around fields; `none` for none.", check=_check_character
    )
    csv_escape: str = option(
        AUTO,
        """The character before a quote inside quotes; `none` where quotes are only doubled.""",
        check=_check_character,
    )
    csv_header: str = option(
        AUTO,
        """Whether the first row holds the names of the columns: `true`, `false` (they are called
        `column_1`, `column_2`, ...), or `auto`.""",
        check=one_of(AUTO, "true", "false"),
    )
    csv_comment: str = option(
        AUTO,
        """What begins lines that are skipped; `none` to skip no lines, nor units below the header
        or totals at the end.""",
        check=_check_comment,
    )
    csv_encoding: str = option(
        AUTO,
        """The encoding of CSV files, by its Python name. Rows that are not valid in it are
        rejected. `auto`: UTF-8, UTF-16, or cp1252 or latin-1 where a file is not valid UTF-8.""",
        check=_check_encoding,
    )
    missing_values: list[str] = option(
        [], "Texts that mean missing in every CSV column, in addition to the empty one."
    )


@dataclass(frozen=True)
class IngestionOptions:
    """What to read, and how to type and split it."""

    data_uri: str = data_uri_option()
    data_format: str = data_format_option()
    label: str = option(
        "",
        """The label's column. It must have more than one value; rows without a label are
        rejected. Empty: no label.""",
    )
    split: SplitOptions = field(default_factory=SplitOptions)
    max_rejected_fraction: float = option(
        0.01,
        """The task fails if a larger share of the rows is rejected, from 0 to 1. Rows without a
        label are left out, too, but do not count.""",
        check=check_share,
    )
    exclude: list[str] = option(
        [],
        """Columns that are not read, such as nested ones and those that the model must not see.
        `split_keys`, `split_column`, `keep`, `slice_columns`, `entity_columns` and
        `fairness_columns` are read all the same.""",
    )
    keep: list[str] = option(
        [],
        """Columns to read although `exclude` names them: the model does not see them, but the
        evaluation does, for example in `outcome_values`.""",
    )
    slice_columns: list[str] = option(
        [],
        """Those of the evaluation, crosses (`a,b`) included: read although `exclude` names
        them.""",
    )
    entity_columns: list[str] = option(
        [], "Those of the evaluation: read although `exclude` names them."
    )
    fairness_columns: list[str] = option(
        [], "Those of the evaluation: read although `exclude` names them."
    )
    nested: dict[str, str] = option(
        {},
        """How Parquet columns and TFRecord features with several values per row become columns, by
        column. `flatten`: a column per field (`address.city`), per position of a list (`scores_0`)
        or per key of a map (`settings.theme`). `bag`: lists of numbers or texts stay together as
        one column.""",
        check=check_nested,
    )
    column_types: dict[str, str] = option(
        {},
        """`integer`, `number`, `boolean`, `time` or `text` by column, to override what is inferred.
        `text` keeps the text as it is, with the blanks around it.""",
    )
    column_formats: dict[str, Any] = option(
        {},
        """By column, an object with how it is written; what is left out is inferred. `type`; for
        numbers `decimal`, `thousands`, `units` (a list) and `percent`; for times `format` (of
        `strptime`), `unit` (`seconds`, ...) and `day_first`; for booleans `true` and `false`
        (lists); `missing` (a list).""",
    )
    odd_values: str = option(
        "missing",
        """What happens to the few values of a column that do not fit its type. `missing`: they are
        missing. `flag`: they are missing, and a column `<name>_odd` marks them. `reject`: their
        rows are rejected. `text`: the column is text.""",
        check=one_of("missing", "flag", "reject", "text"),
    )
    processing: dict[str, Any] = processing_option()
    csv: CsvOptions = field(default_factory=CsvOptions)
