"""What ingestion and transform graphs use of TensorFlow Extended beyond documented interfaces."""

import inspect
import re
from pathlib import Path
from typing import Any

import pyarrow as pa

from kfp_tabular.components.common.process.tensorflow import import_tensorflow
from tests.private_seams import seam


def test_the_graph_of_a_function_without_analyzers(tmp_path: Path) -> None:
    tf = import_tensorflow()
    with seam(
        "tensorflow-transform",
        "impl_helper.analyze_in_place or get_type_specs_from_feature_specs",
        user="components/feature_engineering/graph/transform_graph.py",
    ):
        import tensorflow_transform as tft
        from tensorflow_transform import impl_helper

        specification = {"x": tf.io.FixedLenFeature([], tf.float32)}
        types = impl_helper.get_type_specs_from_feature_specs(specification)
        impl_helper.analyze_in_place(
            lambda inputs: {"y": inputs["x"] + 1.0},
            force_tf_compat_v1=False,
            feature_specs=specification,
            type_specs=types,
            transform_output_path=str(tmp_path),
        )
        assert {entry.name for entry in tmp_path.iterdir()} >= {
            "transform_fn",
            "transformed_metadata",
        }
        graph = tf.saved_model.load(str(tmp_path / "transform_fn"))
        assert graph is not None
        layer = tft.TFTransformOutput(str(tmp_path)).transform_features_layer()
        assert float(layer({"x": tf.constant([2.0])})["y"][0]) == 3.0
        assert tft.get_analyze_input_columns(lambda inputs: {"y": inputs["x"]}, types) == []


def test_the_random_id_of_a_saved_graph(tmp_path: Path) -> None:
    tf = import_tensorflow()
    with seam(
        "tensorflow",
        "fingerprint.pb beside a SavedModel and its field uuid",
        user="components/feature_engineering/graph/transform_graph.py",
    ):
        from tensorflow.core.protobuf import fingerprint_pb2

        tf.saved_model.save(tf.Module(), str(tmp_path))
        content = (tmp_path / "fingerprint.pb").read_bytes()
        assert fingerprint_pb2.FingerprintDef.FromString(content).uuid


def test_the_numbers_in_names_of_saved_functions(tmp_path: Path) -> None:
    tf = import_tensorflow()
    with seam(
        "tensorflow",
        "names of saved functions such as __inference_f_12, and fingerprinting_utils",
        user="components/feature_engineering/graph/function_names.py",
    ):
        from tensorflow.core.protobuf import saved_model_pb2
        from tensorflow.python.saved_model import fingerprinting_utils

        module = tf.Module()
        module.f = tf.function(lambda x: x + 1, input_signature=[tf.TensorSpec([], tf.float32)])
        tf.saved_model.save(module, str(tmp_path))
        fingerprinting_utils.write_fingerprint(str(tmp_path))
        model = saved_model_pb2.SavedModel.FromString((tmp_path / "saved_model.pb").read_bytes())
        names = [f.signature.name for f in model.meta_graphs[0].graph_def.library.function]
        assert any(re.fullmatch(r"__inference_\w+_\d+", name) for name in names)


def test_the_range_of_ids_that_a_function_declares() -> None:
    import_tensorflow()
    with seam(
        "tensorflow-transform",
        "schema_inference.set_tensor_schema_override(tensor, min, max)",
        user="components/feature_engineering/preprocessing.py",
    ):
        from tensorflow_transform import schema_inference

        parameters = inspect.signature(schema_inference.set_tensor_schema_override).parameters
        assert len(parameters) == 3


def test_the_runner_of_an_analysis() -> None:
    with seam(
        "apache-beam",
        "the module of FnApiRunner, which runs a pipeline in this process",
        user="components/common/processing/beam/installation.py",
    ):
        import apache_beam as beam
        from apache_beam.options.pipeline_options import PipelineOptions
        from apache_beam.runners.portability.fn_api_runner import FnApiRunner

        with beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions([])) as pipeline:
            _ = pipeline | beam.Create([1, 2], reshuffle=False) | beam.Map(abs)


def test_batches_as_an_analysis_takes_them() -> None:
    with seam(
        "tfx-bsl",
        "tensor_adapter.TensorAdapterConfig(schema, representations)",
        user="components/feature_engineering/graph/user_function.py",
    ):
        from tensorflow_metadata.proto.v0 import schema_pb2
        from tfx_bsl.tfxio import tensor_adapter

        representation = schema_pb2.TensorRepresentation()
        representation.dense_tensor.column_name = "x"
        representation.dense_tensor.shape.SetInParent()
        schema = pa.schema([("x", pa.large_list(pa.float32()))])
        config = tensor_adapter.TensorAdapterConfig(schema, {"x": representation})
        batch = pa.record_batch([pa.array([[1.0]], schema.field("x").type)], schema=schema)
        assert tensor_adapter.TensorAdapter(config).ToBatchTensors(batch)["x"].shape == (1,)


def test_the_sketch_of_distinct_values() -> None:
    with seam(
        "tfx-bsl",
        "sketches.KmvSketch with AddValues, Merge, Serialize, Deserialize and Estimate",
        user="components/common/processing/folds/value_counts.py",
    ):
        from tfx_bsl import sketches

        sketch = sketches.KmvSketch(128)
        sketch.AddValues(pa.array(["a", "b", "a"]))
        assert sketch.Estimate() == 2
        other = sketches.KmvSketch(128)
        other.AddValues(pa.array(["b", "c"]))
        sketch.Merge(sketches.KmvSketch.Deserialize(other.Serialize()))
        assert sketch.Estimate() == 3


def test_the_decoder_of_records() -> None:
    tf = import_tensorflow()
    with seam(
        "tfx-bsl",
        "ExamplesToRecordBatchDecoder: lists of large types, RuntimeError for a bad record",
        user="components/data_ingestion/readers/tfrecord_source.py",
    ):
        from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

        values: Any = tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"v"]))
        record = tf.train.Example(features=tf.train.Features(feature={"x": values}))
        decoder = ExamplesToRecordBatchDecoder()
        batch = decoder.DecodeBatch([record.SerializeToString()])
        assert batch.column("x").to_pylist() == [[b"v"]]
        try:
            decoder.DecodeBatch([b"\xff"])
        except RuntimeError:
            return
        raise AssertionError("a bad record is decoded")
