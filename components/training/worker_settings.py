"""A worker's settings: as its command line, and with its files on this machine."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from kfp_tabular.components.common import options
from kfp_tabular.components.common.artifacts.hyperparameters import Hyperparameters
from kfp_tabular.components.common.artifacts.supervised_task import TaskKind
from kfp_tabular.components.common.documents import at_least
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.options import option
from kfp_tabular.components.common.training_options import WorkerLocations, flag
from kfp_tabular.components.training.options import ISOTONIC, NO_CALIBRATION, WorkerOptions


@dataclass(frozen=True, kw_only=True)
class LoopOptions:
    """Options that only the worker's command line sets."""

    checkpoint_seconds: float = option(
        15.0, "Shortest time between two checkpoints.", check=at_least(0)
    )
    shuffle_rows: int = option(
        0,
        "Rows that are shuffled together; 0 takes up to a million, within 256 MiB.",
        check=at_least(0),
    )
    eval_rows: int = option(
        50_000, "Largest number of rows that an evaluation reads.", check=at_least(1)
    )


@dataclass(frozen=True)
class WorkerSettings(WorkerOptions, LoopOptions):
    """The settings of a training process. All paths are on this machine.

    Attributes:
        transformed_examples: Directory of the transformed examples.
        transform_graph: Directory of the transform graph.
        output: Directory for the model; None to write no model.
        logs: Directory for TensorBoard logs and `training.json`; None for no logs.
        checkpoints: Directory or URI for checkpoints; empty for `checkpoints/` in `logs`, or for
            none if there are no logs either.
        hyperparameters: Model and optimization.
        metrics_file: File that metrics are appended to, in Katib's text format; None for no file.
    """

    transformed_examples: Path
    transform_graph: Path
    output: Path | None
    logs: Path | None
    checkpoints: str = ""
    hyperparameters: Hyperparameters = field(default_factory=Hyperparameters)
    metrics_file: Path | None = None

    @property
    def checkpoint_directory(self) -> str:
        """Where checkpoints go; empty for nowhere."""
        if self.checkpoints or self.logs is None:
            return self.checkpoints
        return str(self.logs / "checkpoints")

    def check(self) -> None:
        """Check the range of each value.

        Raises:
            UserError: For the first value outside its range.
        """
        self.hyperparameters.check()
        options.check(self)

    def check_task(self, kind: TaskKind) -> None:
        """Check what depends on the kind of task.

        Raises:
            UserError: If the task is not binary and a decision threshold is set, or the calibration
                does not suit it.
        """
        if kind != "regression" and self.hyperparameters.label_transform != "none":
            raise UserError(
                f"hyperparameter label_transform: this is a {kind} task; only a regression label "
                "is transformed. Leave it out."
            )
        if kind == "regression" and self.calibration != NO_CALIBRATION:
            raise UserError("calibration: a regression model has no probabilities; leave it out.")
        if kind != "binary" and self.calibration == ISOTONIC:
            raise UserError(
                "calibration: 'isotonic' is for two classes; use 'temperature' for more."
            )
        if kind != "binary" and str(self.decision_threshold) != WorkerOptions.decision_threshold:
            raise UserError(
                f"decision_threshold: this is a {kind} task; only a binary model has a threshold. "
                "Leave it out."
            )

    def facts(self) -> dict[str, Any]:
        """Return everything that decides what a training computes, ready for JSON."""
        decisive = [*options.describe(WorkerOptions), "shuffle_rows", "eval_rows"]
        return {
            "hyperparameters": asdict(self.hyperparameters),
            **{name: getattr(self, name) for name in decisive},
        }

    def digest_text(self) -> str:
        """Return `facts` as canonical text."""
        return json.dumps(self.facts(), sort_keys=True)


@dataclass(frozen=True)
class WorkerArguments(WorkerLocations, WorkerOptions, LoopOptions):
    """The worker's command line: every option is a flag.

    Attributes:
        values: Hyperparameters given by name; each is a flag, too, and overrides the document
            `hyperparameters`.
    """

    peers_seconds: float = option(
        900.0, "How long to wait for the other processes of the job to start."
    )
    grace_seconds: float = option(25.0, "How long saving the state may take after SIGTERM.")
    values: Mapping[str, Any] = field(default_factory=dict)

    def flags(self) -> list[str]:
        """Return the flags, `--name=value`.

        Example:
            >>> arguments = WorkerArguments("gs://b/examples", "gs://b/graph", values={"l2": 0.1})
            >>> arguments.flags()[-2:]
            ['--no-export', '--l2=0.1']
        """
        return [*super().flags(), *(flag(name, value) for name, value in self.values.items())]


def worker_arguments(
    settings: WorkerSettings, locations: WorkerLocations, **changes: Any
) -> WorkerArguments:
    """Return the command line that tells a worker these settings at other locations.

    Args:
        settings: The settings; their own locations are not used.
        locations: Where this worker reads and writes.
        changes: Other values by name, such as `grace_seconds`.

    Example:
        >>> settings = WorkerSettings(Path("examples"), Path("graph"), None, None, seed=7)
        >>> locations = WorkerLocations("gs://b/examples", "gs://b/graph", output="gs://b/model")
        >>> arguments = worker_arguments(settings, locations, grace_seconds=60.0)
        >>> arguments.output, arguments.seed, arguments.grace_seconds
        ('gs://b/model', 7, 60.0)
    """
    return options.build(WorkerArguments, {**vars(settings), **vars(locations), **changes})
