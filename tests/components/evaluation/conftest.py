"""Tiny exported models and examples for them.

The fixture `data` holds the helpers: test modules cannot import this one.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from kfp_tabular.components.common.artifacts import lineage
from kfp_tabular.components.common.artifacts.examples import ExamplesWriter
from kfp_tabular.components.common.artifacts.model_document import ModelInput, ModelSpec
from kfp_tabular.components.common.artifacts.raw_features import MISSING_INT
from kfp_tabular.components.common.process.tensorflow import import_tensorflow

INPUTS = (
    ModelInput(name="Größe (m)", dtype="float32", required=False, input="gre_m"),
    ModelInput(name="rooms", dtype="int64", required=False, input="rooms"),
    ModelInput(name="kind", dtype="string", required=True, input="kind"),
)


def features(rows: int, seed: int = 0, gaps: float = 0.1) -> dict[str, list[Any]]:
    """Raw rows: two numbers and a text, some missing."""
    random = np.random.default_rng(seed)

    def holed(values: Sequence[Any]) -> list[Any]:
        return [
            None if gap else value
            for value, gap in zip(values, random.random(rows) < gaps, strict=True)
        ]

    return {
        "Größe (m)": holed(random.normal(size=rows).tolist()),
        "rooms": holed(random.integers(0, 9, rows).tolist()),
        "kind": random.choice(["flat", "house, big", "hütte"], rows).tolist(),
    }


def score(columns: Mapping[str, Sequence[Any]]) -> "np.ndarray[Any, Any]":
    """What the tiny models compute of the raw rows, in numpy."""
    size = np.array([0.0 if value is None else value for value in columns["Größe (m)"]])
    rooms = np.array([4 if value is None else value for value in columns["rooms"]])
    house = np.array([value == "house, big" for value in columns["kind"]])
    return size.astype(np.float32) + 0.3 * (rooms - 4.0) + 1.5 * house - 0.5


@pytest.fixture(scope="session")
def export(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Export a model that scores rows; keywords define what it makes of the score.

    `task`, `classes`, `threshold`, `label`; `slope` of the score; `noise`, how much of the score is
    drawn from the row's values instead; `broken`, to answer NaN where `rooms` is 8.
    """
    tf = import_tensorflow()
    made: dict[str, Path] = {}

    def make(
        task: str = "binary",
        classes: tuple[str, ...] = ("0", "1"),
        threshold: float = 0.5,
        label: str = "y",
        slope: float = 1.0,
        noise: float = 0.0,
        broken: bool = False,
        inputs: tuple[ModelInput, ...] = INPUTS,
    ) -> Path:
        key = repr((task, classes, threshold, label, slope, noise, broken, inputs))
        if key in made:
            return made[key]

        class Model(tf.Module):  # type: ignore[misc, name-defined]
            @tf.function(
                input_signature=[
                    {
                        entry.input: tf.TensorSpec(
                            [None], tf.as_dtype(entry.dtype), name=entry.input
                        )
                        for entry in inputs
                    }
                ]
            )
            def serve(self, raw):
                size = tf.where(tf.math.is_nan(raw["gre_m"]), 0.0, raw["gre_m"])
                rooms = tf.where(
                    tf.equal(raw["rooms"], MISSING_INT), tf.constant(4, tf.int64), raw["rooms"]
                )
                house = tf.cast(tf.equal(raw["kind"], "house, big"), tf.float32)
                z = size + 0.3 * (tf.cast(rooms, tf.float32) - 4.0) + 1.5 * house - 0.5
                z = slope * z
                if noise:
                    z += noise * tf.sin(1e4 * size + tf.cast(rooms, tf.float32))
                if broken:
                    z = tf.where(tf.equal(raw["rooms"], 8), float("nan"), z)
                if task == "regression":
                    return {"prediction": z}
                if task == "binary":
                    p = tf.sigmoid(z)
                    answered = tf.cast(p >= threshold, tf.int64)
                    both = tf.stack([1 - p, p], 1)
                    return {"probabilities": both, "classes": tf.gather(list(classes), answered)}
                steps = tf.constant(np.linspace(-2, 2, len(classes)), tf.float32)
                probabilities = tf.nn.softmax(-((z[:, None] - steps) ** 2))
                answered = tf.argmax(probabilities, 1)
                return {
                    "probabilities": probabilities,
                    "classes": tf.gather(list(classes), answered),
                }

        path = tmp_path_factory.mktemp("models") / "model"
        model = Model()
        tf.saved_model.save(model, os.fspath(path), signatures={"serving_default": model.serve})
        ModelSpec(
            task=task,
            label=label,
            classes=() if task == "regression" else classes,
            decision_threshold=threshold if task == "binary" else None,
            inputs=inputs,
            schema_digest="sha256:0",
            versions=lineage.versions(["tensorflow"]),
        ).save(path)
        made[key] = path
        return path

    return make


def write_examples(path: Path, **splits: Mapping[str, Sequence[Any]]) -> Path:
    """Write an examples artifact with a split per keyword, in shards of about 1,000 rows."""
    tables = {name: pa.table(dict(columns)) for name, columns in splits.items()}
    schema = next(table.schema for table in tables.values() if table.num_rows)
    path.mkdir(parents=True)
    with ExamplesWriter(path, schema, list(tables), rows_per_shard=1000) as writer:
        for name, table in tables.items():
            for batch in table.cast(schema).to_batches(max_chunksize=500):
                writer.write(name, batch)
    return path


def binary_rows(rows: int, seed: int = 0) -> dict[str, list[Any]]:
    """Rows with a label drawn with the probability that the model answers."""
    columns = features(rows, seed)
    chance = 1 / (1 + np.exp(-score(columns)))
    drawn = np.random.default_rng(seed + 1).random(rows) < chance
    return {**columns, "y": drawn.astype(int).tolist()}


@pytest.fixture(scope="session")
def data() -> SimpleNamespace:
    """The helpers of this module."""
    return SimpleNamespace(
        inputs=INPUTS,
        features=features,
        score=score,
        binary_rows=binary_rows,
        write=write_examples,
    )
