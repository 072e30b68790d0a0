"""What `train_model` is asked to do."""

from dataclasses import dataclass
from pathlib import Path

from kfp_tabular.components.common.artifacts.hyperparameters import Hyperparameters
from kfp_tabular.components.common.options import build
from kfp_tabular.components.training.options import TrainingOptions
from kfp_tabular.components.training.worker_settings import WorkerSettings


@dataclass(frozen=True)
class ArtifactUris:
    """Where the task's artifacts are for other pods.

    Attributes:
        transformed_examples: Input.
        transform_graph: Input.
        model: Output. A job does not write there: a half-written model would look like a whole one.
    """

    transformed_examples: str
    transform_graph: str
    model: str


@dataclass(frozen=True)
class TrainingRequest:
    """What the task does: its options, and its artifacts on this machine.

    Attributes:
        options: The component's arguments.
        transformed_examples: Directory of the transformed examples.
        transform_graph: Directory of the transform graph.
        model: Directory to write the model to.
        training_logs: Directory to write the logs to.
        report: HTML file to write.
        hyperparameters: A hyperparameters document; it overrides those in the options.
        examples: Directory of the raw examples, to choose a decision threshold by value.
        uris: Where the artifacts are for other pods; a job needs it.
    """

    options: TrainingOptions
    transformed_examples: Path
    transform_graph: Path
    model: Path
    training_logs: Path
    report: Path
    hyperparameters: Path | None = None
    examples: Path | None = None
    uris: ArtifactUris | None = None

    def settings(self) -> WorkerSettings:
        """Return the settings of every training process.

        Raises:
            UserError: If hyperparameters are unknown or have the wrong type.
        """
        return build(
            WorkerSettings,
            {
                **vars(self.options),
                "transformed_examples": self.transformed_examples,
                "transform_graph": self.transform_graph,
                "output": self.model,
                "logs": self.training_logs,
                "checkpoints": self.options.checkpoint_uri,
                "hyperparameters": (
                    self.options.hyperparameters()
                    if self.hyperparameters is None
                    else Hyperparameters.load(self.hyperparameters)
                ),
            },
        )
