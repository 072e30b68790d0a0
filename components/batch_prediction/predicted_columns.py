"""The columns that are written: keys, predictions, and the model that made them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kfp_tabular.components.common.artifacts.model_document import ModelSpec
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.explanation.attribution_columns import (
    attribution_columns,
    attribution_schema,
)
from kfp_tabular.components.common.explanation.explainer import Explanations
from kfp_tabular.components.common.prediction.column_decoder import Texts
from kfp_tabular.components.common.prediction.prediction_columns import (
    prediction_columns,
    prediction_schema,
)
from kfp_tabular.components.common.values.arrays import from_texts

MODEL_COLUMNS = ("model_name", "model_version", "model_digest")


@dataclass(frozen=True)
class ModelIdentity:
    """The model that predictions are from.

    Attributes:
        name: Its registered name; empty where it was named by path or URI.
        version: Its version; empty where it has none.
        digest: The digest of its content.
    """

    name: str
    version: str
    digest: str


@dataclass(frozen=True)
class OutputColumns:
    """What is written of each row. It can be sent to other processes.

    Attributes:
        keys: The columns of the data, and their types.
        spec: The model's description.
        identity: The model, for columns of their own; None for none.
        attributions: Whether attributions are written.
    """

    keys: pa.Schema
    spec: ModelSpec
    identity: ModelIdentity | None
    attributions: bool = False

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema of predictions."""
        fields = [*self.keys, *prediction_schema(self.spec)]
        if self.attributions:
            fields += attribution_schema(self.spec)
        if self.identity is not None:
            fields += [pa.field(name, pa.string()) for name in MODEL_COLUMNS]
        return pa.schema(fields)

    def check(self) -> None:
        """Check that no column is written twice.

        Raises:
            UserError: A key column has the name of a prediction.
        """
        names = self.schema.names
        for name in self.keys.names:
            if names.count(name) > 1:
                raise UserError(
                    f"column {name!r} has the name of a prediction. Rename it, or name the "
                    "columns to keep in key_columns."
                )

    def batch(
        self,
        columns: Mapping[str, pa.Array],
        outputs: Mapping[str, "np.ndarray[Any, Any] | Texts"],
        explained: Explanations | None = None,
    ) -> pa.RecordBatch:
        """Return rows as they are written.

        Args:
            columns: The key columns of the rows.
            outputs: The model's outputs for them.
            explained: Their attributions, if they are written and there are rows.

        Raises:
            UserError: A key column does not fit the type that it has in the first rows.
        """
        arrays = [_as(columns[field.name], field) for field in self.keys]
        rows = len(next(iter(outputs.values())))
        arrays += prediction_columns(outputs, self.spec).values()
        if self.attributions:
            arrays += attribution_columns(self.spec, explained)
        if self.identity is not None:
            arrays += [
                pa.repeat(from_texts([value])[0], rows)
                for value in (self.identity.name, self.identity.version, self.identity.digest)
            ]
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)


def _as(column: pa.Array, field: pa.Field) -> pa.Array:
    if column.type == field.type:
        return column
    try:
        return pc.cast(column, field.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise UserError(
            f"column {field.name!r}: {field.type} in the first rows, and {column.type} later, "
            "which does not fit. Leave it out of key_columns, or give it one type in all files."
        ) from error
