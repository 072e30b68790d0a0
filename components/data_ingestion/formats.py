"""Which format files are in, by what they hold, not by what they are called."""

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.components.common.storage import LocalFile
from kfp_tabular.components.data_ingestion.csv_source import CsvOptions, CsvSource
from kfp_tabular.components.data_ingestion.kinds import Kind
from kfp_tabular.components.data_ingestion.source import Source

DataFormat = Literal["csv", "parquet", "tfrecord"]
DATA_FORMATS: tuple[str, ...] = ("auto", *get_args(DataFormat))


def open_source(
    files: Sequence[LocalFile], data_format: str, options: CsvOptions, forced: Mapping[str, Kind]
) -> Source:
    return CsvSource(files, options, forced)
