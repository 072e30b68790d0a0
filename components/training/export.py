"""The SavedModel: raw features in, probabilities and classes or a prediction out."""

import logging
import re
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from kfp_tabular.components.common import lineage
from kfp_tabular.components.common import model as model_format
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.features import (
    SCHEMA_FILE,
    RawFeature,
    raw_features,
    read_schema,
)
from kfp_tabular.components.common.model import ModelInput, ModelSpec
from kfp_tabular.components.common.task import Task
from kfp_tabular.components.training.layout import Layout, pack
from kfp_tabular.components.training.models import CATEGORICAL, NUMERIC
from kfp_tabular.components.training.program import outputs

_DECISION_THRESHOLD = 0.5
_LIBRARIES = ("tensorflow", "tf_keras", "tensorflow-transform")

_logger = logging.getLogger(__name__)


def input_names(features: Iterable[str]) -> dict[str, str]:
    """Gives each feature the name of its input in the signatures.

    A signature's input is a Python argument and a graph operation: ASCII letters, digits and
    underscores, starting with a letter. Fit names stay; others are spelled with underscores and
    numbered where that collides.

    Args:
        features: The features' names, distinct.

    Returns:
        Distinct input names by feature, in the order given.
    """
    features = list(features)
    names = {name: name for name in features if re.fullmatch(r"[A-Za-z]\w*", name, re.ASCII)}
    taken = {name.casefold() for name in names}
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
    *,
    model: Any,
    transform_graph: Path,
    layout: Layout,
    task: Task,
    target_mean: float,
    target_scale: float,
    hyperparameters: dict[str, Any],
) -> ModelSpec:
    """Writes the SavedModel with both signatures, `model.json` and `schema.pbtxt`.

    Args:
        directory: An existing directory.
        model: From the packed inputs to logits.
        transform_graph: The transform graph's artifact.
        layout: How transformed columns are packed.
        task: The task.
        target_mean: Added to a regression model's output, after `target_scale`.
        target_scale: A regression model's output is multiplied by this.
        hyperparameters: What the model was trained with, for `model.json`.

    Returns:
        What `model.json` says.
    """
    import tensorflow as tf
    import tensorflow_transform as tft

    transform = tft.TFTransformOutput(str(transform_graph)).transform_features_layer()
    features = _model_features(transform_graph, task)
    names = input_names(feature.name for feature in features)
    inputs = tuple(
        ModelInput(
            name=feature.name,
            dtype=feature.dtype,
            required=feature.required,
            input=names[feature.name],
        )
        for feature in features
    )
    dtypes = {"float32": tf.float32, "int64": tf.int64, "string": tf.string}
    scorer = tf.Module()
    scorer.transform = transform
    scorer.model = model
    classes = tf.constant(list(task.classes)) if task.classes else None

    def predict(raw: dict[str, Any]) -> dict[str, Any]:
        numeric, categorical = pack(transform(raw), layout)
        logits = model({NUMERIC: numeric, CATEGORICAL: categorical}, training=False)
        values = outputs(task.kind, logits)
        if task.kind == "regression":
            return {model_format.PREDICTION: values * target_scale + target_mean}
        chosen = (
            tf.cast(values[:, 1] >= _DECISION_THRESHOLD, tf.int32)
            if task.kind == "binary"
            else tf.argmax(values, axis=1)
        )
        return {
            model_format.PROBABILITIES: values,
            model_format.CLASSES: tf.gather(classes, chosen),
        }

    def serving_default(raw: dict[str, Any]) -> dict[str, Any]:
        return predict({feature.name: raw[feature.input] for feature in inputs})

    def serving_examples(examples: Any) -> dict[str, Any]:
        defaults = {
            feature.name: tf.io.FixedLenFeature(
                [], dtypes[feature.dtype], default_value=feature.missing
            )
            for feature in inputs
        }
        return predict(tf.io.parse_example(examples, defaults))

    signature = {
        feature.input: tf.TensorSpec([None], dtypes[feature.dtype], name=feature.input)
        for feature in inputs
    }
    signatures = {
        model_format.SERVING_SIGNATURE: tf.function(serving_default, input_signature=[signature]),
        model_format.EXAMPLES_SIGNATURE: tf.function(
            serving_examples, input_signature=[tf.TensorSpec([None], tf.string, name="examples")]
        ),
    }
    tf.saved_model.save(scorer, str(directory), signatures=signatures)
    spec = ModelSpec(
        task=task.kind,
        label=task.label,
        classes=task.classes,
        decision_threshold=_DECISION_THRESHOLD if task.kind == "binary" else None,
        inputs=inputs,
        schema_digest=lineage.digest_file(transform_graph / SCHEMA_FILE),
        versions=lineage.versions(_LIBRARIES),
        hyperparameters=hyperparameters,
    )
    spec.save(directory)
    shutil.copyfile(transform_graph / SCHEMA_FILE, directory / SCHEMA_FILE)
    return spec


def _model_features(transform_graph: Path, task: Task) -> Sequence[RawFeature]:
    """The raw features that reach a transformed one, in the schema's order, less the label."""
    import tensorflow_transform as tft

    output = tft.TFTransformOutput(str(transform_graph))
    needed = _inputs_needed(output.transform_savedmodel_dir, task.label)
    known = raw_features(read_schema(transform_graph))
    unknown = sorted(needed - set(known))
    if unknown:
        raise UserError(
            f"{transform_graph}: the graph takes {unknown[0]!r}, which is not in its schema.pbtxt."
        )
    return [feature for name, feature in known.items() if name in needed and name != task.label]


def _inputs_needed(saved_model: str, label: str) -> set[str]:
    """Walks the transform graph back from its outputs but the label, to its inputs."""
    import tensorflow as tf

    function = tf.saved_model.load(saved_model).transform_fn
    (signature,), _ = function.structured_input_signature
    names = sorted(signature)
    placeholders = {
        tensor.op: name for name, tensor in zip(names, function.graph.inputs, strict=False)
    }
    outputs_by_name = zip(sorted(function.structured_outputs), function.outputs, strict=True)
    stack = [tensor.op for name, tensor in outputs_by_name if name != label]
    seen = set(stack)
    while stack:
        for tensor in stack.pop().inputs:
            if tensor.op not in seen:
                seen.add(tensor.op)
                stack.append(tensor.op)
    return {name for operation, name in placeholders.items() if operation in seen}
