"""The hyperparameters document: a JSON object that tuning writes and training reads."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from kfp_tabular.components.common import files
from kfp_tabular.components.common.errors import UserError, closest

LEARNING_RATE_SCHEDULES = ("constant", "cosine", "exponential")
MODEL_TYPES = ("linear", "dnn", "wide_and_deep", "dcn_v2")


@dataclass(frozen=True)
class Hyperparameters:
    """What training can be told about the model and its optimisation.

    Attributes:
        model_type: `linear`, `dnn`, `wide_and_deep` or `dcn_v2`.
        epochs: Passes over the train split, at most; early stopping may end sooner. 0 chooses: 10,
            or on small data as many as 500 steps take.
        train_steps: Steps in all, whatever `epochs` says; 0 leaves it to `epochs`.
        batch_size: Rows per step, over all workers.
        learning_rate: The highest learning rate of the schedule.
        learning_rate_schedule: `constant`, `cosine` (with warm-up) or `exponential`.
        hidden_units: Widths of the deep part's layers, comma-separated.
        dropout: Share of activations dropped in the deep part, 0 to below 1. With 0, the columns
            of rare categories are not dropped either.
        l2: Decoupled weight decay on the deep part's kernels, as in AdamW.
        cross_layers: Number of cross layers of DCN-v2.
        embedding_dimension: Width of every embedding; 0 sizes each from its vocabulary.
    """

    model_type: str = "wide_and_deep"
    epochs: int = 0
    train_steps: int = 0
    batch_size: int = 256
    learning_rate: float = 0.001
    learning_rate_schedule: str = "cosine"
    hidden_units: str = "256,128"
    dropout: float = 0.2
    l2: float = 0.0
    cross_layers: int = 2
    embedding_dimension: int = 0

    def updated(self, values: Mapping[str, Any]) -> "Hyperparameters":
        """Gives these hyperparameters with some replaced.

        Args:
            values: New values by name. Numbers may come as floats or text, as from a KFP struct
                or a command line.

        Raises:
            UserError: For an unknown name or a value that does not fit.
        """
        types = {field.name: field.type for field in fields(self)}
        converted: dict[str, Any] = {}
        for name, value in values.items():
            if name not in types:
                raise UserError(f"hyperparameter {name!r} is unknown.{closest(name, types)}")
            converted[name] = _convert(name, value, types[name])
        return replace(self, **converted)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the document, a JSON object, to a file."""
        files.write_text(path, json.dumps(asdict(self), indent=2))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Hyperparameters":
        """Reads a document; what it leaves out has its default.

        Raises:
            UserError: Where it is not a JSON object of known hyperparameters.
        """
        try:
            values = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise UserError(f"{path}: not a hyperparameters document: {error}") from error
        if not isinstance(values, dict):
            raise UserError(f"{path}: expected a JSON object of hyperparameters.")
        return cls().updated(values)


def _convert(name: str, value: Any, kind: Any) -> Any:
    try:
        if kind in (int, "int"):
            number = float(value)
            if number != int(number):
                raise ValueError("not a whole number")
            return int(number)
        if kind in (float, "float"):
            return float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise UserError(f"hyperparameter {name!r}: {value!r} is not fit: {error}") from error
    return str(value)
