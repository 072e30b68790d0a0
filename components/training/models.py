"""The architectures: from the packed matrices to logits.

All are functional tf_keras models of two inputs, `numeric` and `categorical`, that return logits
`[batch, units]`. The categorical columns share one table per embedding width, found by adding
each column's offset to its ids.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.hyperparameters import MODEL_TYPES, Hyperparameters
from kfp_tabular.components.common.task import TaskKind
from kfp_tabular.components.training.layout import Categorical, Layout

NUMERIC = "numeric"
CATEGORICAL = "categorical"

_LARGEST_EMBEDDING = 64

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ModelContext:
    """What a model function is told.

    Attributes:
        task: `binary`, `multiclass` or `regression`.
        units: Width of the logits: 1 for binary and regression, else the number of classes.
        numeric: Names of the numeric columns, in the order of the `numeric` input.
        categorical: The categorical columns, in the order of the `categorical` input. Ids count
            from 0 to `size - 1` there.
        hyperparameters: What training was told.
        seed: Seed of the run; tf_keras is seeded already.
    """

    task: TaskKind
    units: int
    numeric: tuple[str, ...]
    categorical: tuple[Categorical, ...]
    hyperparameters: Hyperparameters
    seed: int

    def inputs(self) -> dict[str, Any]:
        """Gives fresh inputs of a functional model.

        Returns:
            `numeric`, float32 `[batch, len(self.numeric)]`, and `categorical`, int32
            `[batch, len(self.categorical)]`. A width may be 0.
        """
        import tf_keras

        return {
            NUMERIC: tf_keras.Input((len(self.numeric),), name=NUMERIC, dtype="float32"),
            CATEGORICAL: tf_keras.Input((len(self.categorical),), name=CATEGORICAL, dtype="int32"),
        }

    def columns(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Splits the inputs into a tensor of shape `[batch]` per column, by name.

        Args:
            inputs: What `inputs` returned.
        """
        numeric = {name: inputs[NUMERIC][:, i] for i, name in enumerate(self.numeric)}
        return numeric | {
            column.name: inputs[CATEGORICAL][:, i] for i, column in enumerate(self.categorical)
        }


def context_of(
    layout: Layout, kind: TaskKind, classes: int, hyperparameters: Hyperparameters, seed: int
) -> ModelContext:
    """Describes the model to build.

    Args:
        layout: The packed columns.
        kind: The task's kind.
        classes: Number of classes; not used for regression.
        hyperparameters: What training was told.
        seed: Seed of the run.
    """
    return ModelContext(
        task=kind,
        units=classes if kind == "multiclass" else 1,
        numeric=layout.numeric,
        categorical=layout.categorical,
        hyperparameters=hyperparameters,
        seed=seed,
    )


def embedding_width(size: int, given: int = 0) -> int:
    """Sizes an embedding from its vocabulary.

    `1.6 * size ** 0.56`, the rule that fastai found over many tabular data sets
    (`fastai.tabular.model.emb_sz_rule`), rounded up to a power of two so that columns share
    tables, and at most 64.

    Args:
        size: Number of ids.
        given: A fixed width that overrides the rule; 0 for none.
    """
    if given:
        return given
    wanted = min(1.6 * size**0.56, _LARGEST_EMBEDDING)
    width = 2
    while width < wanted:
        width *= 2
    return width


def parse_hidden_units(text: str) -> list[int]:
    """Parses `"128,64"`.

    Raises:
        UserError: Where it is not a list of positive whole numbers.
    """
    try:
        widths = [int(part) for part in text.split(",") if part.strip()]
    except ValueError as error:
        raise UserError(
            f"hyperparameter 'hidden_units': {text!r} is not a list of whole numbers; "
            'expected something like "128,64".'
        ) from error
    if not widths or min(widths) < 1:
        raise UserError(
            f"hyperparameter 'hidden_units': {text!r} must name at least one width above 0."
        )
    return widths


def build(context: ModelContext) -> Any:
    """Builds one of the shipped architectures.

    Args:
        context: What to build; `hyperparameters.model_type` chooses.

    Returns:
        A `tf_keras.Model` from the packed inputs to logits `[batch, units]`.
    """
    import tf_keras

    inputs = context.inputs()
    kind = context.hyperparameters.model_type
    parts = {
        "linear": [_linear],
        "dnn": [_deep],
        "wide_and_deep": [_linear, _deep],
        "dcn_v2": [_cross],
    }[kind]
    logits = [part(context, inputs) for part in parts]
    output = logits[0] if len(logits) == 1 else tf_keras.layers.Add(name="logits")(logits)
    model = tf_keras.Model(inputs, output, name=kind)
    _logger.info("model %s: %d parameters", kind, model.count_params())
    return model


def _linear(context: ModelContext, inputs: Mapping[str, Any]) -> Any:
    import tensorflow as tf
    import tf_keras

    parts = []
    if context.numeric:
        parts.append(
            tf_keras.layers.Dense(context.units, name="wide_numeric", kernel_initializer="zeros")(
                inputs[NUMERIC]
            )
        )
    if context.categorical:
        weights = tf_keras.layers.Embedding(
            sum(column.size for column in context.categorical),
            context.units,
            embeddings_initializer="zeros",
            name="wide_categorical",
        )(_offset(inputs[CATEGORICAL], context.categorical))
        parts.append(tf.reduce_sum(weights, axis=1))
    return parts[0] if len(parts) == 1 else tf_keras.layers.Add(name="wide")(parts)


def _deep(context: ModelContext, inputs: Mapping[str, Any]) -> Any:
    return _head(context, _tower(context, _features(context, inputs)))


def _cross(context: ModelContext, inputs: Mapping[str, Any]) -> Any:
    """DCN-v2, parallel structure (Wang et al. 2021, section 3.1): x0 * (W x + b) + x."""
    import tf_keras

    start = crossed = _features(context, inputs)
    for layer in range(context.hyperparameters.cross_layers):
        weighted = tf_keras.layers.Dense(start.shape[-1], name=f"cross_{layer}")(crossed)
        crossed = tf_keras.layers.Add()([tf_keras.layers.Multiply()([start, weighted]), crossed])
    joined = tf_keras.layers.Concatenate()([crossed, _tower(context, start)])
    return _head(context, joined)


def _features(context: ModelContext, inputs: Mapping[str, Any]) -> Any:
    import tensorflow as tf
    import tf_keras

    by_width: dict[int, list[int]] = {}
    for index, column in enumerate(context.categorical):
        width = embedding_width(column.size, context.hyperparameters.embedding_dimension)
        by_width.setdefault(width, []).append(index)
    parts = [inputs[NUMERIC]] if context.numeric else []
    for width, indices in sorted(by_width.items()):
        columns = [context.categorical[index] for index in indices]
        ids = tf.gather(inputs[CATEGORICAL], indices, axis=1)
        vectors = tf_keras.layers.Embedding(
            sum(column.size for column in columns), width, name=f"embedding_{width}"
        )(_offset(ids, columns))
        parts.append(tf_keras.layers.Reshape((width * len(columns),))(vectors))
    return parts[0] if len(parts) == 1 else tf_keras.layers.Concatenate(name="features")(parts)


def _tower(context: ModelContext, features: Any) -> Any:
    import tf_keras

    parameters = context.hyperparameters
    for layer, width in enumerate(parse_hidden_units(parameters.hidden_units)):
        features = tf_keras.layers.Dense(width, activation="relu", name=f"hidden_{layer}")(features)
        if parameters.dropout:
            features = tf_keras.layers.Dropout(parameters.dropout)(features)
    return features


def _head(context: ModelContext, features: Any) -> Any:
    import tf_keras

    return tf_keras.layers.Dense(context.units, name="output")(features)


def _offset(ids: Any, columns: "list[Categorical] | tuple[Categorical, ...]") -> Any:
    offsets, total = [], 0
    for column in columns:
        offsets.append(total)
        total += column.size
    return ids + offsets


def check(hyperparameters: Hyperparameters) -> None:
    """Checks what a dataclass of numbers and text cannot.

    Raises:
        UserError: For a value outside its range.
    """
    p = hyperparameters
    if p.model_type not in MODEL_TYPES:
        from kfp_tabular.components.common.errors import closest

        raise UserError(
            f"hyperparameter 'model_type': {p.model_type!r} is unknown; expected one of "
            f"{', '.join(MODEL_TYPES)}.{closest(p.model_type, MODEL_TYPES)}"
        )
    parse_hidden_units(p.hidden_units)
