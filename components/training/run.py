"""One training process: reads, trains, keeps the best weights, exports.

Every process of a distributed run executes this; TF_CONFIG tells them apart.
"""

import json
import logging
import os
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from kfp_tabular.components.common import files, lineage
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.examples import Examples
from kfp_tabular.components.common.hyperparameters import Hyperparameters
from kfp_tabular.components.common.task import Task
from kfp_tabular.components.common.tensorflow import import_tensorflow
from kfp_tabular.components.training import export, inputs, layout, models, program, scores

RESULT_FILE = "training.json"

_EVAL_ROWS = 50_000
_ROWS_PER_CALL = 8_192
_STEPS_PER_CALL = 100

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """What a training process is told.

    Attributes:
        transformed_examples: The transformed examples' directory.
        transform_graph: The transform graph's directory.
        output: The model's directory.
        logs: Directory for TensorBoard logs and `training.json`.
        hyperparameters: Model and optimisation.
        class_weights: `none` or `balanced`.
        early_stopping_patience: Evaluations without improvement before training stops; 0 never.
        model_fn: `package.module:function` of one's own model; empty for the shipped ones.
        seed: Seed of weights, order and dropout.
        export: Whether to write the model.
        metrics_file: Where metrics are appended for Katib; None for nowhere.
    """

    transformed_examples: Path
    transform_graph: Path
    output: Path | None
    logs: Path | None
    hyperparameters: Hyperparameters = field(default_factory=Hyperparameters)
    class_weights: str = "none"
    early_stopping_patience: int = 3
    model_fn: str = ""
    seed: int = 0
    export: bool = True
    metrics_file: Path | None = None


@dataclass(frozen=True)
class Outcome:
    """What training came to; the content of `training.json`.

    Attributes:
        metrics: Final metrics by name: `train_...` and `eval_...`, `steps`, `epochs`, `seconds`,
            `rows_per_second`.
        history: Metrics at every evaluation, with `step` and `epoch`.
        facts: What is worth telling of data and configuration.
    """

    metrics: dict[str, float]
    history: list[dict[str, float]]
    facts: dict[str, Any]


def run(settings: Settings) -> Outcome:
    """Trains a model.

    Raises:
        UserError: For input or configuration that cannot be trained on.
    """
    tf = import_tensorflow()
    import tensorflow_transform as tft
    import tf_keras

    hyperparameters = settings.hyperparameters
    models.check(hyperparameters)
    task = Task.load(settings.transform_graph)
    examples = Examples(settings.transformed_examples)
    rows = inputs.require_rows(examples)
    strategy = program.make_strategy()
    tf_keras.utils.set_random_seed(settings.seed)
    columns = layout.from_schema(
        tft.TFTransformOutput(str(settings.transform_graph)).transformed_metadata.schema,
        task.label,
    )
    train_files = examples.require(inputs.TRAIN_SPLIT)
    mean, scale = (
        inputs.target_moments(train_files, task.label) if task.kind == "regression" else (0.0, 1.0)
    )
    reader = inputs.Reader(columns, task, mean, scale)
    batch = min(hyperparameters.batch_size, rows["train"])
    steps_per_epoch = -(-rows["train"] // batch)
    total = hyperparameters.train_steps or hyperparameters.epochs * steps_per_epoch
    interval = min(steps_per_epoch, -(-total // 10))
    context = models.context_of(
        columns, task.kind, len(task.classes), hyperparameters, settings.seed
    )
    with strategy.scope():
        model = models.build(context)
        optimizer = tf_keras.optimizers.Adam(program.make_learning_rate(hyperparameters, total))
    runner = program.Program(
        strategy, model, optimizer, kind=task.kind, class_weights=None, batch=batch
    )
    held_out = (
        inputs.sample(reader, examples.require("eval"), _EVAL_ROWS) if rows.get("eval") else None
    )
    stream = inputs.TrainingInput(
        reader, inputs.pieces(train_files), seed=settings.seed, row_bytes=columns.row_bytes
    )
    started = time.monotonic()
    step, history, best, best_weights, waited = 0, [], None, None, 0
    objective = scores.OBJECTIVES[task.kind]
    per_call = max(1, min(_STEPS_PER_CALL, _ROWS_PER_CALL // batch))

    def evaluate(data: layout.Rows) -> dict[str, float]:
        prediction = runner.predict(data)
        label = data.label
        if task.kind == "regression":
            prediction, label = prediction * scale + mean, label * scale + mean
        return scores.score(task.kind, label, prediction)

    while step < total:
        stop, losses = min(total, step + interval), []
        while step < stop:
            steps = min(per_call, stop - step)
            losses.append(steps * runner.train(stream.take(steps * batch)))
            step += steps
        entry = {"step": step, "epoch": step / steps_per_epoch, "train_loss": sum(losses) / interval}
        if held_out is not None:
            measured = evaluate(held_out)
            entry |= {f"eval_{name}": value for name, value in measured.items()}
            if scores.better(objective, measured[objective], best):
                best, best_weights, waited = measured[objective], model.get_weights(), 0
            else:
                waited += 1
        history.append(entry)
        _logger.info("%s", " ".join(f"{name}={value:.5g}" for name, value in entry.items()))
        if settings.early_stopping_patience and waited >= settings.early_stopping_patience:
            break
    stream.close()
    seconds = time.monotonic() - started
    if best_weights is not None:
        model.set_weights(best_weights)
    metrics = {"steps": float(step), "seconds": seconds, "rows_per_second": step * batch / seconds}
    for split, data in (
        ("train", inputs.sample(reader, train_files, _EVAL_ROWS)),
        ("eval", held_out),
    ):
        if data is not None:
            metrics |= {f"{split}_{name}": value for name, value in evaluate(data).items()}
    if settings.export:
        with files.atomic_directory(settings.output) as directory:
            export.write(
                directory,
                model=model,
                transform_graph=settings.transform_graph,
                layout=columns,
                task=task,
                target_mean=mean,
                target_scale=scale,
                hyperparameters=asdict(hyperparameters),
            )
            lineage.record(
                directory,
                inputs={
                    "transformed_examples": settings.transformed_examples,
                    "transform_graph": settings.transform_graph,
                },
                rows=rows,
                seed=settings.seed,
                libraries=("tensorflow", "tf_keras", "tensorflow-transform", "pyarrow"),
            )
    return Outcome(metrics, history, {})
