"""How one CSV file is written: its encoding, delimiter, quotes, header and surroundings."""

import codecs
from dataclasses import dataclass, field

from kfp_tabular.components.data_ingestion.readers.csv_rows import RowSyntax


@dataclass(frozen=True)
class TextEncoding:
    """The encoding of a file.

    Attributes:
        name: Its name for people: `UTF-8`, `CP1252`.
        codec_name: The name of Python's codec.
        repairs: Whether bytes that are not valid in it are read as CP1252; they are kept as they
            are, and their rows rejected, otherwise.
    """

    name: str
    codec_name: str
    repairs: bool = False

    @classmethod
    def of(cls, name: str, *, repairs: bool = False) -> "TextEncoding":
        """Return an encoding by its Python name.

        Example:
            >>> TextEncoding.of("latin-1").name
            'ISO8859-1'
        """
        codec_name = codecs.lookup(name).name
        return cls(codec_name.upper().removesuffix("-SIG"), codec_name, repairs)

    @property
    def codec(self) -> codecs.CodecInfo:
        """Python's codec, which cannot be sent to another process."""
        return codecs.lookup(self.codec_name)


UTF_8 = TextEncoding.of("utf-8")


@dataclass(frozen=True)
class CsvDialect:
    """How the text of one file is written.

    Attributes:
        syntax: What separates fields and rows.
        encoding: The encoding.
        missing_values: Texts that mean missing in every column, in addition to the empty one.
    """

    syntax: RowSyntax = field(default_factory=RowSyntax)
    encoding: TextEncoding = UTF_8
    missing_values: tuple[str, ...] = ()


@dataclass(frozen=True)
class CsvLayout:
    """Where the rows of a file are, and what their columns are called.

    Attributes:
        columns: The names of the columns.
        size: The bytes up to the first row, in UTF-8.
        lines: The lines up to the first row.
        has_header: Whether the names stand in the file.
        trailing: Whether each row ends in a delimiter, so that it has an empty field more.
    """

    columns: tuple[str, ...]
    size: int
    lines: int
    has_header: bool = True
    trailing: bool = False
