"""The model artifact: the SavedModel with its lineage, written as a whole."""

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kfp_tabular.components.common import files
from kfp_tabular.components.common.artifacts import file_digests, lineage
from kfp_tabular.components.training.input.training_data import TrainingData
from kfp_tabular.components.training.model import saved_model
from kfp_tabular.components.training.model.logits_model import LogitsModel
from kfp_tabular.components.training.worker_settings import WorkerSettings

LIBRARIES = ("tensorflow", "tf_keras", "tensorflow-transform", "numpy", "pyarrow", "catboost")

_logger = logging.getLogger(__name__)


def write(
    settings: WorkerSettings,
    output: Path,
    data: TrainingData,
    model: LogitsModel,
    chosen: Mapping[str, Any] | None = None,
) -> None:
    """Write the model artifact, whole or not at all.

    Args:
        settings: What the model was trained with.
        output: The directory to write.
        data: The input.
        model: The model.
        chosen: What `model.json` records instead of, or beside, the hyperparameters.
    """
    started = time.monotonic()
    with files.atomic_directory(output) as directory:
        saved_model.write(directory, model, data, settings, chosen)
        file_digests.write(directory)
        lineage.record(
            directory,
            inputs={
                "transformed_examples": settings.transformed_examples,
                "transform_graph": settings.transform_graph,
            },
            rows=data.rows,
            seed=settings.seed,
            libraries=LIBRARIES,
            extra={"training": settings.facts()},
        )
    _logger.info("model written in %.1f s: %s", time.monotonic() - started, output)
