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

from kfp_tabular.components.common.errors import reported_to_user
from kfp_tabular.components.common.prediction.column_decoder import ColumnDecoder
from kfp_tabular.components.common.prediction.instances import InstanceError
from kfp_tabular.components.common.prediction.packed_columns import rows_of
from kfp_tabular.components.common.prediction.prediction_columns import prediction_columns
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
    decoder = ColumnDecoder(model.spec.inputs)
    given = {
        name: rows[name].combine_chunks() for name in rows.column_names if name in decoder.columns
    }
    decoded = decoder.decode(given, rows.num_rows)
    for refusal in decoded.refused:
        raise InstanceError(
            refusal.problem, reason="type", feature=refusal.feature, row=refusal.row
        )
    found: dict[str, list[Any]] = {name: [] for name in model.outputs}
    for start in range(0, rows.num_rows, _ROWS):
        part = rows_of(decoded.values, slice(start, start + _ROWS))
        for name, values in model.answers(part).items():
            found[name].append(values)
    if not rows.num_rows:
        return pa.table({"prediction": pa.array([], pa.string())})
    outputs = {name: np.concatenate(parts) for name, parts in found.items()}
    return pa.table(prediction_columns(outputs, model.spec))


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
