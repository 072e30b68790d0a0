"""A user's preprocessing functions, for test_user_function."""

import tensorflow as tf
import tensorflow_transform as tft

from kfp_tabular.components.feature_engineering.preprocessing import (
    category,
    fill_missing,
    is_missing,
)


def good(inputs):
    _ = inputs["unused"] * 2.0
    fare = fill_missing(inputs["fare"], 0.0)
    return {
        "fare": tft.scale_to_z_score(fare),
        "fare missing": tf.cast(is_missing(inputs["fare"]), tf.float64),
        "fare bucket": tft.bucketize(fare, 4),
        "zone": tft.compute_and_apply_vocabulary(inputs["zone"], num_oov_buckets=1),
        "zone hash": category(tft.hash_strings(inputs["zone"], 7), 7),
        "hour": category(tf.expand_dims(fill_missing(inputs["hour"], 0), 1), 24),
        "weighted": fare - tft.mean(tf.cast(inputs["weight"], tf.float32)),
        "late": inputs["hour"] > 20,
        "powers": tf.stack([fare, fare**2], axis=1),
    }


def without_analyzers(inputs):
    return {"fare": fill_missing(inputs["fare"], 0.0)}


def asks_for_an_unknown_feature(inputs):
    return {"fare": inputs["fair"]}


def returns_text(inputs):
    return {"zone": inputs["zone"]}


def returns_undeclared_ids(inputs):
    return {"hour": inputs["hour"]}


def returns_sparse(inputs):
    return {"zone": tf.sparse.from_dense(tf.expand_dims(inputs["fare"], 1))}


def returns_two_ids_per_row(inputs):
    return {"hour": tf.stack([inputs["hour"], inputs["hour"]], 1)}


def returns_a_cube(inputs):
    return {"fare": tf.reshape(inputs["fare"], [-1, 1, 1])}


def returns_a_scalar(inputs):
    return {"fare": tf.reduce_sum(inputs["fare"])}


def returns_the_label(inputs):
    return {"y": inputs["fare"]}


def returns_nothing(inputs):
    return {}


def returns_constants(inputs):
    return {"one": tf.ones([10])}
