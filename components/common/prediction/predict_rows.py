"""Predicts for rows of a table: `python -m kfp_tabular.components.common.prediction.predict_rows`.

A run's tensorflow environment runs this for a caller that has no TensorFlow.
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from kfp_tabular.components.common.artifacts.model_document import (
    CLASSES,
    PREDICTION,
    PROBABILITIES,
)
from kfp_tabular.components.common.errors import reported_to_user
from kfp_tabular.components.common.prediction.instances import Decoder
from kfp_tabular.components.common.prediction.saved_model import SavedModel

_ROWS = 8_192


def predict(model: SavedModel, rows: pa.Table) -> pa.Table:
    """Predict for raw rows.

    Args:
        model: The model.
        rows: The model's features by name, as text or typed; other columns are ignored.

    Returns:
        `prediction`: the class as text, or the number; of a classifier also `probability_<class>`
        for each class.

    Raises:
        InstanceError: For the first value that is no spelling of one of its feature.
    """
    decoder = Decoder(model.spec.inputs).lenient()
    wanted = {*(entry.name for entry in model.spec.inputs), *decoder.sources}
    given = {name: rows[name].to_pylist() for name in rows.column_names if name in wanted}
    tensors = decoder.columns(given, rows.num_rows)
    found: dict[str, list[Any]] = {}
    for start in range(0, rows.num_rows, _ROWS):
        part = {name: values[start : start + _ROWS] for name, values in tensors.items()}
        for name, values in model.predict(part).items():
            found.setdefault(name, []).append(values.numpy())
    outputs = {name: np.concatenate(parts) for name, parts in found.items()}
    if not outputs:
        return pa.table({"prediction": pa.array([], pa.string())})
    if model.spec.task == "regression":
        return pa.table({"prediction": outputs[PREDICTION].reshape(-1)})
    probabilities = outputs[PROBABILITIES]
    classes = [name.decode("utf-8") for name in outputs[CLASSES].reshape(-1)]
    columns = {"prediction": pa.array(classes)}
    for index, name in enumerate(model.spec.classes):
        columns[f"probability_{name}"] = pa.array(probabilities[:, index])
    return pa.table(columns)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read rows from an Arrow file and write their predictions to another.

    Raises:
        SystemExit: With code 2 for rows or a model that cannot be used.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, type=Path, help="the model's directory")
    parser.add_argument("--rows", required=True, type=Path, help="an Arrow IPC file")
    parser.add_argument("--output", required=True, type=Path, help="an Arrow IPC file to write")
    given = parser.parse_args(arguments)
    logging.basicConfig(stream=sys.stderr, format="%(message)s")
    with reported_to_user():
        with pa.OSFile(str(given.rows)) as source:
            rows = pa.ipc.open_file(source).read_all()
        result = predict(SavedModel(given.model), rows)
        with pa.ipc.new_file(str(given.output), result.schema) as writer:
            writer.write_table(result)


if __name__ == "__main__":
    main()
