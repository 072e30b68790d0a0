"""Reads a schema that the user keeps and passes as `schema_uri`."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from kfp_tabular.components.common.artifacts.raw_features import raw_features, read_schema
from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.components.data_validation.schema_features import listed

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0 import schema_pb2


def load(path: Path, columns: Iterable[str], label: str) -> "schema_pb2.Schema":
    """Read and check a schema that the user keeps.

    Args:
        path: A text proto, or a directory that holds `schema.pbtxt`.
        columns: The columns of the data.
        label: The label's column; empty for no label.

    Raises:
        UserError: The schema cannot be read, has no features, has two features of one name or one
            without a type, or lacks the label.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "schema.pbtxt")
        ...     _ = path.write_text('feature { name: "tips" type: INT }')
        ...     load(path, columns=["tip"], label="tip")
        Traceback (most recent call last):
        kfp_tabular.components.common.errors.UserError: ...schema.pbtxt: the schema has no feature
        for the label 'tip'. Did you mean 'tips'?
    """
    schema = read_schema(path)
    counts = Counter(feature.name for feature in schema.feature)
    if not counts:
        raise UserError(
            f"{path}: the schema has no features. The data have the columns "
            f"{listed(list(columns))}."
        )
    twice = [name for name, count in counts.items() if count > 1]
    if twice:
        raise UserError(
            f"{path}: the schema has more than one feature {twice[0]!r}. Keep one of them."
        )
    raw_features(schema)
    if label and label not in counts:
        raise UserError(
            f"{path}: the schema has no feature for the label {label!r}.{closest(label, counts)}"
        )
    return schema
