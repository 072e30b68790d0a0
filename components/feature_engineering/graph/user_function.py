"""The user's own `preprocessing_fn`: found, checked, and analysed by tf.Transform on Beam."""

import importlib
import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.common.artifacts.raw_features import RawFeature, dense_column
from kfp_tabular.components.common.artifacts.supervised_task import Task
from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.components.common.process.tensorflow import import_tensorflow
from kfp_tabular.components.feature_engineering.features.column_facts import batch_rows
from kfp_tabular.components.feature_engineering.features.feature_plan import Output
from kfp_tabular.components.feature_engineering.graph import transform_graph
from kfp_tabular.components.feature_engineering.label_encoding import TRAIN

Function = Callable[[Mapping[str, Any]], Mapping[str, Any]]

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Analysed:
    """What the function came to.

    Attributes:
        features: The raw features that its graph takes.
        outputs: The transformed columns.
    """

    features: tuple[RawFeature, ...]
    outputs: tuple[Output, ...]


def load(name: str) -> Function:
    """Imports a function.

    Args:
        name: `package.module:function`.

    Raises:
        UserError: Where there is no such module or function, or the name is of another form.
    """
    module_name, _, function_name = name.partition(":")
    if not module_name or not function_name:
        raise UserError(f"preprocessing_fn: expected 'package.module:function', not {name!r}.")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise UserError(
            f"preprocessing_fn: {module_name!r} cannot be imported: {error}. Install it in the "
            "image, or put its directory on PYTHONPATH."
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
) -> Analysed:
    """Analyses the train split with a function, and writes its transform graph.

    Only the columns that the function uses are read, and only those that its outputs depend on
    become inputs of the graph.

    Args:
        function: The function.
        examples: What to analyse.
        features: The raw features that it may use.
        task: Names and sizes the label.
        directory: An existing directory.

    Raises:
        UserError: Where the function asks for an unknown feature, or returns something that the
            pipeline cannot use.
    """
    import_tensorflow()
    import tensorflow_transform as tft
    from tensorflow_transform import impl_helper

    checked = _Checked(function, tuple(features), task.label)
    specs = impl_helper.get_type_specs_from_feature_specs(transform_graph.feature_spec(features))
    analysed = tft.get_analyze_input_columns(checked, specs)
    transformed = set(tft.get_transform_input_columns(checked, specs))
    used = [feature for feature in features if feature.name in transformed.union(analysed)]
    if not transformed:
        raise UserError("preprocessing_fn: its outputs depend on no feature.")
    _logger.info("preprocessing_fn uses %d of %d features", len(used), len(features))
    if analysed:
        _analyse(checked, examples, used, directory)
    else:
        transform_graph.write_without_analyzers(checked, used, directory)
    outputs = _outputs(directory)
    kept = tuple(feature for feature in used if feature.name in transformed)
    transform_graph.write_schemas(directory, kept, outputs, task)
    return Analysed(kept, outputs)


class _Inputs(dict[str, Any]):
    """Raw features by name; an unknown one is the user's mistake."""

    def __missing__(self, name: str) -> Any:
        raise UserError(f"preprocessing_fn: there is no feature {name!r}.{closest(name, self)}")


class _Checked:
    """The function with its outputs checked. Of a class, so that Beam can pickle it."""

    def __init__(self, function: Function, features: tuple[RawFeature, ...], label: str) -> None:
        self._function = function
        self._features = features
        self._label = label

    def __call__(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        tf = import_tensorflow()
        rows = tf.shape(next(iter(inputs.values())))
        given = _Inputs()
        for feature in self._features:
            # What is not used is not read either, but may still be asked for.
            given[feature.name] = (
                inputs[feature.name] if feature.name in inputs else tf.fill(rows, feature.missing)
            )
        outputs = self._function(given)
        if not isinstance(outputs, Mapping) or not outputs:
            raise UserError(
                "preprocessing_fn: expected tensors by name, a non-empty dict, not "
                f"{type(outputs).__name__}."
            )
        return {name: self._check(name, value) for name, value in outputs.items()}

    def _check(self, name: Any, value: Any) -> Any:
        tf = import_tensorflow()
        where = f"preprocessing_fn: output {name!r}"
        if not isinstance(name, str) or not name:
            raise UserError(f"{where}: a name must be text.")
        if name == self._label:
            raise UserError(f"{where}: that is the label, which is encoded without your help.")
        if not isinstance(value, tf.Tensor):
            raise UserError(
                f"{where}: expected a dense tensor, not {type(value).__name__}. Make a sparse "
                "one dense, for example with tft.sparse_tensor_to_dense_with_shape."
            )
        shape = value.shape
        if shape.rank not in (1, 2) or (shape.rank == 2 and shape[1] != 1):
            raise UserError(f"{where}: expected shape [batch] or [batch, 1], not {shape}.")
        if value.dtype.is_floating or value.dtype == tf.bool:
            return tf.cast(value, tf.float32)
        if value.dtype.is_integer:
            return tf.cast(value, tf.int64)
        raise UserError(
            f"{where}: expected numbers or ids, not {value.dtype.name}. Turn text into ids, for "
            "example with tft.compute_and_apply_vocabulary."
        )


def _outputs(directory: Path) -> tuple[Output, ...]:
    import tensorflow_transform as tft
    from tensorflow_metadata.proto.v0 import schema_pb2

    schema = tft.TFTransformOutput(str(directory)).transformed_metadata.schema
    outputs = []
    for feature in schema.feature:
        if feature.type == schema_pb2.FLOAT:
            outputs.append(Output(feature.name))
            continue
        domain = feature.int_domain
        if not feature.HasField("int_domain") or domain.min < 0:
            raise UserError(
                f"preprocessing_fn: output {feature.name!r}: whole numbers without a range of "
                "ids from 0. Cast a number to float32; declare ids with category(ids, size) of "
                "kfp_tabular.components.feature_engineering.preprocessing."
            )
        outputs.append(Output(feature.name, domain.max + 1))
    return tuple(outputs)


def _analyse(
    function: _Checked, examples: Examples, features: Sequence[RawFeature], directory: Path
) -> None:
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner
    from tensorflow_metadata.proto.v0 import schema_pb2
    from tensorflow_transform import beam as tft_beam
    from tfx_bsl.tfxio import tensor_adapter

    items = [
        (str(file), group)
        for file in examples.require(TRAIN)
        for group in range(pq.read_metadata(file).num_row_groups)
    ]
    read = ReadBatches(tuple(features))
    representations = {}
    for feature in features:
        representation = schema_pb2.TensorRepresentation()
        representation.dense_tensor.column_name = feature.name
        representation.dense_tensor.shape.SetInParent()
        representations[feature.name] = representation
    config = tensor_adapter.TensorAdapterConfig(read.schema, representations)
    with (
        tempfile.TemporaryDirectory() as temporary,
        tft_beam.Context(temp_dir=temporary),
        # The runner by name: "DirectRunner" first tries to download another one. No options:
        # this process's arguments belong to somebody else.
        beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions([])) as pipeline,
    ):
        # Only names of row groups are elements of the graph. Beam pickles and compresses those,
        # which for the rows themselves takes most of the time.
        batches = (
            pipeline
            | "RowGroups" >> beam.Create(items, reshuffle=False)
            | "ReadBatches" >> beam.FlatMap(read)
        )
        analysed = (batches, config) | tft_beam.AnalyzeDataset(function)
        _ = analysed | tft_beam.WriteTransformFn(str(directory))


class ReadBatches:
    """Reads a row group of a Parquet file as tf.Transform takes it: lists of one value.

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

    def __call__(self, item: tuple[str, int]) -> Iterator[pa.RecordBatch]:
        """Reads `(file, row group)`."""
        file, group = item
        names = [feature.name for feature in self._features]
        with pq.ParquetFile(file, memory_map=True) as parquet:
            for batch in parquet.iter_batches(
                batch_size=batch_rows(len(names)), row_groups=[group], columns=names
            ):
                yield self._lists(batch)

    def _lists(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        offsets = pa.array(np.arange(batch.num_rows + 1, dtype=np.int64))
        lists = []
        for feature, kind in zip(self._features, self.schema.types, strict=True):
            values = dense_column(batch.column(feature.name), feature).cast(kind.value_type)
            lists.append(pa.LargeListArray.from_arrays(offsets, values))
        return pa.RecordBatch.from_arrays(lists, schema=self.schema)
