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
        metrics: Final metrics by name: `train_...` and `eval_...` of the model that is kept;
            `steps`, `best_step`, `epochs` and `rows_per_second` of its member with most weight;
            `seconds` of all candidates; and each candidate's score, such as
            `trees_eval_log_loss`.
        history: Measurements at every evaluation, with `step`, `epoch` and `train_loss`; of the
            member with most weight if a blend is kept.
        facts: Names and numbers of the data and the configuration.
        candidates: What was trained, in order: `name`, `weight` in the kept model, `steps`,
            `best_step`, `seconds`, `parameters`, `size` in bytes, `objective`, `interval` and
            `history`.
        leaderboard: The candidates that were compared on the eval split, best first: `candidate`,
            `score`, `cross_validated`, `seconds`, `size`, `weight` and `is_kept`.
        identity: An id of inputs and configuration, by which a restarted job recognizes that
            everything is done.
    """

    metrics: Mapping[str, float]
    history: Sequence[Mapping[str, float]]
    facts: Mapping[str, Any]
    identity: str = ""
    candidates: Sequence[Mapping[str, Any]] = ()
    leaderboard: Sequence[Mapping[str, Any]] = ()

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
