"""A small model with the checks of a schema, and what the endpoint answers for a row."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kfp_tabular.components.common.artifacts.model_document import ModelInput, ModelSpec
from kfp_tabular.components.common.process.tensorflow import import_tensorflow
from kfp_tabular.components.common.values.column_format import ColumnFormat, TimeFormat

INPUTS = (
    ModelInput("amount", "float32", required=False, input="amount", format=ColumnFormat("number")),
    ModelInput("kind", "string", required=True, input="kind", format=ColumnFormat("text")),
    ModelInput("rooms", "int64", required=False, input="rooms", format=ColumnFormat("integer")),
    ModelInput(
        "sold on",
        "string",
        required=False,
        input="sold_on",
        format=ColumnFormat("time", time=TimeFormat(("%d/%m/%Y",), canonical="%Y-%m-%d")),
    ),
)
SCHEMA = """
feature { name: "amount" type: FLOAT float_domain { min: -1000 max: 1000 } }
feature { name: "kind" type: BYTES string_domain { value: "flat" value: "house" } }
feature { name: "rooms" type: INT }
feature { name: "sold on" type: BYTES }
feature { name: "y" type: BYTES }
"""
MISSING_INT = -(2**63)


def make(path: Path, task: str = "binary", *, refuses: bool = True) -> Path:
    """Export a model. Its graph fails on the kind `crash`; `huge` gives an infinite answer.

    Args:
        path: Where to write it.
        task: What it predicts.
        refuses: Whether it fails on the kind.
    """
    tf = import_tensorflow()

    class Model(tf.Module):  # type: ignore[misc, name-defined]
        @tf.function(
            input_signature=[
                {
                    "amount": tf.TensorSpec([None], tf.float32, name="amount"),
                    "kind": tf.TensorSpec([None], tf.string, name="kind"),
                    "rooms": tf.TensorSpec([None], tf.int64, name="rooms"),
                    "sold_on": tf.TensorSpec([None], tf.string, name="sold_on"),
                }
            ]
        )
        def serve(self, raw):
            crash = [tf.debugging.assert_none_equal(raw["kind"], "crash")] if refuses else []
            with tf.control_dependencies(crash):
                amount = tf.where(tf.math.is_nan(raw["amount"]), 0.0, raw["amount"])
            rooms = tf.where(raw["rooms"] == MISSING_INT, tf.zeros_like(raw["rooms"]), raw["rooms"])
            z = amount / 100 + tf.cast(tf.equal(raw["kind"], "house"), tf.float32)
            z += tf.cast(rooms, tf.float32) / 10
            z += tf.cast(tf.equal(raw["sold_on"], ""), tf.float32) / 4
            z += tf.where(tf.equal(raw["kind"], "huge"), float("inf"), 0.0)
            if task == "regression":
                return {"prediction": 1000 * z}
            p = tf.where(tf.math.is_inf(z), float("nan"), tf.sigmoid(z))
            answered = tf.cast(p >= 0.5, tf.int64)
            return {
                "probabilities": tf.stack([1 - p, p], 1),
                "classes": tf.gather(["no", "yes"], answered),
            }

    model = Model()
    tf.saved_model.save(model, os.fspath(path), signatures={"serving_default": model.serve})
    ModelSpec(
        task=task,  # type: ignore[arg-type]
        label="y",
        classes=() if task == "regression" else ("no", "yes"),
        decision_threshold=None if task == "regression" else 0.5,
        inputs=INPUTS,
        schema_digest="sha256:0123456789abcdef",
    ).save(path)
    (path / "schema.pbtxt").write_text(SCHEMA)
    return path


class Endpoint:
    """Answers a row as the endpoint does: the same decoder, rules and predictor."""

    def __init__(self, model: Path) -> None:
        from kfp_tabular.serving.model.predictor import Predictor

        self._predictor = Predictor.load(model)

    def answer(self, row: Mapping[str, Any], **policies: str) -> Mapping[str, Any] | str:
        """Return the outputs for a row; for one that is refused, why."""
        from kfp_tabular.components.common.prediction.instances import InstanceError
        from kfp_tabular.serving.model.domain_rules import check_domains
        from kfp_tabular.serving.protocol.request_error import RequestError
        from kfp_tabular.serving.settings.server_settings import ValuePolicies

        interface = self._predictor.interface.lenient()
        try:
            arrays = interface.decoder.tensors([row])
            given = ValuePolicies(**policies)  # type: ignore[arg-type]
            check_domains(arrays, self._predictor.rules, given, lambda *_: None)
            outputs = self._predictor.predict(arrays)
            self._predictor.check(outputs)
        except (InstanceError, RequestError) as error:
            return str(error).removeprefix("instance 0: ")
        return {
            name: values[0].tolist() if values.ndim > 1 else values[0]
            for name, values in outputs.items()
        }
