"""The statistics artifact: a directory with `<split>.binpb`, a TFDV proto for each split."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from kfp_tabular.components.common.errors import UserError

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0 import statistics_pb2

SUFFIX = ".binpb"


def write(
    directory: Path, statistics: Mapping[str, "statistics_pb2.DatasetFeatureStatisticsList"]
) -> None:
    """Write `<split>.binpb` for every split into an existing directory.

    Example:
        >>> import tempfile
        >>> from tensorflow_metadata.proto.v0 import statistics_pb2
        >>> proto = statistics_pb2.DatasetFeatureStatisticsList(datasets=[{"num_examples": 10}])
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     write(Path(directory), {"train": proto})
        ...     read(directory)["train"].datasets[0].num_examples
        10
    """
    for split, proto in statistics.items():
        (directory / f"{split}{SUFFIX}").write_bytes(proto.SerializeToString(deterministic=True))


def read(
    directory: str | os.PathLike[str],
) -> dict[str, "statistics_pb2.DatasetFeatureStatisticsList"]:
    """Read a statistics artifact.

    Args:
        directory: Holds `<split>.binpb` files, as `validate_data` writes them.

    Raises:
        UserError: The directory holds no statistics, or a file cannot be parsed.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     _ = (Path(directory) / "train.binpb").write_bytes(b"no proto")
        ...     read(directory)
        Traceback (most recent call last):
        ...
        kfp_tabular.components.common.errors.UserError: ...train.binpb: not TFDV statistics: ...
    """
    from google.protobuf.message import DecodeError
    from tensorflow_metadata.proto.v0 import statistics_pb2

    found = {}
    for file in sorted(Path(directory).glob(f"*{SUFFIX}")):
        proto = statistics_pb2.DatasetFeatureStatisticsList()
        try:
            proto.ParseFromString(file.read_bytes())
        except DecodeError as error:
            raise UserError(f"{file}: not TFDV statistics: {error}") from error
        if len(proto.datasets) != 1:
            raise UserError(
                f"{file}: expected the statistics of 1 dataset, found {len(proto.datasets)}."
            )
        found[file.name.removesuffix(SUFFIX)] = proto
    if not found:
        raise UserError(
            f"{directory}: no statistics found. Expected a directory with <split>{SUFFIX} files; "
            "validate_data writes one as its output `statistics`."
        )
    return found
