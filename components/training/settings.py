"""What a training process is told, and the command line that says it."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from kfp_tabular.components.common.artifacts.hyperparameters import Hyperparameters
from kfp_tabular.components.common.artifacts.supervised_task import TaskKind
from kfp_tabular.components.common.errors import UserError, closest

ClassWeights = Literal["none", "balanced"]

WORKER_MODULE = "kfp_tabular.components.training.worker"


@dataclass(frozen=True)
class Settings:
    """What a training process is told.

    Attributes:
        transformed_examples: The transformed examples' directory.
        transform_graph: The transform graph's directory.
        output: The model's directory; None to write no model.
        logs: Directory for TensorBoard logs and `training.json`; None for no logs.
        checkpoints: Directory or URI for checkpoints; empty for `checkpoints/` in `logs`, and for
            none where there are no logs either.
        hyperparameters: Model and optimisation.
        class_weights: `none`, or `balanced`: every class has the same weight in sum.
        early_stopping_patience: Evaluations without improvement before training stops; 0 never
            stops early.
        model_fn: `package.module:function` of one's own model; empty for the shipped ones.
        decision_threshold: A binary model answers its second class where that class's probability
            is at least this, between 0 and 1.
        seed: Seed of weights, order and dropout.
        metrics_file: Where metrics are appended as they come, in Katib's text format; None for
            nowhere.
        checkpoint_seconds: At least so many seconds between two checkpoints.
        shuffle_rows: Rows that are shuffled together; 0 takes up to a million, within 256 MiB.
        eval_rows: The largest number of rows that an evaluation looks at.
    """

    transformed_examples: Path
    transform_graph: Path
    output: Path | None
    logs: Path | None
    checkpoints: str = ""
    hyperparameters: Hyperparameters = field(default_factory=Hyperparameters)
    class_weights: str = "none"
    early_stopping_patience: int = 5
    model_fn: str = ""
    decision_threshold: float = 0.5
    seed: int = 0
    metrics_file: Path | None = None
    checkpoint_seconds: float = 15.0
    shuffle_rows: int = 0
    eval_rows: int = 50_000

    @property
    def checkpoint_directory(self) -> str:
        """Where checkpoints go; empty for nowhere."""
        if self.checkpoints or self.logs is None:
            return self.checkpoints
        return str(self.logs / "checkpoints")

    def check(self) -> None:
        """Checks what types do not say.

        Raises:
            UserError: For a value outside its range.
        """
        known = get_args(ClassWeights)
        if self.class_weights not in known:
            raise UserError(
                f"class_weights: {self.class_weights!r} is unknown; expected one of "
                f"{', '.join(known)}.{closest(self.class_weights, known)}"
            )
        for name, least in (
            ("early_stopping_patience", 0),
            ("seed", 0),
            ("checkpoint_seconds", 0),
            ("shuffle_rows", 0),
            ("eval_rows", 1),
        ):
            value = getattr(self, name)
            if value < least:
                raise UserError(f"{name}: expected at least {least}, found {value}.")
        if not 0 < self.decision_threshold < 1:
            raise UserError(
                "decision_threshold: expected a number between 0 and 1, found "
                f"{self.decision_threshold:g}."
            )

    def check_task(self, kind: TaskKind) -> None:
        """Checks what depends on the task.

        Raises:
            UserError: For a decision threshold of a task that has none.
        """
        if kind != "binary" and self.decision_threshold != Settings.decision_threshold:
            raise UserError(
                f"decision_threshold: only a binary model has one, and this is a {kind} task; "
                "leave it out."
            )

    def arguments(self, hyperparameters: Path) -> list[str]:
        """Gives the worker program's flags that stand for these settings.

        Args:
            hyperparameters: Where the hyperparameters document is, or will be.
        """
        flags: dict[str, Any] = {
            name: value
            for name, value in vars(self).items()
            if name not in ("hyperparameters", "output") and value not in (None, "")
        }
        flags["hyperparameters"] = hyperparameters
        if self.output is not None:
            flags["output"] = self.output
        arguments = [f"--{name.replace('_', '-')}={value}" for name, value in flags.items()]
        return arguments if self.output is not None else [*arguments, "--no-export"]

    def facts(self) -> dict[str, Any]:
        """Gives everything that decides what a run computes, JSON-able."""
        return {
            "hyperparameters": asdict(self.hyperparameters),
            "class_weights": self.class_weights,
            "early_stopping_patience": self.early_stopping_patience,
            "model_fn": self.model_fn,
            "decision_threshold": self.decision_threshold,
            "seed": self.seed,
            "shuffle_rows": self.shuffle_rows,
            "eval_rows": self.eval_rows,
        }

    def digest_text(self) -> str:
        """Gives `facts` as canonical text."""
        return json.dumps(self.facts(), sort_keys=True)
