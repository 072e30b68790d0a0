"""Models in the export format, of functions that are known."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from kfp_tabular.components.common.artifacts.model_document import (
    SERVING_SIGNATURE,
    ModelInput,
    ModelSpec,
)

CLASSES = {"binary": ("no", "yes"), "multiclass": ("a", "b", "c"), "regression": ()}


def export(
    tf: Any,
    folder: Path,
    function: Callable[[Any, dict[str, Any]], Any],
    inputs: Sequence[ModelInput],
    task: str = "regression",
    kept: Iterable[Any] = (),
    **hyperparameters: Any,
) -> ModelSpec:
    """Export a function of TensorFlow and raw features to numbers `[rows]`, or logits.

    Args:
        tf: The TensorFlow module.
        folder: The model's directory, which it makes.
        function: The function.
        inputs: The raw features.
        task: `binary`, `multiclass` or `regression`.
        kept: What the function uses and the model must hold, such as variables.
        **hyperparameters: Those that the model's description records.
    """
    types = {"float32": tf.float32, "int64": tf.int64, "string": tf.string}
    features = {i.input: tf.TensorSpec([None], types[i.dtype], name=i.input) for i in inputs}

    @tf.function(input_signature=[features])
    def serve(raw: dict[str, Any]) -> dict[str, Any]:
        found = function(tf, raw)
        if task == "regression":
            return {"prediction": found}
        shares = tf.nn.softmax(found)
        labels = tf.constant(CLASSES[task])
        return {"probabilities": shares, "classes": tf.gather(labels, tf.argmax(shares, 1))}

    module = tf.Module()
    module.kept = list(kept)
    tf.saved_model.save(module, str(folder), signatures={SERVING_SIGNATURE: serve})
    threshold = 0.5 if task == "binary" else None
    spec = ModelSpec(
        task, "label", CLASSES[task], threshold, tuple(inputs), "", {}, hyperparameters
    )
    spec.save(folder)
    return spec
