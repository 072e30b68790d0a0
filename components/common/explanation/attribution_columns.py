"""Attributions as columns, beside those of the predictions."""

import numpy as np
import pyarrow as pa

from kfp_tabular.components.common.artifacts.model_document import ModelSpec
from kfp_tabular.components.common.explanation.explainer import Explanations

BASELINE, METHOD, ERROR = "attribution_baseline", "attribution_method", "attribution_error"


def attribution_schema(spec: ModelSpec) -> pa.Schema:
    """Return the columns of attributions.

    Columns: `attribution_<feature>`, the answer for the baseline, the method, and the largest
    standard error of the row's attributions, 0 where they are not sampled.

    Example:
        >>> from kfp_tabular.components.common.artifacts.model_document import ModelInput
        >>> fare = ModelInput("fare", "float32", required=True, input="fare")
        >>> attribution_schema(ModelSpec("regression", "tip", (), None, (fare,), "")).names
        ['attribution_fare', 'attribution_baseline', 'attribution_method', 'attribution_error']
    """
    features = [(f"attribution_{entry.name}", pa.float32()) for entry in spec.inputs]
    rest = [(BASELINE, pa.float32()), (METHOD, pa.string()), (ERROR, pa.float32())]
    return pa.schema([*features, *rest])


def attribution_columns(spec: ModelSpec, found: Explanations | None) -> list[pa.Array]:
    """Return the columns of attributions, as `attribution_schema` describes them.

    Args:
        spec: The model's description.
        found: The attributions; None for no rows.
    """
    schema = attribution_schema(spec)
    if found is None:
        return [pa.array([], field.type) for field in schema]
    numbers = [*found.values.T, found.baseline]
    return [
        *(pa.array(np.ascontiguousarray(column, np.float32)) for column in numbers),
        pa.array(found.methods, pa.string()),
        pa.array(found.errors.max(axis=1).astype(np.float32)),
    ]
