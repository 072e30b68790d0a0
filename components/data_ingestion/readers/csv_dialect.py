"""How the CSV of one ingestion is written."""

import codecs
from dataclasses import dataclass

from kfp_tabular.components.data_ingestion.options import CsvOptions, delimiter_character


@dataclass(frozen=True)
class CsvDialect:
    """The options for CSV in the form that the reader needs.

    Attributes:
        delimiter: The byte between fields.
        codec: The encoding; UTF-16 with a byte order mark is detected in any case.
        missing_values: Texts that mean missing in every column, in addition to the empty one.
    """

    delimiter: bytes
    codec: codecs.CodecInfo
    missing_values: tuple[str, ...]

    @property
    def encoding_name(self) -> str:
        """The encoding's usual name: `UTF-8`, `ISO8859-1`."""
        return self.codec.name.upper()

    @classmethod
    def of(cls, options: CsvOptions) -> "CsvDialect":
        """Return the dialect that checked options describe.

        Example:
            >>> CsvDialect.of(CsvOptions(csv_delimiter=";")).delimiter
            b';'
        """
        return cls(
            delimiter=delimiter_character(options.csv_delimiter).encode(),
            codec=codecs.lookup(options.csv_encoding),
            missing_values=tuple(options.missing_values),
        )
