"""A blend as a model: the weighted sum of its members' logits, in one graph."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kfp_tabular.components.common.artifacts.supervised_task import TaskKind
from kfp_tabular.components.training.candidates.blending import Blend
from kfp_tabular.components.training.model.logits_model import LogitsModel


@dataclass(frozen=True)
class BlendedModel:
    """A model that adds up its members' logits.

    Attributes:
        kind: The kind of task.
        members: Models from packed rows to logits.
        blend: Their coefficients and the bias.
    """

    kind: TaskKind
    members: tuple[LogitsModel, ...]
    blend: Blend

    @property
    def variables(self) -> Sequence[Any]:
        """The variables of all members."""
        return [variable for member in self.members for variable in member.variables]

    def __call__(self, inputs: Mapping[str, Any], *, training: bool = False) -> Any:
        """Return the logits `[batch, units]`."""
        import tensorflow as tf

        total = tf.constant(self.blend.bias, tf.float32)
        for coefficient, member in zip(self.blend.coefficients, self.members, strict=True):
            logits = member(inputs, training=training)
            if self.kind == "multiclass":
                logits = tf.nn.log_softmax(logits)
            total += tf.constant(coefficient, tf.float32) * logits
        return total


def build(kind: TaskKind, members: Sequence[LogitsModel], blend: Blend) -> LogitsModel:
    """Return a blend without the members that have no weight, so that serving does not run them.

    A single member without calibration is returned as it is.

    Args:
        kind: The kind of task.
        members: Models from packed rows to logits.
        blend: Their coefficients and the bias.
    """
    used = [index for index, value in enumerate(blend.coefficients) if value > 0]
    coefficients = tuple(blend.coefficients[index] for index in used)
    if coefficients == (1.0,) and not any(blend.bias):
        return members[used[0]]
    return BlendedModel(
        kind, tuple(members[index] for index in used), Blend(coefficients, blend.bias)
    )
