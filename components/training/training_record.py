"""What training came to: the content of `training.json`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kfp_tabular.components.common import files

RESULT_FILE = "training.json"
"""In the logs, and written when all else is."""


@dataclass(frozen=True)
class TrainingRecord:
    """What training came to.

    Attributes:
        metrics: Final metrics by name: `train_...` and `eval_...` of the weights kept, `steps`,
            `best_step`, `epochs`, `seconds` (in the loop) and `rows_per_second`.
        history: Measurements at every evaluation, with `step`, `epoch` and `train_loss`.
        facts: The data and the configuration, in names and numbers.
        identity: Of the run's inputs and configuration: a job that is started again knows by it
            that all is done.
    """

    metrics: Mapping[str, float]
    history: Sequence[Mapping[str, float]]
    facts: Mapping[str, Any]
    identity: str = ""

    def save(self, directory: Path) -> None:
        """Writes `training.json`."""
        text = json.dumps(asdict(self), indent=2, ensure_ascii=False)
        files.write_text(directory / RESULT_FILE, text)

    @classmethod
    def load(cls, directory: Path) -> "TrainingRecord":
        """Reads `training.json`."""
        return cls.parse((directory / RESULT_FILE).read_text(encoding="utf-8"))

    @classmethod
    def parse(cls, text: str) -> "TrainingRecord":
        """Reads the text of `training.json`."""
        return cls(**json.loads(text))
