"""The functions for a user's own `preprocessing_fn`."""

from pathlib import Path

from kfp_tabular.components.common.process.tensorflow import import_tensorflow
from kfp_tabular.components.feature_engineering.preprocessing import category


def test_a_category_tried_outside_a_graph_leaves_nothing_behind(tmp_path: Path) -> None:
    """A notebook may try its functions on tensors and analyze with them afterwards."""
    tf = import_tensorflow()
    import tensorflow_transform as tft
    from tensorflow_transform import impl_helper

    assert category(tf.constant([0, 3]), size=4).numpy().tolist() == [0, 3]
    specification = {"x": tf.io.FixedLenFeature([], tf.int64)}
    impl_helper.analyze_in_place(
        lambda inputs: {"y": category(inputs["x"], size=4)},
        force_tf_compat_v1=False,
        feature_specs=specification,
        type_specs=impl_helper.get_type_specs_from_feature_specs(specification),
        transform_output_path=str(tmp_path),
    )
    schema = tft.TFTransformOutput(str(tmp_path)).transformed_metadata.schema
    assert (schema.feature[0].int_domain.max, schema.feature[0].int_domain.is_categorical) == (
        3,
        True,
    )
