"""What is trained and exported, whatever it is made of: a function from packed rows to logits."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol


class LogitsModel(Protocol):
    """A model from packed rows to logits: a `tf_keras.Model`, trees, or a blend.

    Attributes:
        variables: The `tf.Variable` objects that predictions depend on.
    """

    @property
    def variables(self) -> Sequence[Any]:
        """The variables that predictions depend on."""

    def __call__(self, inputs: Mapping[str, Any], *, training: bool = False) -> Any:
        """Return logits `[batch, units]`, float32.

        Args:
            inputs: `numeric`, float32 `[batch, width]`, and `categorical`, int32
                `[batch, columns]`, as `input.packed_rows` packs them.
            training: Whether dropout and its like are active.

        Returns:
            One unit for a binary task (log odds) and for regression (the standardized label), one
            per class for more classes.
        """
