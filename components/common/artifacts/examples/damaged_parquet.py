"""What Arrow finds wrong with a Parquet file, as one line that names the file and the row group."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.parquet as pq

from kfp_tabular.components.common.errors import UserError

REMEDY = "Copy the artifact again, or run the task that wrote it again."

_ARROW_WITH_CHECKSUMS = 13


def checksum_option(name: str) -> dict[str, bool]:
    """Return the option by which Arrow writes or checks a checksum for each page.

    Without one, half of all changed bytes are read as other values, and nothing is noticed. TFDV's
    Arrow is too old for it: it neither writes checksums nor minds them.

    Args:
        name: `write_page_checksum` or `page_checksum_verification`.
    """
    return {name: True} if int(pa.__version__.partition(".")[0]) >= _ARROW_WITH_CHECKSUMS else {}


def one_line(error: Exception) -> str:
    r"""Return what Arrow says: some messages have several lines, with bytes of the file in them.

    Example:
        >>> one_line(OSError("don't know what type: \x0f\nDeserializing page header failed.\n"))
        "don't know what type: Deserializing page header failed"
    """
    text = "".join(letter if letter.isprintable() else " " for letter in str(error))
    return " ".join(text.split()).rstrip(".: ")


@contextmanager
def explained(uri: str) -> Iterator[None]:
    """Name the file if Arrow cannot open it, or not read it.

    Args:
        uri: The file, on this machine or in a store.

    Raises:
        UserError: The file is not Parquet, or damaged.
    """
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        if not _is_arrows(error):
            raise
        raise _unreadable(uri, error) from error


def batches(
    parquet: pq.ParquetFile,
    uri: str,
    size: int,
    groups: Sequence[int],
    columns: Sequence[str] | None,
    *,
    use_threads: bool = True,
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of row groups, and name the first one that cannot be read.

    Args:
        parquet: The open file.
        uri: Its path or URI.
        size: The largest number of rows of a batch.
        groups: The row groups.
        columns: The columns; None for all.
        use_threads: Whether Arrow decodes columns in threads of its own.

    Raises:
        UserError: A page is damaged.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / "fares.parquet"
        ...     pq.write_table(pa.table({"fare": [4.5, 7.0, 9.5]}), file, row_group_size=2)
        ...     with pq.ParquetFile(file) as parquet:
        ...         [batch.num_rows for batch in batches(parquet, file.name, 10, [0, 1], ["fare"])]
        [3]
    """
    names = None if columns is None else list(columns)
    found = parquet.iter_batches(size, list(groups), names, use_threads=use_threads)
    while True:
        try:
            batch = next(found, None)
        except (pa.ArrowException, OSError) as error:
            if not _is_arrows(error):
                raise
            raise _unreadable(uri, error, _damaged_group(parquet, groups, names)) from error
        if batch is None:
            return
        yield batch


def _damaged_group(
    parquet: pq.ParquetFile, groups: Sequence[int], columns: list[str] | None
) -> int | None:
    """Read again, row group by row group: a batch may hold rows of several."""
    for group in groups:
        try:
            for _ in parquet.iter_batches(row_groups=[group], columns=columns, use_threads=False):
                pass
        except (pa.ArrowException, OSError):
            return group
    return None


def _is_arrows(error: Exception) -> bool:
    """Return whether Arrow does not understand what it read; it could read it, and had memory."""
    if isinstance(error, OSError):
        # Errors of the system have a number, those of a store a type of their own.
        return type(error) is OSError and error.errno is None
    return not isinstance(error, MemoryError)


def _unreadable(uri: str, error: Exception, group: int | None = None) -> UserError:
    if group is None:
        return UserError(f"{uri}: not a Parquet file, or damaged: {one_line(error)}. {REMEDY}")
    return UserError(f"{uri}: row group {group} is damaged: {one_line(error)}. {REMEDY}")
