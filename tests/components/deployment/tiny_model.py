"""A tiny exported model, and the golden examples that go with it.

As a program, with directories as arguments, it makes a model of slope 1 in the first, of slope 2 in
the second, and so on: `python -m tests.components.deployment.tiny_model DIR...`.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

INSTANCES: list[dict[str, Any]] = [
    {"Größe (m)": 1.5, "kind": "flat"},
    {"kind": "house"},
    {"Größe (m)": -0.25, "kind": "house"},
]


def answers(task: str, slope: float) -> list[dict[str, object]]:
    """What the model of a task answers for `INSTANCES`, worked out without TensorFlow."""
    found: list[dict[str, object]] = []
    for instance in INSTANCES:
        size = float(instance.get("Größe (m)", 0.0))
        z = slope * size + (instance["kind"] == "house")
        if task == "regression":
            found.append({"prediction": 1000 * z})
        else:
            p = 1 / (1 + 2.718281828459045**-z)
            found.append({"probabilities": [1 - p, p], "class": "yes" if p >= 0.5 else "no"})
    return found


def write_golden(directory: Path, predictions: list[dict[str, object]]) -> Path:
    """Write golden examples with these predictions for `INSTANCES`."""
    directory.mkdir(exist_ok=True)
    text = json.dumps({"instances": INSTANCES, "predictions": predictions}, ensure_ascii=False)
    (directory / "golden.json").write_text(text, encoding="utf-8")
    return directory


def make(path: Path, task: str = "binary", slope: float = 1.0) -> None:
    """Export a model."""
    from kfp_tabular.components.common.artifacts.model_document import ModelInput, ModelSpec
    from kfp_tabular.components.common.process.tensorflow import import_tensorflow

    tf = import_tensorflow()

    class Model(tf.Module):  # type: ignore[misc, name-defined]
        @tf.function(
            input_signature=[
                {
                    "gre_m": tf.TensorSpec([None], tf.float32, name="gre_m"),
                    "kind": tf.TensorSpec([None], tf.string, name="kind"),
                }
            ]
        )
        def serve(self, raw):
            size = tf.where(tf.math.is_nan(raw["gre_m"]), 0.0, raw["gre_m"])
            z = slope * size + tf.cast(tf.equal(raw["kind"], "house"), tf.float32)
            if task == "regression":
                return {"prediction": 1000 * z}
            p = tf.sigmoid(z)
            answered = tf.cast(p >= 0.5, tf.int64)
            both = tf.stack([1 - p, p], 1)
            return {"probabilities": both, "classes": tf.gather(["no", "yes"], answered)}

    model = Model()
    tf.saved_model.save(model, os.fspath(path), signatures={"serving_default": model.serve})
    ModelSpec(
        task=task,
        label="y",
        classes=() if task == "regression" else ("no", "yes"),
        decision_threshold=None if task == "regression" else 0.5,
        inputs=(
            ModelInput(name="Größe (m)", dtype="float32", required=False, input="gre_m"),
            ModelInput(name="kind", dtype="string", required=True, input="kind"),
        ),
        schema_digest="sha256:0123456789abcdef",
    ).save(path)


if __name__ == "__main__":
    for number, name in enumerate(sys.argv[1:], start=1):
        make(Path(name), slope=float(number))
