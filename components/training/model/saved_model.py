"""The SavedModel: takes raw features, returns probabilities and classes, or a prediction."""

import keyword
import logging
import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kfp_tabular.components.common.artifacts import lineage, typical_row
from kfp_tabular.components.common.artifacts import model_document as model_format
from kfp_tabular.components.common.artifacts.model_document import ModelInput, ModelSpec
from kfp_tabular.components.common.artifacts.raw_features import (
    SCHEMA_FILE,
    raw_features,
    read_schema,
)
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.values import column_format
from kfp_tabular.components.training.input.packed_rows import ColumnLayout, pack
from kfp_tabular.components.training.input.training_data import TrainingData
from kfp_tabular.components.training.model import decision_threshold
from kfp_tabular.components.training.model.logits_model import LogitsModel
from kfp_tabular.components.training.model.model_context import CATEGORICAL, NUMERIC
from kfp_tabular.components.training.model.predictor import predictions
from kfp_tabular.components.training.worker_settings import WorkerSettings

_LIBRARIES = ("tensorflow", "tf_keras", "tensorflow-transform")

_RESERVED = ("self", "args", "kwargs")
"""Arguments of the functions that TensorFlow calls with the inputs as arguments."""

_logger = logging.getLogger(__name__)


def input_names(features: Iterable[str]) -> dict[str, str]:
    """Return the name of each feature's input in the signatures.

    An input's name is a Python argument and a graph operation: ASCII letters, digits and
    underscores, starting with a letter, not a Python keyword. TensorFlow also reserves some, and
    does not tell names apart by case. Names that fit are kept. Others get underscores, and a number
    if two names would be equal.

    Args:
        features: The features' names, distinct.

    Returns:
        Distinct input names by feature, in the order given.

    Example:
        >>> input_names(["age", "Age", "class", "distance (km)"])
        {'age': 'age', 'Age': 'Age_2', 'class': 'class_2', 'distance (km)': 'distance_km'}
    """
    features = list(features)
    names: dict[str, str] = {}
    taken = {name.casefold() for name in [*keyword.kwlist, *_RESERVED]}
    for name in features:
        if re.fullmatch(r"[A-Za-z]\w*", name, re.ASCII) and name.casefold() not in taken:
            names[name] = name
            taken.add(name.casefold())
    for feature in features:
        if feature in names:
            continue
        base = re.sub(r"\W+", "_", feature, flags=re.ASCII).strip("_")
        if not base or not base[0].isalpha():
            base = f"feature_{base}".rstrip("_")
        name, number = base, 2
        while name.casefold() in taken:
            name, number = f"{base}_{number}", number + 1
        names[feature] = name
        taken.add(name.casefold())
    return {feature: names[feature] for feature in features}


def write(
    directory: Path,
    model: LogitsModel,
    data: TrainingData,
    settings: WorkerSettings,
    chosen: Mapping[str, Any] | None = None,
) -> ModelSpec:
    """Write the SavedModel with both signatures, `model.json` and `schema.pbtxt`.

    Args:
        directory: An existing directory.
        model: A model from the packed inputs to logits.
        data: The input that it was trained on: task, columns, mean and scale of the label.
        settings: The transform graph, the decision threshold and the hyperparameters.
        chosen: What was chosen in place of a hyperparameter, or beside them: `model_type`, and a
            blend's `members`; recorded in `model.json`.

    Returns:
        The content of `model.json`.
    """
    import tensorflow as tf

    task, layout, threshold = data.task, data.columns, settings.threshold
    graph = TransformGraph(settings.transform_graph, layout)
    names = input_names(feature.name for feature in graph.features)
    formats = column_format.read(settings.transform_graph)
    inputs = tuple(
        ModelInput(
            name=feature.name,
            dtype=feature.dtype,
            required=feature.required,
            input=names[feature.name],
            format=formats.get(feature.name),
            source=formats.get(column_format.source_of(formats, feature.name)),
        )
        for feature in graph.features
    )
    dtypes = {"float32": tf.float32, "int64": tf.int64, "string": tf.string}
    classes = tf.constant(list(task.classes)) if task.classes else None

    # Traced once, and called by both signatures.
    @tf.function(
        input_signature=[
            {entry.name: tf.TensorSpec([None], dtypes[entry.dtype]) for entry in inputs}
        ]
    )
    def predict(raw: dict[str, Any]) -> dict[str, Any]:
        numeric, categorical = pack(graph.transform(raw), layout)
        logits = model({NUMERIC: numeric, CATEGORICAL: categorical}, training=False)
        values = predictions(task.kind, logits)
        if task.kind == "regression":
            return {model_format.PREDICTION: data.label_scale.restored_tensor(values)}
        chosen = (
            tf.cast(values[:, 1] >= decision_threshold.constant(threshold), tf.int32)
            if task.kind == "binary"
            else tf.argmax(values, axis=1)
        )
        return {
            model_format.PROBABILITIES: values,
            model_format.CLASSES: tf.gather(classes, chosen),
        }

    @tf.function(
        input_signature=[
            {
                entry.input: tf.TensorSpec([None], dtypes[entry.dtype], name=entry.input)
                for entry in inputs
            }
        ]
    )
    def serving_default(raw: dict[str, Any]) -> Any:
        return predict({entry.name: raw[entry.input] for entry in inputs})

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serving_examples(examples: Any) -> Any:
        return predict(
            tf.io.parse_example(
                examples,
                {
                    entry.name: tf.io.FixedLenFeature(
                        [], dtypes[entry.dtype], default_value=entry.missing
                    )
                    for entry in inputs
                },
            )
        )

    exported = tf.Module()
    # Only variables and tables: Keras objects would be traced layer by layer.
    exported.transform = graph.loaded
    exported.weights = model.variables
    tf.saved_model.save(
        exported,
        str(directory),
        signatures={
            model_format.SERVING_SIGNATURE: serving_default,
            model_format.EXAMPLES_SIGNATURE: serving_examples,
        },
    )
    typical = typical_row.read(settings.transform_graph)
    if typical is not None:
        typical = {name: value for name, value in typical.items() if name in names}
    schema = settings.transform_graph / SCHEMA_FILE
    spec = ModelSpec(
        task=task.kind,
        label=task.label,
        classes=task.classes,
        decision_threshold=threshold if task.kind == "binary" else None,
        inputs=inputs,
        schema_digest=lineage.digest_file(schema),
        versions=lineage.versions(_LIBRARIES),
        hyperparameters={**asdict(settings.hyperparameters), **(chosen or {})},
        typical_row=typical,
    )
    spec.save(directory)
    shutil.copyfile(schema, directory / SCHEMA_FILE)
    return spec


class TransformGraph:
    """The part of the transform graph that the layout needs.

    Attributes:
        loaded: The SavedModel that holds its tables and vocabularies.
        features: The raw features that reach a packed column, in the schema's order.

    Args:
        path: The transform graph's artifact.
        layout: The packed columns.

    Raises:
        UserError: If a feature needs the label, or the graph an input outside the schema.
    """

    def __init__(self, path: Path, layout: ColumnLayout) -> None:
        import tensorflow as tf
        import tensorflow_transform as tft

        directory = tft.TFTransformOutput(str(path)).transform_savedmodel_dir
        self.loaded = tf.saved_model.load(directory)
        self._function = self.loaded.transform_fn
        (self._signature,), _ = self._function.structured_input_signature
        self._known = raw_features(read_schema(path))
        unknown = sorted(set(self._signature) - set(self._known))
        if unknown:
            raise UserError(
                f"{path}: the graph takes {unknown[0]!r}, which is not in its schema.pbtxt."
            )
        needed = self._needed(set(layout.columns) - {layout.label})
        self.features = [feature for name, feature in self._known.items() if name in needed]
        if layout.label in needed:
            raise UserError(
                f"{path}: a feature is computed from the label {layout.label!r}, which is unknown "
                "at prediction time. Do not use it in the preprocessing function."
            )

    def transform(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        """Apply the graph; inputs that are not given are missing values."""
        import tensorflow as tf

        rows = tf.shape(next(iter(raw.values())))
        values = {
            name: raw[name]
            if name in raw
            else tf.fill(rows, tf.constant(self._known[name].missing, spec.dtype))
            for name, spec in self._signature.items()
        }
        transformed: dict[str, Any] = self._function(values)
        return transformed

    def _needed(self, columns: set[str]) -> set[str]:
        """Return the inputs that the columns depend on."""
        function = self._function
        placeholders = zip(sorted(self._signature), function.graph.inputs, strict=False)
        results = zip(sorted(function.structured_outputs), function.outputs, strict=True)
        stack = [tensor.op for name, tensor in results if name in columns]
        seen = set(stack)
        while stack:
            for tensor in stack.pop().inputs:
                if tensor.op not in seen:
                    seen.add(tensor.op)
                    stack.append(tensor.op)
        return {name for name, tensor in placeholders if tensor.op in seen}
