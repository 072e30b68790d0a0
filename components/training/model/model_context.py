"""What a model is built from: columns, hyperparameters, task and seed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kfp_tabular.components.common.artifacts.hyperparameters import Hyperparameters
from kfp_tabular.components.common.artifacts.supervised_task import TaskKind
from kfp_tabular.components.training.input.packed_rows import Categorical

NUMERIC = "numeric"
CATEGORICAL = "categorical"
"""The names of a model's two inputs."""


@dataclass(frozen=True)
class ModelContext:
    """What a model is built from; a model function receives it.

    Attributes:
        task: `binary`, `multiclass` or `regression`.
        units: Width of the logits: 1 for binary and regression, else the number of classes.
        numeric: Names of the numeric columns, in the order of the `numeric` input.
        categorical: The categorical columns, in the order of the `categorical` input, where ids
            range from 0 to `size - 1`.
        hyperparameters: The hyperparameters of the training.
        seed: Seed of the training; tf_keras is already seeded.
        prior: Recommended initial bias of the output, one number per unit.
        rows: Rows of the train split.
    """

    task: TaskKind
    units: int
    numeric: tuple[str, ...]
    categorical: tuple[Categorical, ...]
    hyperparameters: Hyperparameters
    seed: int
    prior: tuple[float, ...]
    rows: int

    def inputs(self) -> dict[str, Any]:
        """Return new inputs of a functional model.

        Returns:
            `numeric`, float32 `[batch, len(self.numeric)]`, and `categorical`, int32
            `[batch, len(self.categorical)]`. A width may be 0.
        """
        import tf_keras

        return {
            NUMERIC: tf_keras.Input((len(self.numeric),), name=NUMERIC, dtype="float32"),
            CATEGORICAL: tf_keras.Input((len(self.categorical),), name=CATEGORICAL, dtype="int32"),
        }

    def columns(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Return the inputs as one tensor of shape `[batch]` per column, by name.

        Args:
            inputs: What `inputs` returned.
        """
        numeric = {name: inputs[NUMERIC][:, i] for i, name in enumerate(self.numeric)}
        return numeric | {
            column.name: inputs[CATEGORICAL][:, i] for i, column in enumerate(self.categorical)
        }
