"""What a tuning task is asked to do, and where its inputs and outputs are."""

import os
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

from kfp_tabular.components.common.artifacts import lineage
from kfp_tabular.components.common.kubernetes.names import run_of
from kfp_tabular.components.common.training_options import WORKER_MODULE
from kfp_tabular.components.tuning.options import TuningOptions


def training_worker() -> tuple[str, ...]:
    """Return the command of the training worker.

    In a task it starts with `python3` from PATH, as the task itself did: KFP's local runner puts an
    interpreter there that has TensorFlow loaded, which saves each trial the import. Outside of a
    task it starts with this interpreter.

    Example:
        >>> training_worker()[1:]
        ('-m', 'kfp_tabular.components.training.worker')
    """
    in_task = os.environ.get("_KFP_RUNTIME") == "true"
    return ((shutil.which("python3") if in_task else None) or sys.executable, "-m", WORKER_MODULE)


@dataclass(frozen=True)
class ArtifactUris:
    """Where the task's artifacts are, as URIs that other pods can use.

    Attributes:
        transformed_examples: Input.
        transform_graph: Input.
        hyperparameters: Output.
    """

    transformed_examples: str
    transform_graph: str
    hyperparameters: str = ""


@dataclass(frozen=True)
class TuningRequest:
    """What a tuning task is asked to do.

    Attributes:
        options: The options of the component.
        transformed_examples: The transformed examples artifact.
        transform_graph: The transform graph artifact.
        hyperparameters: The file to write.
        report: The HTML file to write.
        uris: Where the artifacts are for other pods; needed by backend `katib`.
        program: The training program of local trials, the executable as an absolute path.
    """

    options: TuningOptions
    transformed_examples: Path
    transform_graph: Path
    hyperparameters: Path
    report: Path
    uris: ArtifactUris | None = None
    program: tuple[str, ...] = field(default_factory=training_worker)

    def input_digests(self) -> dict[str, str]:
        """Return the digests of the inputs; the model's metadata has their whole lineage."""
        return {
            "transformed_examples": lineage.read(self.transformed_examples)["digest"],
            "transform_graph": lineage.read(self.transform_graph)["digest"],
        }

    def run_id(self) -> str:
        """Return the ID of the pipeline run; empty if neither options nor URIs hold it."""
        return self.options.run_id or run_of(self.uris.hyperparameters if self.uris else "")
