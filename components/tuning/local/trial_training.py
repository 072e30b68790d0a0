"""How a local trial trains: its command line and its environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kfp_tabular.components.common import files
from kfp_tabular.components.common import options as common_options
from kfp_tabular.components.common.artifacts.hyperparameters import Hyperparameters
from kfp_tabular.components.common.process.tensorflow import ENVIRONMENT
from kfp_tabular.components.common.training_options import (
    LearningOptions,
    WorkerLocations,
    flags,
)
from kfp_tabular.components.tuning.local.trial_process import TrialProcess
from kfp_tabular.components.tuning.search.objective import Strategy
from kfp_tabular.components.tuning.search.trials import Trial
from kfp_tabular.components.tuning.tuning_request import TuningRequest

WORK_FOLDER = "work"
"""Holds a trial's checkpoints and logs, below the trial's directory, while it runs."""


@dataclass(frozen=True)
class TrialTraining:
    """How trials train.

    Attributes:
        request: The tuning task's request.
        base: The hyperparameters that hold where a trial has no value of its own.
        additional: The additional metrics to collect, with the report that counts.
    """

    request: TuningRequest
    base: Hyperparameters
    additional: Mapping[str, Strategy] = field(default_factory=dict)

    def start(self, trial: Trial, directory: Path, metric: str) -> TrialProcess:
        """Start a trial in a directory of its own, from scratch.

        Args:
            trial: The trial.
            directory: The trial's directory; its content is removed.
            metric: The metric to watch.
        """
        files.remove(directory)
        document = directory / "hyperparameters.json"
        self.base.updated(trial.values).save(document)
        locations = WorkerLocations(
            transformed_examples=str(self.request.transformed_examples),
            transform_graph=str(self.request.transform_graph),
            logs=str(directory / WORK_FOLDER / "logs"),
            hyperparameters=str(document),
            metrics_file=str(directory / "metrics.txt"),
        )
        options = self.request.options
        learning = common_options.build(LearningOptions, vars(options))
        return TrialProcess(
            [*self.request.program, *locations.flags(), *flags(learning)],
            environment(os.environ, options.parallel_trials),
            metrics_file=Path(locations.metrics_file),
            log_file=directory / "log.txt",
            metric=metric,
            additional=self.additional,
        )


def environment(inherited: Mapping[str, str], parallel: int) -> dict[str, str]:
    """Return the environment of a trial's process.

    Args:
        inherited: The tuning task's own environment; thread counts set there are kept.
        parallel: How many trials run at a time. More than one share the machine's cores, and do
            not each reserve a GPU's whole memory.

    Example:
        >>> environment({"TF_CONFIG": "{}", "OMP_NUM_THREADS": "2"}, parallel=4)["OMP_NUM_THREADS"]
        '2'
        >>> "TF_CONFIG" in environment({"TF_CONFIG": "{}"}, parallel=1)
        False
    """
    merged = {**ENVIRONMENT, **inherited}
    # A trial is one process, even if this task is part of something distributed.
    merged.pop("TF_CONFIG", None)
    merged["PYTHONUNBUFFERED"] = "1"
    if parallel > 1:
        threads = str(max(1, (os.cpu_count() or 1) // parallel))
        merged.setdefault("TF_NUM_INTRAOP_THREADS", threads)
        merged.setdefault("OMP_NUM_THREADS", threads)
        merged.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    return merged
