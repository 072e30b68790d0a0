"""Small models that follow the export contract, and an application over each."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kfp_tabular.components.common.features import MISSING_INT
from kfp_tabular.components.common.lineage import digest_file
from kfp_tabular.components.common.model import (
    EXAMPLES_SIGNATURE,
    SERVING_SIGNATURE,
    ModelInput,
    ModelSpec,
)
from kfp_tabular.components.common.task import TaskKind
from kfp_tabular.components.common.tensorflow import import_tensorflow

INPUTS = (
    ModelInput(name="amount", dtype="float32", required=True, input="amount"),
    ModelInput(name="Straße & Nr.", dtype="string", required=False, input="Strae__Nr"),
    ModelInput(name="hour", dtype="int64", required=False, input="hour"),
    ModelInput(name="商户", dtype="string", required=True, input="feature_3"),
    ModelInput(name="rate", dtype="float32", required=False, input="rate"),
)

CLASSES: dict[TaskKind, tuple[str, ...]] = {
    "binary": ("no", "ja"),
    "multiclass": ("a", "ß", "c d"),
    "regression": (),
}

SCHEMA = """
feature { name: "amount" type: FLOAT }
feature { name: "hour" type: INT }
feature { name: "customer" type: BYTES }
feature { name: "fraud" type: INT }
"""


def score(tf, raw):
    """Every feature, and each one's being missing, moves the score by an amount of its own."""
    number = tf.where(tf.math.is_nan(raw["amount"]), 1000.0, raw["amount"])
    rate = tf.where(tf.math.is_nan(raw["rate"]), 0.125, raw["rate"])
    hour = tf.where(raw["hour"] == MISSING_INT, 0.5, tf.cast(raw["hour"], tf.float32))
    street = raw["Strae__Nr"]
    length = tf.where(street == "", 0.25, tf.cast(tf.strings.length(street), tf.float32))
    shop = tf.cast(tf.strings.to_hash_bucket_fast(raw["feature_3"], 7), tf.float32)
    return number + rate + 2.0 * hour + 3.0 * length + 5.0 * shop


def build(directory: Path, task: TaskKind) -> Path:
    """Writes a model of a task into a directory, without TensorFlow Transform or training."""
    tf = import_tensorflow()
    types = {"float32": tf.float32, "int64": tf.int64, "string": tf.string}

    def outputs(raw):
        value = score(tf, raw)
        if task == "regression":
            return {"prediction": value}
        logits = tf.stack(
            [tf.zeros_like(value), value / 50.0 - 1.0, tf.sin(value)][: len(CLASSES[task])], axis=1
        )
        probabilities = tf.nn.softmax(logits)
        labels = tf.constant(CLASSES[task])
        return {
            "probabilities": probabilities,
            "classes": tf.gather(labels, tf.argmax(probabilities, axis=1)),
        }

    features = {i.input: tf.TensorSpec([None], types[i.dtype], name=i.input) for i in INPUTS}
    module = tf.Module()
    module.raw = tf.function(outputs, input_signature=[features])
    parsing = {
        i.input: tf.io.FixedLenFeature([], types[i.dtype], default_value=i.missing) for i in INPUTS
    }
    module.parsed = tf.function(
        lambda examples: outputs(tf.io.parse_example(examples, parsing)),
        input_signature=[tf.TensorSpec([None], tf.string, name="examples")],
    )
    tf.saved_model.save(
        module,
        str(directory),
        signatures={SERVING_SIGNATURE: module.raw, EXAMPLES_SIGNATURE: module.parsed},
    )
    schema = directory / "schema.pbtxt"
    schema.write_text(SCHEMA, encoding="utf-8")
    ModelSpec(
        task=task,
        label="fraud",
        classes=CLASSES[task],
        decision_threshold=0.5 if task == "binary" else None,
        inputs=INPUTS,
        schema_digest=digest_file(schema),
    ).save(directory)
    return directory


@pytest.fixture(scope="session")
def model_directory(tmp_path_factory: pytest.TempPathFactory) -> Callable[[TaskKind], Path]:
    """Gives the directory of a model of a task; it is built once."""
    built: dict[TaskKind, Path] = {}

    def get(task: TaskKind) -> Path:
        if task not in built:
            built[task] = build(tmp_path_factory.mktemp(task) / "7", task)
        return built[task]

    return get


@pytest.fixture(scope="session")
def client(model_directory) -> Iterator[Callable]:
    """Gives an HTTP client of an application that serves a model of a task as `fraud`."""
    from kserve import ModelRepository
    from starlette.testclient import TestClient

    from kfp_tabular.serving.application import ReadyDataPlane, application
    from kfp_tabular.serving.model import TabularModel
    from kfp_tabular.serving.repository import find
    from kfp_tabular.serving.settings import Limits

    limits = Limits(rows=50, body=20_000)
    clients = {}

    def get(task: TaskKind = "binary", *, loaded: bool = True) -> TestClient:
        if (task, loaded) not in clients:
            model = TabularModel(find(model_directory(task), "fraud"), limits, threads=2)
            if loaded:
                model.load()
            models = ModelRepository()
            models.update(model)
            clients[task, loaded] = TestClient(
                application(ReadyDataPlane(model_registry=models), limits)
            )
        return clients[task, loaded]

    return get
