"""What a model is built from: columns, hyperparameters, task and seed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kfp_tabular.components.common.artifacts.hyperparameters import Hyperparameters
from kfp_tabular.components.common.artifacts.supervised_task import TaskKind
from kfp_tabular.components.training.input.packed_rows import Categorical, Vector, slices

NUMERIC = "numeric"
CATEGORICAL = "categorical"
"""The names of a model's two inputs."""


@dataclass(frozen=True)
class ModelContext:
    """What a model is built from; a model function receives it.

    Attributes:
        task: `binary`, `multiclass` or `regression`.
        units: Width of the logits: 1 for binary and regression, else the number of classes.
        numeric: Names of the numeric columns, in the order of the `numeric` input, where they are
            the first columns.
        categorical: The categorical columns, in the order of the `categorical` input, where ids
            range from 0 to `size - 1`.
        hyperparameters: The hyperparameters of the training.
        seed: Seed of the training; tf_keras is already seeded.
        prior: Recommended initial bias of the output, one number per unit.
        rows: Rows of the train split.
        vectors: The vector columns, in the order of the `numeric` input, where they follow the
            numeric columns.
        ranges: The smallest and the largest number of each numeric column in the train split, in
            the order of `numeric`; empty if unknown.
    """

    task: TaskKind
    units: int
    numeric: tuple[str, ...]
    categorical: tuple[Categorical, ...]
    hyperparameters: Hyperparameters
    seed: int
    prior: tuple[float, ...]
    rows: int
    vectors: tuple[Vector, ...] = ()
    ranges: tuple[tuple[float, float], ...] = ()

    def inputs(self) -> dict[str, Any]:
        """Return new inputs of a functional model.

        Returns:
            `numeric`, float32 `[batch, width]`, with a column for each of `self.numeric` and the
            columns of `self.vectors`, and `categorical`, int32 `[batch, len(self.categorical)]`. A
            width may be 0.
        """
        import tf_keras

        width = len(self.numeric) + sum(vector.width for vector in self.vectors)
        return {
            NUMERIC: tf_keras.Input((width,), name=NUMERIC, dtype="float32"),
            CATEGORICAL: tf_keras.Input((len(self.categorical),), name=CATEGORICAL, dtype="int32"),
        }

    def columns(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Return the inputs as one tensor per column, by name.

        Args:
            inputs: What `inputs` returned.

        Returns:
            Tensors of shape `[batch]`, and `[batch, width]` for vectors.
        """
        numeric = {name: inputs[NUMERIC][:, i] for i, name in enumerate(self.numeric)}
        for vector, part in slices(len(self.numeric), self.vectors):
            numeric[vector.name] = inputs[NUMERIC][:, part]
        return numeric | {
            column.name: inputs[CATEGORICAL][:, i] for i, column in enumerate(self.categorical)
        }
