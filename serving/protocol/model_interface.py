"""What clients exchange with a model: the inputs that it takes and the outputs that it returns."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from kfp_tabular.components.common.artifacts.model_document import (
    CLASSES,
    PREDICTION,
    PROBABILITIES,
    ModelSpec,
)
from kfp_tabular.components.common.prediction.instances import CountUnreadable, Decoder

if TYPE_CHECKING:
    import numpy as np

Arrays = Mapping[str, "np.ndarray[Any, Any]"]
"""Arrays by the name of the signature's input or output."""


@dataclass(frozen=True)
class ModelInterface:
    """A model's inputs and outputs, without the model.

    Attributes:
        spec: The model's description, as `model.json` holds it.
        ignored: Columns of the training data that the model does not use, the label among them. A
            client may send a whole raw row, so these are accepted and ignored.
        decoder: Turns instances into the signature's input arrays.
    """

    spec: ModelSpec
    ignored: frozenset[str]
    decoder: Decoder

    def tolerating(self, count: CountUnreadable) -> "ModelInterface":
        """Return the same interface, with a decoder that takes unreadable text as missing.

        Args:
            count: Called with a feature's name and how many of a request's values are unreadable.
        """
        return replace(self, decoder=self.decoder.tolerating(count))

    def lenient(self) -> "ModelInterface":
        """Return the same interface, with a decoder that takes values as pandas gives them."""
        return replace(self, decoder=self.decoder.lenient())

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of the outputs of the `serving_default` signature."""
        return (PREDICTION,) if self.spec.task == "regression" else (PROBABILITIES, CLASSES)
