"""Writes the transform graph: a tf.Transform output directory.

transform_fn/                      the SavedModel
transformed_metadata/schema.pbtxt  the transformed columns and the label
metadata/schema.pbtxt              the raw features that the graph takes
"""

import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kfp_tabular.components.common import files
from kfp_tabular.components.common.artifacts.raw_features import RawFeature
from kfp_tabular.components.common.artifacts.supervised_task import Task
from kfp_tabular.components.common.process.tensorflow import import_tensorflow
from kfp_tabular.components.feature_engineering.features.planned_features import (
    FeaturePlan,
    TransformedColumn,
)
from kfp_tabular.components.feature_engineering.graph import function_names, preprocessing_graph

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0 import schema_pb2

_SCHEMA = "schema.pbtxt"


def write(plan: FeaturePlan, task: Task, directory: Path) -> None:
    """Write the graph of a derived plan.

    The plan holds all constants, so nothing needs to be analyzed with Beam.

    Args:
        plan: The features that the graph computes.
        task: The task, with the name and the classes of the label.
        directory: An existing directory.
    """
    features = [feature.feature for feature in plan.features]
    with tempfile.TemporaryDirectory() as temporary:
        vocabulary = Path(temporary) / preprocessing_graph.VOCABULARY
        preprocessing_graph.write_vocabulary(plan, vocabulary)
        write_without_analyzers(
            preprocessing_graph.preprocessing_fn(plan, vocabulary), features, directory
        )
    write_schemas(directory, features, plan.outputs, task)


def write_without_analyzers(
    preprocessing_fn: Callable[[Mapping[str, Any]], Mapping[str, Any]],
    features: Sequence[RawFeature],
    directory: Path,
) -> None:
    """Trace a function without analyzers and write its graph.

    Args:
        preprocessing_fn: The function.
        features: The raw features that it takes.
        directory: An existing directory.
    """
    # In a thread of its own: TensorFlow keeps constants that a thread has used before.
    with ThreadPoolExecutor(1, thread_name_prefix="graph") as thread:
        thread.submit(_write_without_analyzers, preprocessing_fn, features, directory).result()


def _write_without_analyzers(
    preprocessing_fn: Callable[[Mapping[str, Any]], Mapping[str, Any]],
    features: Sequence[RawFeature],
    directory: Path,
) -> None:
    import_tensorflow()
    from tensorflow_transform import impl_helper

    spec = feature_spec(features)
    impl_helper.analyze_in_place(
        preprocessing_fn,
        force_tf_compat_v1=False,
        feature_specs=spec,
        type_specs=impl_helper.get_type_specs_from_feature_specs(spec),
        transform_output_path=str(directory),
    )
    function_names.renumber(directory / "transform_fn")
    _forget_uuid(directory / "transform_fn" / "fingerprint.pb")


def feature_spec(features: Iterable[RawFeature]) -> dict[str, Any]:
    """Return the parsing specification of raw features: one value per row.

    Example:
        >>> feature_spec([RawFeature("fare", "float32", required=True)])
        {'fare': FixedLenFeature(shape=[], dtype=tf.float32, default_value=None)}
    """
    tf = import_tensorflow()
    types = {"float32": tf.float32, "int64": tf.int64, "string": tf.string}
    return {feature.name: tf.io.FixedLenFeature([], types[feature.dtype]) for feature in features}


def write_schemas(
    directory: Path,
    features: Iterable[RawFeature],
    outputs: Iterable[TransformedColumn],
    task: Task,
) -> None:
    """Write the schemas of the raw features and of the transformed columns.

    Args:
        directory: The transform graph's directory.
        features: The raw features that the graph takes.
        outputs: The transformed columns without the label.
        task: The task, with the name and the classes of the label.

    Example:
        >>> tip = Task("binary", "tip", classes=("no", "yes"))
        >>> fare = RawFeature("fare", "float32", required=True)
        >>> bucket = TransformedColumn("fare__bucket", size=10)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_schemas(Path(folder), [fare], [bucket], tip)
        ...     print(Path(folder, "transformed_metadata", "schema.pbtxt").read_text())
        feature {
          name: "fare__bucket"
          type: INT
          int_domain {
            min: 0
            max: 9
            is_categorical: true
          }
          ...
    """
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    raw = schema_pb2.Schema()
    types = {"float32": schema_pb2.FLOAT, "int64": schema_pb2.INT, "string": schema_pb2.BYTES}
    for feature in features:
        _add(raw, feature.name, types[feature.dtype])
    transformed = schema_pb2.Schema()
    label = TransformedColumn(task.label, None if task.kind == "regression" else len(task.classes))
    for output in [*outputs, label]:
        if output.size is None:
            _add(transformed, output.name, schema_pb2.FLOAT, output.width)
            continue
        domain = _add(transformed, output.name, schema_pb2.INT).int_domain
        domain.min, domain.max = 0, output.size - 1
        domain.is_categorical = not output.is_ordered
    for name, schema in (("metadata", raw), ("transformed_metadata", transformed)):
        files.write_text(directory / name / _SCHEMA, text_format.MessageToString(schema))


def _forget_uuid(file: Path) -> None:
    """Remove the random id of the saved model, so that equal graphs have equal digests."""
    from tensorflow.core.protobuf import fingerprint_pb2

    fingerprint = fingerprint_pb2.FingerprintDef.FromString(file.read_bytes())
    fingerprint.uuid = ""
    file.write_bytes(fingerprint.SerializeToString(deterministic=True))


def _add(
    schema: "schema_pb2.Schema", name: str, kind: int, width: int | None = None
) -> "schema_pb2.Feature":
    feature = schema.feature.add(name=name, type=kind)
    feature.presence.min_fraction = 1.0
    feature.shape.SetInParent()
    if width is not None:
        feature.shape.dim.add(size=width)
    return feature
