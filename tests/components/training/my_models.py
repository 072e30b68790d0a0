"""Model functions, as a user writes them."""

import tensorflow as tf
import tf_keras


def by_name(context):
    """Use columns by name, and one-hot ids."""
    inputs = context.inputs()
    columns = context.columns(inputs)
    parts = [columns["distance"][:, None]]
    parts += [tf.one_hot(columns[column.name], column.size) for column in context.categorical]
    logits = tf_keras.layers.Dense(context.units)(tf.concat(parts, axis=1))
    return tf_keras.Model(inputs, logits)


def normalized(context):
    """Return a model with variables that are not trained."""
    inputs = context.inputs()
    hidden = tf_keras.layers.BatchNormalization()(inputs["numeric"])
    return tf_keras.Model(inputs, tf_keras.layers.Dense(context.units)(hidden))


def wrong_width(context):
    """Return a model with logits of the wrong shape."""
    inputs = context.inputs()
    return tf_keras.Model(inputs, tf_keras.layers.Dense(context.units + 1)(inputs["numeric"]))


def no_model(context):
    """Return something that is not a model."""
    return context


def one_input(context):
    """Return a model with other inputs."""
    numeric = tf_keras.Input((len(context.numeric),))
    return tf_keras.Model(numeric, tf_keras.layers.Dense(context.units)(numeric))
