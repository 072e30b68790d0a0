"""Golden examples: rows and the answers that evaluation got for them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kfp_tabular.components.common.errors import UserError

GOLDEN_FILE = "golden.json"

TOLERANCE = 1e-5
"""Allowed difference of a probability, or of a prediction relative to its size beyond 1.

Float32 rounding in another batch size or processor stays one or two orders below."""


class MismatchError(Exception):
    """The model's answers differ from those of its evaluation."""


@dataclass(frozen=True)
class Golden:
    """Golden examples.

    Attributes:
        instances: Raw values by feature name.
        predictions: For each, `{"probabilities": [...], "class": "..."}` or `{"prediction": x}`.
    """

    instances: Sequence[Mapping[str, Any]]
    predictions: Sequence[Mapping[str, Any]]

    @classmethod
    def load(cls, directory: Path) -> "Golden":
        """Reads `golden.json` from a directory.

        Raises:
            UserError: Where there is none, or it does not hold golden examples.
        """
        file = directory / GOLDEN_FILE
        try:
            document = json.loads(file.read_text(encoding="utf-8"))
            instances, predictions = document["instances"], document["predictions"]
        except FileNotFoundError as error:
            raise UserError(f"{file}: not found; evaluate_model writes it.") from error
        except OSError as error:
            raise UserError(f"{file}: cannot be read: {error.strerror}.") from error
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise UserError(f"{file}: no golden examples: {error!r}.") from error
        for name, entries in (("instances", instances), ("predictions", predictions)):
            if not isinstance(entries, list) or not all(isinstance(it, dict) for it in entries):
                raise UserError(f"{file}: no golden examples: {name!r} is no list of objects.")
        if len(instances) != len(predictions):
            raise UserError(
                f"{file}: {len(instances)} instances but {len(predictions)} predictions."
            )
        return cls(instances, predictions)
