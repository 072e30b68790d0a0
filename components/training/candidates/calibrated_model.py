"""A model with calibrated probabilities, in one graph: what is exported, and so what is served."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kfp_tabular.components.training.candidates.calibration import Calibration
from kfp_tabular.components.training.model.logits_model import LogitsModel
from kfp_tabular.components.training.options import TEMPERATURE


@dataclass(frozen=True)
class CalibratedModel:
    """A model whose logits are calibrated.

    Attributes:
        inner: The model.
        calibration: The map from its logits.
    """

    inner: LogitsModel
    calibration: Calibration

    @property
    def variables(self) -> Sequence[Any]:
        """The variables of the model."""
        return self.inner.variables

    def __call__(self, inputs: Mapping[str, Any], *, training: bool = False) -> Any:
        """Return the logits `[batch, units]`."""
        import tensorflow as tf

        logits = self.inner(inputs, training=training)
        if self.calibration.method == TEMPERATURE:
            return logits / tf.constant(self.calibration.temperature, tf.float32)
        share = _interpolated(logits[:, 0], self.calibration)
        return (tf.math.log(share) - tf.math.log1p(-share))[:, None]


def _interpolated(values: Any, calibration: Calibration) -> Any:
    """Return the probability at each logit: linear between points, constant beyond them."""
    import tensorflow as tf

    points = tf.constant(calibration.logits, tf.float32)
    shares = tf.constant(calibration.probabilities, tf.float32)
    after = tf.searchsorted(points, values, side="right")
    high = tf.minimum(after, len(calibration.logits) - 1)
    low = tf.maximum(after - 1, 0)
    width = tf.gather(points, high) - tf.gather(points, low)
    along = tf.math.divide_no_nan(values - tf.gather(points, low), width)
    along = tf.clip_by_value(along, 0.0, 1.0)
    return tf.gather(shares, low) * (1.0 - along) + tf.gather(shares, high) * along
