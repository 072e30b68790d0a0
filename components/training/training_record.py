"""The record of a training: the content of `training.json`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kfp_tabular.components.common import files

RESULT_FILE = "training.json"
"""The file in the logs; it is written last."""


@dataclass(frozen=True)
class TrainingRecord:
    """Metrics, measurements and facts of a training.

    Attributes:
        metrics: Final metrics by name: `train_...` and `eval_...` of the kept weights, `steps`,
            `best_step`, `epochs`, `seconds` (in the loop) and `rows_per_second`.
        history: Measurements at every evaluation, with `step`, `epoch` and `train_loss`.
        facts: Names and numbers of the data and the configuration.
        identity: An id of inputs and configuration, by which a restarted job recognizes that
            everything is done.
    """

    metrics: Mapping[str, float]
    history: Sequence[Mapping[str, float]]
    facts: Mapping[str, Any]
    identity: str = ""

    def save(self, directory: Path) -> None:
        """Write `training.json`."""
        text = json.dumps(asdict(self), indent=2, ensure_ascii=False)
        files.write_text(directory / RESULT_FILE, text)

    @classmethod
    def load(cls, directory: Path) -> "TrainingRecord":
        """Read `training.json`."""
        return cls.parse((directory / RESULT_FILE).read_text(encoding="utf-8"))

    @classmethod
    def parse(cls, text: str) -> "TrainingRecord":
        """Parse the text of `training.json`."""
        return cls(**json.loads(text))
