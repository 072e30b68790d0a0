"""Members: several networks in one graph, each with its own loss, whose mean is the prediction.

A model with members ends in the layer `member_average`. Its input is the logits of all members,
shape `[batch, members, units]`, and training takes the loss of each. Its output is the logits of
their mean prediction, so that everything else sees an ordinary model.
"""

import math
from typing import Any

from kfp_tabular.components.common.artifacts.supervised_task import TaskKind

_AVERAGE = "member_average"


def average(kind: TaskKind, logits: Any) -> Any:
    """Return the logits of the members' mean prediction, as a Keras tensor `[batch, units]`.

    Args:
        kind: The kind of task.
        logits: The members' logits, a Keras tensor `[batch, members, units]`.
    """
    import tf_keras

    class MemberAverage(tf_keras.layers.Layer):  # type: ignore[misc]
        def call(self, members: Any) -> Any:
            return mean_logits(kind, members)

    return MemberAverage(name=_AVERAGE)(logits)


def mean_logits(kind: TaskKind, members: Any) -> Any:
    """Return the logits of the mean prediction: probabilities are averaged, not logits.

    Args:
        kind: The kind of task.
        members: Logits `[batch, members, units]`.

    Returns:
        Logits `[batch, units]`; for several classes, the logarithms of probabilities.

    Example:
        >>> import tensorflow as tf
        >>> both = tf.constant([[[0.0], [100.0]]])
        >>> binary, regression = (mean_logits(kind, both) for kind in ("binary", "regression"))
        >>> float(tf.sigmoid(binary)[0, 0]), float(regression[0, 0])
        (0.75, 50.0)
    """
    import tensorflow as tf

    if kind == "regression":
        return tf.reduce_mean(members, axis=1)
    if kind == "multiclass":
        shares = tf.reduce_logsumexp(tf.nn.log_softmax(members), axis=1)
        return shares - math.log(members.shape[1])
    # log(p) - log(1 - p), from logarithms: a probability may round to 1.
    positive = tf.reduce_logsumexp(tf.math.log_sigmoid(members), axis=1)
    return positive - tf.reduce_logsumexp(tf.math.log_sigmoid(-members), axis=1)


def trained_on(model: Any) -> Any:
    """Return the model whose output the loss is computed from; it has the same weights.

    Args:
        model: A model from the packed inputs to logits.

    Returns:
        For a model with members, one that returns the logits of each, `[batch, members, units]`.
        Any other model is returned as it is.
    """
    import tf_keras

    last = model.layers[-1]
    return tf_keras.Model(model.input, last.input) if last.name == _AVERAGE else model
