"""Columns that the names of folders hold, as Hive and Spark write them: `region=EU/part-0.csv`."""

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from urllib.parse import unquote

import numpy as np
import pyarrow as pa

from kfp_tabular.components.common.storage import InputFile
from kfp_tabular.components.common.storage.location import parse
from kfp_tabular.components.common.values import arrays

Partition = Mapping[str, str | None]
"""The values that the folders of a file give its rows, by column; None is missing."""

_HIVE_MISSING = "__HIVE_DEFAULT_PARTITION__"
_FOLDER = re.compile(r"([^=]+)=(.*)", re.DOTALL)


def partitions(data_uri: str, files: Sequence[InputFile]) -> dict[str, Partition]:
    """Return what the folders between a URI and its files say.

    Args:
        data_uri: The URI that the files were found with. Folders that it names itself say nothing
            about the rows, except those with a wildcard.
        files: The files.

    Returns:
        The values by column, by URI of the file.

    Example:
        >>> from pathlib import Path
        >>> from kfp_tabular.components.common.storage import LocalFile
        >>> file = LocalFile("data/region=S%C3%BCd/part-0.csv", Path("part-0.csv"))
        >>> partitions("data", [file])
        {'data/region=S%C3%BCd/part-0.csv': {'region': 'Süd'}}
    """
    known = _base_parts(data_uri, files)
    return {file.uri: _partition(PurePosixPath(file.uri).parts[known:-1]) for file in files}


def repeated(value: str | None, rows: int) -> pa.StringArray:
    """Return a partition's value for each row of a block.

    Example:
        >>> repeated("EU", 2).to_pylist()
        ['EU', 'EU']
    """
    if value is None:
        return pa.nulls(rows, pa.string())
    zeros = np.zeros(rows, np.int64)
    return arrays.from_texts([value]).take(arrays.from_integers(zeros))


def _base_parts(data_uri: str, files: Sequence[InputFile]) -> int:
    """Return how many parts the URIs of all files have in common because `data_uri` names them."""
    location = parse(data_uri)
    whole = str(location)
    if location.is_pattern and not any(
        file.uri == whole or file.uri.startswith(f"{whole}/") for file in files
    ):
        base = location.fixed_prefix.rpartition("/")[0]
        if not base and location.key.startswith("/"):
            base = "/"
        whole = location.uri(base) if base else location.uri("").rstrip("/")
    return len(PurePosixPath(whole).parts)


def _partition(folders: Sequence[str]) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for folder in folders:
        match = _FOLDER.fullmatch(folder)
        if match is not None:
            value = unquote(match.group(2))
            found[unquote(match.group(1))] = None if value in (_HIVE_MISSING, "") else value
    return found
