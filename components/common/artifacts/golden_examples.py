"""`golden.json`: a few raw rows with the answers that evaluation got for them.

`evaluate_model` writes it. `deploy_model` sends the same rows to the model, and compares.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kfp_tabular.components.common import files
from kfp_tabular.components.common.artifacts.supervised_task import TaskKind
from kfp_tabular.components.common.errors import UserError

FILE_NAME = "golden.json"

TOLERANCE = 1e-5
"""Largest difference of a probability, or of a prediction relative to its size where beyond 1.

Float32 rounding in another batch size or on another processor is one or two orders smaller."""


@dataclass(frozen=True)
class GoldenExamples:
    """Golden examples.

    Attributes:
        instances: Raw values by feature name; a missing value is left out.
        predictions: The answer for each instance: `{"probabilities": [...], "class": "..."}`, or
            `{"prediction": x}` for regression.
    """

    instances: Sequence[Mapping[str, Any]]
    predictions: Sequence[Mapping[str, Any]]

    def save(self, directory: Path) -> None:
        """Write `golden.json` into a directory."""
        text = json.dumps(asdict(self), indent=1, ensure_ascii=False, allow_nan=False)
        files.write_text(directory / FILE_NAME, text)

    @classmethod
    def load(cls, directory: Path) -> "GoldenExamples":
        """Read `golden.json` from a directory.

        Raises:
            UserError: If the file does not exist, cannot be read, or has another format.
        """
        file = directory / FILE_NAME
        try:
            document = json.loads(file.read_text(encoding="utf-8"))
            instances, predictions = document["instances"], document["predictions"]
        except FileNotFoundError as error:
            raise UserError(f"{file}: not found; evaluate_model writes it.") from error
        except OSError as error:
            raise UserError(f"{file}: cannot be read: {error.strerror}.") from error
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise UserError(f"{file}: not golden examples: {error!r}.") from error
        for name, entries in (("instances", instances), ("predictions", predictions)):
            if not isinstance(entries, list) or not all(isinstance(it, dict) for it in entries):
                raise UserError(f"{file}: not golden examples: {name!r} must be a list of objects.")
        if len(instances) != len(predictions):
            raise UserError(
                f"{file}: {len(instances)} instances but {len(predictions)} predictions."
            )
        return cls(instances, predictions)


def class_margin(
    probabilities: Sequence[float], task: TaskKind, decision_threshold: float | None
) -> float:
    """Return how far probabilities may shift before the predicted class changes.

    Args:
        probabilities: The probability of each class.
        task: `binary` or `multiclass`.
        decision_threshold: Of a binary model, from which probability it predicts the second class;
            None is 0.5.

    Example:
        >>> class_margin([0.25, 0.75], "binary", 0.5)
        0.25
        >>> class_margin([0.25, 0.5, 0.25], "multiclass", None)
        0.125
    """
    if task == "binary":
        return abs(probabilities[1] - (0.5 if decision_threshold is None else decision_threshold))
    second, first = sorted(probabilities)[-2:]
    return (first - second) / 2
