"""Predictions of a model for rows of a person's own, with or without TensorFlow at hand."""

import importlib.util
import math
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from kfp_tabular.components.common import images
from kfp_tabular.components.common.artifacts.model_document import ModelSpec
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.pipelines.environments.location import Environments
from kfp_tabular.pipelines.environments.module_run import ModuleFailedError, run_module

if TYPE_CHECKING:
    from kfp_tabular.components.common.prediction.saved_model import SavedModel

_MODULE = "kfp_tabular.components.common.prediction.predict_rows"


def has_tensorflow() -> bool:
    """Return whether this interpreter can import TensorFlow."""
    return importlib.util.find_spec("tensorflow") is not None


def load(model: Path) -> "SavedModel":
    """Load a model into this process.

    Raises:
        UserError: If TensorFlow is not installed here, or this is not a model.
    """
    if not has_tensorflow():
        raise UserError(
            f"{model}: to load it, TensorFlow is needed in this environment. Install the version "
            f"that model.json names ({_version(model)}), or use the interpreter of the run's "
            "'tensorflow' environment. '.predict' needs neither."
        )
    from kfp_tabular.components.common.prediction.saved_model import SavedModel

    return SavedModel(model)


def predict(model: Path, rows: pa.Table) -> pa.Table:
    """Predict in the tensorflow environment of runs; see `predict_rows.predict`.

    Raises:
        UserError: If a value does not fit the model, or there is no such environment.
    """
    python = Environments.find().python(images.TENSORFLOW)
    with tempfile.TemporaryDirectory(prefix="kfp-tabular-") as folder:
        given, predicted = Path(folder) / "rows.arrow", Path(folder) / "predictions.arrow"
        with pa.ipc.new_file(str(given), rows.schema) as writer:
            writer.write_table(rows)
        arguments = [f"--model={model}", f"--rows={given}", f"--output={predicted}"]
        try:
            run_module(python, _MODULE, arguments)
        except ModuleFailedError as error:
            raise RuntimeError(f"{model}: predicting failed: {error}") from error
        with pa.OSFile(str(predicted)) as source:
            return pa.ipc.open_file(source).read_all()


def as_table(rows: Any) -> pa.Table:
    """Return rows as an Arrow table.

    Args:
        rows: A pandas DataFrame, an Arrow table, a list of mappings as `csv.DictReader` yields
            them, or a mapping of columns.

    Raises:
        UserError: For anything else.

    Example:
        >>> as_table([{"a": "1", "b": None}, {"a": "2", "b": 3}]).column_names
        ['a', 'b']
        >>> as_table({"id": [2**70]})["id"].to_pylist()
        ['1180591620717411303424']
    """
    if isinstance(rows, pa.Table):
        return rows
    if isinstance(rows, pa.RecordBatch):
        return pa.Table.from_batches([rows])
    if hasattr(rows, "columns") and hasattr(rows, "iloc"):
        return pa.table({str(name): _array(rows[name]) for name in rows.columns})
    if isinstance(rows, Mapping):
        return pa.table({str(name): _array(values) for name, values in rows.items()})
    if isinstance(rows, Iterable) and not isinstance(rows, str | bytes):
        listed = list(rows)
        if all(isinstance(row, Mapping) for row in listed):
            names = dict.fromkeys(name for row in listed for name in row)
            return pa.table(
                {str(name): _array([row.get(name) for row in listed]) for name in names}
            )
    raise UserError(
        f"rows: expected a pandas DataFrame, an Arrow table, a list of rows by column name, or "
        f"columns by name; found {type(rows).__name__}."
    )


def absent_features(model: Path, rows: pa.Table) -> list[str]:
    """Return the features of a model that are no column, so that they count as missing."""
    spec = ModelSpec.load(model)
    return [
        entry.name
        for entry in spec.inputs
        if entry.name not in rows.column_names
        and (entry.format is None or entry.format.derived_from not in rows.column_names)
    ]


def _array(values: Any) -> pa.Array:
    try:
        return pa.array(values, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        # A column of several types, such as text and numbers, or of integers beyond 64 bits.
        return pa.array([None if _is_missing(value) else str(value) for value in values])


def _is_missing(value: Any) -> bool:
    is_nan = isinstance(value, float) and math.isnan(value)
    return value is None or is_nan or type(value).__name__ in ("NAType", "NaTType")


def _version(model: Path) -> str:
    return f"tensorflow {ModelSpec.load(model).versions.get('tensorflow', 'of the run')}"
