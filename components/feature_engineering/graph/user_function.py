"""Loads, checks and analyzes the user's own `preprocessing_fn`, with tf.Transform on Beam."""

import importlib
import logging
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from kfp_tabular.components.common import storage
from kfp_tabular.components.common.artifacts.dense_columns import dense_column
from kfp_tabular.components.common.artifacts.examples import Examples, ShardFile, damaged_parquet
from kfp_tabular.components.common.artifacts.raw_features import RawFeature
from kfp_tabular.components.common.artifacts.supervised_task import Task
from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.components.common.process.tensorflow import import_tensorflow
from kfp_tabular.components.common.processing.engine import Engine
from kfp_tabular.components.common.processing.processing_settings import BeamSettings
from kfp_tabular.components.feature_engineering.features.column_facts import batch_rows
from kfp_tabular.components.feature_engineering.features.planned_features import TransformedColumn
from kfp_tabular.components.feature_engineering.graph import transform_graph
from kfp_tabular.components.feature_engineering.task_resolution import TRAIN

if TYPE_CHECKING:
    from kfp_tabular.components.common.processing.beam.beam_engine import BeamEngine

_UNKNOWN_TO_TENSORFLOW = ("s3://", "minio://")

Function = Callable[[Mapping[str, Any]], Mapping[str, Any]]

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class AnalyzedFunction:
    """The outcome of analyzing a function.

    Attributes:
        features: The raw features that the function's graph takes.
        outputs: The transformed columns.
    """

    features: tuple[RawFeature, ...]
    outputs: tuple[TransformedColumn, ...]


def load(name: str) -> Function:
    """Import a function.

    Args:
        name: `package.module:function`.

    Raises:
        UserError: The name has another form, or the module or function does not exist.

    Example:
        >>> load("math:sqrt")(9.0)
        3.0
    """
    module_name, _, function_name = name.partition(":")
    if not module_name or not function_name:
        raise UserError(f"preprocessing_fn: expected 'package.module:function', found {name!r}.")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise UserError(
            f"preprocessing_fn: cannot import {module_name!r}: {error}. Install it in the image, "
            "or add its directory to PYTHONPATH."
        ) from error
    function = getattr(module, function_name, None)
    if not callable(function):
        raise UserError(
            f"preprocessing_fn: module {module_name!r} has no function {function_name!r}."
            + closest(function_name, dir(module))
        )
    found: Function = function
    return found


def write(
    function: Function,
    examples: Examples,
    features: Sequence[RawFeature],
    task: Task,
    directory: Path,
    engine: Engine | None = None,
) -> AnalyzedFunction:
    """Analyze the train split with a function, and write the function's transform graph.

    Reads only the columns that the function uses. Only those that its outputs depend on become
    inputs of the graph.

    Args:
        function: The function.
        examples: The examples to analyze.
        features: The raw features that the function may use.
        task: The task, with the name and the classes of the label.
        directory: An existing directory.
        engine: Of one that runs pipelines of Beam, its runner analyzes; else Beam does it here.

    Raises:
        UserError: The function asks for an unknown feature, or returns something that the
            pipeline cannot use.
    """
    import_tensorflow()
    import tensorflow_transform as tft
    from tensorflow_transform import impl_helper

    checked = _Checked(function, tuple(features), task.label)
    specs = impl_helper.get_type_specs_from_feature_specs(transform_graph.feature_spec(features))
    analyzed = tft.get_analyze_input_columns(checked, specs)
    transformed = set(tft.get_transform_input_columns(checked, specs))
    used = [feature for feature in features if feature.name in transformed.union(analyzed)]
    if not transformed:
        raise UserError("preprocessing_fn: the outputs do not depend on any feature.")
    _logger.info("preprocessing_fn uses %d of %d features", len(used), len(features))
    if analyzed:
        _analyze(checked, examples, used, directory, engine)
    else:
        transform_graph.write_without_analyzers(checked, used, directory)
    outputs = _outputs(directory)
    kept = tuple(feature for feature in used if feature.name in transformed)
    transform_graph.write_schemas(directory, kept, outputs, task)
    return AnalyzedFunction(kept, outputs)


class _Inputs(dict[str, Any]):
    """Raw features by name, with an error message for unknown names."""

    def __missing__(self, name: str) -> Any:
        raise UserError(f"preprocessing_fn: unknown feature {name!r}.{closest(name, self)}")


class _Checked:
    """The function with checks of its outputs. A class, so that Beam can pickle it."""

    def __init__(self, function: Function, features: tuple[RawFeature, ...], label: str) -> None:
        self._function = function
        self._features = features
        self._label = label

    def __call__(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        tf = import_tensorflow()
        rows = tf.shape(next(iter(inputs.values())))
        given = _Inputs()
        for feature in self._features:
            # Unused features are not read, but the function may still access them.
            given[feature.name] = (
                inputs[feature.name] if feature.name in inputs else tf.fill(rows, feature.missing)
            )
        outputs = self._function(given)
        if not isinstance(outputs, Mapping) or not outputs:
            raise UserError(
                "preprocessing_fn: expected a non-empty dict of tensors by name, found "
                f"{type(outputs).__name__}."
            )
        return {name: self._check(name, value) for name, value in outputs.items()}

    def _check(self, name: Any, value: Any) -> Any:
        tf = import_tensorflow()
        where = f"preprocessing_fn: output {name!r}"
        if not isinstance(name, str) or not name:
            raise UserError(f"{where}: the name must be text.")
        if name == self._label:
            raise UserError(
                f"{where}: this is the name of the label, which is encoded separately. Rename the "
                "output."
            )
        if not isinstance(value, tf.Tensor):
            raise UserError(
                f"{where}: expected a dense tensor, found {type(value).__name__}. Convert a sparse "
                "tensor, for example with tft.sparse_tensor_to_dense_with_shape."
            )
        shape = value.shape
        if shape.rank not in (1, 2) or (shape.rank == 2 and not shape[1]):
            raise UserError(
                f"{where}: expected shape [batch], or [batch, width] with a fixed width, found "
                f"{shape}."
            )
        if value.dtype.is_floating or value.dtype == tf.bool:
            return tf.cast(value, tf.float32)
        if value.dtype.is_integer:
            if shape.rank == 2 and shape[1] != 1:
                raise UserError(
                    f"{where}: expected one id per row, found shape {shape}. Cast numbers to "
                    "float32, or return each column of ids as an output of its own."
                )
            return tf.cast(value, tf.int64)
        raise UserError(
            f"{where}: expected numbers or ids, found {value.dtype.name}. Convert text to ids, for "
            "example with tft.compute_and_apply_vocabulary."
        )


def _outputs(directory: Path) -> tuple[TransformedColumn, ...]:
    import tensorflow_transform as tft
    from tensorflow_metadata.proto.v0 import schema_pb2

    schema = tft.TFTransformOutput(str(directory)).transformed_metadata.schema
    outputs = []
    for feature in schema.feature:
        if feature.type == schema_pb2.FLOAT:
            width = feature.shape.dim[0].size if feature.shape.dim else 1
            outputs.append(TransformedColumn(feature.name, width=width if width > 1 else None))
            continue
        domain = feature.int_domain
        if not feature.HasField("int_domain") or domain.min < 0:
            raise UserError(
                f"preprocessing_fn: output {feature.name!r}: whole numbers without a range of ids "
                "that starts at 0. Cast numbers to float32, or declare ids with category(ids, "
                "size) of kfp_tabular.components.feature_engineering.preprocessing."
            )
        outputs.append(TransformedColumn(feature.name, domain.max + 1))
    return tuple(outputs)


def _analyze(
    function: _Checked,
    examples: Examples,
    features: Sequence[RawFeature],
    directory: Path,
    engine: Engine | None,
) -> None:
    from kfp_tabular.components.common.processing.beam import installation
    from kfp_tabular.components.common.processing.beam.worker_tasks import NotingErrors

    installation.settle_environment()
    import apache_beam as beam
    from tensorflow_metadata.proto.v0 import schema_pb2
    from tensorflow_transform import beam as tft_beam
    from tfx_bsl.tfxio import tensor_adapter

    groups_read = [
        (shard, group)
        for shard in examples.require(TRAIN)
        for group in range(len(shard.row_groups))
    ]
    read = ReadBatches(tuple(features))
    representations = {}
    for feature in features:
        representation = schema_pb2.TensorRepresentation()
        representation.dense_tensor.column_name = feature.name
        representation.dense_tensor.shape.SetInParent()
        representations[feature.name] = representation
    config = tensor_adapter.TensorAdapterConfig(read.schema, representations)
    runs = _beam_engine(engine)
    with runs.exchange() as exchange:
        folder = exchange.uri
        with (
            exchange.user_errors(),
            tft_beam.Context(temp_dir=folder),
            runs.pipeline() as pipeline,
        ):
            # The graph's elements are names of row groups. Beam pickles and compresses elements,
            # which takes most of the time if they are the rows themselves.
            items = list(enumerate(groups_read))
            groups = pipeline | "RowGroups" >> beam.Create(items, reshuffle=False)
            if runs is engine:
                # Or one worker reads them all. Here, they stay in order, so sums are the same.
                groups |= "Spread" >> beam.Reshuffle()
            batches = groups | "ReadBatches" >> beam.FlatMap(NotingErrors(read, exchange))
            analyzed = (batches, config) | tft_beam.AnalyzeDataset(function)
            _ = analyzed | tft_beam.WriteTransformFn(f"{folder}/graph")
        # A worker has written it.
        with storage.local_copy(f"{folder}/graph") as graph:
            shutil.copytree(graph, directory, dirs_exist_ok=True)


def _beam_engine(engine: Engine | None) -> "BeamEngine":
    """Return the engine itself if it runs pipelines of Beam, else one that runs them here."""
    from kfp_tabular.components.common.processing.beam.beam_engine import BeamEngine

    if not isinstance(engine, BeamEngine):
        return BeamEngine(BeamSettings(), "kfp-tabular")
    if engine.temp_location.startswith(_UNKNOWN_TO_TENSORFLOW):
        raise UserError(
            f"processing.temp_location {engine.temp_location}: tf.Transform analyzes a "
            "preprocessing_fn, and knows paths and gs:// URIs only. Give transform-features "
            "another temp_location by processing.tasks."
        )
    return engine


class ReadBatches:
    """Reads a row group of a Parquet file in tf.Transform's form: lists of one value.

    Args:
        features: The columns.
    """

    def __init__(self, features: tuple[RawFeature, ...]) -> None:
        self._features = features

    @property
    def schema(self) -> pa.Schema:
        """The schema of the batches."""
        types = {"float32": pa.float32(), "int64": pa.int64(), "string": pa.large_binary()}
        return pa.schema(
            [(feature.name, pa.large_list(types[feature.dtype])) for feature in self._features]
        )

    def __call__(self, item: tuple[ShardFile, int]) -> Iterator[pa.RecordBatch]:
        """Yield the batches of `(shard, row group)`."""
        shard, group = item
        names = [feature.name for feature in self._features]
        with shard.open() as parquet:
            size = batch_rows(len(names))
            for batch in damaged_parquet.batches(parquet, shard.uri, size, [group], names):
                yield self._lists(batch)

    def _lists(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        offsets = pa.array(np.arange(batch.num_rows + 1, dtype=np.int64))
        lists = []
        for feature, kind in zip(self._features, self.schema.types, strict=True):
            values = dense_column(batch.column(feature.name), feature).cast(kind.value_type)
            lists.append(pa.LargeListArray.from_arrays(offsets, values))
        return pa.RecordBatch.from_arrays(lists, schema=self.schema)
