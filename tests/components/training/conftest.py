"""A small data set with three labels, through a real transform graph."""

import dataclasses
import gc
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from kfp_tabular.components.common import files
from kfp_tabular.components.common.artifacts import raw_features, typical_row
from kfp_tabular.components.common.artifacts.examples import Examples, ExamplesWriter, record
from kfp_tabular.components.common.artifacts.hyperparameters import Hyperparameters
from kfp_tabular.components.common.artifacts.supervised_task import Task
from kfp_tabular.components.common.options import build
from kfp_tabular.components.common.process.tensorflow import import_tensorflow
from kfp_tabular.components.training.options import TrainingOptions
from kfp_tabular.components.training.training_request import TrainingRequest
from kfp_tabular.components.training.worker_settings import WorkerSettings
from tests.explained_models import TYPICAL

ROWS = {"train": 1500, "eval": 600, "test": 300}
# Besides `count`, names that a signature cannot take as they are.
DISTANCE, CITY, SINCE = "distance (km)", "città", "Count"
RAW = {DISTANCE: "float32", "count": "int64", CITY: "string", SINCE: "int64"}
LABELS = {"sold": "binary", "grade": "multiclass", "price": "regression"}
CITIES = ("Roma", "Milano", "Αθήνα", "New York")
CLASSES = {"sold": ("no", "yes"), "grade": ("a", "b", "c"), "price": ()}


def raw_rows(rows: int, seed: int) -> dict[str, np.ndarray]:
    """Return rows whose labels follow from the features, with some noise."""
    random = np.random.default_rng(seed)
    distance = random.lognormal(1.0, 0.8, rows)
    count = random.integers(0, 6, rows)
    city = random.integers(0, len(CITIES), rows)
    score = np.log(distance) - 1 + 0.5 * (count - 2.5) + 1.5 * (city == 1) - (city == 2)
    noisy = score + random.normal(0, 0.7, rows)
    missing = random.random(rows) < 0.1
    return {
        DISTANCE: np.where(missing, np.nan, distance).astype(np.float32),
        "count": count.astype(np.int64),
        CITY: np.array([CITIES[index].encode() for index in city], object),
        SINCE: random.integers(0, 10**6, rows),
        "sold": (noisy > 0.3).astype(np.int64),
        "grade": np.digitize(noisy, [-0.7, 0.8]).astype(np.int64),
        "price": (50_000 + 1000 * noisy).astype(np.float32),
    }


@dataclass(frozen=True)
class Inputs:
    """A task's artifacts, written by hand in the real formats."""

    examples: Path
    graph: Path
    task: Task

    def settings(self, folder: Path, **changes: object) -> WorkerSettings:
        """Return settings of a short training; hyperparameters are given by name, too."""
        names = {field.name for field in dataclasses.fields(Hyperparameters)}
        hyperparameters = Hyperparameters(
            model_type="wide_and_deep",
            epochs=6,
            batch_size=64,
            learning_rate=0.01,
            hidden_units="32,16",
        ).updated({name: value for name, value in changes.items() if name in names})
        return dataclasses.replace(
            WorkerSettings(self.examples, self.graph, folder / "model", folder / "logs"),
            hyperparameters=hyperparameters,
            **{name: value for name, value in changes.items() if name not in names},
        )

    def request(self, folder: Path, **changes: object) -> TrainingRequest:
        """Return the request of a task that trains with `settings`; options are by name."""
        base = {"model_type": "wide_and_deep", "epochs": 6, "batch_size": 64, "learning_rate": 0.01}
        hidden = {"hidden_units": "32,16"}
        return TrainingRequest(
            options=build(TrainingOptions, {**base, "base_hyperparameters": hidden, **changes}),
            transformed_examples=self.examples,
            transform_graph=self.graph,
            model=folder / "model",
            training_logs=folder / "logs",
            report=folder / "report.html",
        )


@pytest.fixture(scope="session")
def made() -> SimpleNamespace:
    """Helpers that make data."""
    return SimpleNamespace(
        ROWS=ROWS,
        RAW=RAW,
        DISTANCE=DISTANCE,
        CITY=CITY,
        SINCE=SINCE,
        raw_rows=raw_rows,
        read_columns=read_columns,
        rewrite=rewrite,
        write_examples=write_examples,
    )


@pytest.fixture(scope="session")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Inputs]:
    """The artifacts of each task, by its kind."""
    root = tmp_path_factory.mktemp("inputs")
    graph = root / "graph"
    transform = _analyze(graph, raw_rows(ROWS["train"], 0))
    found = {}
    for label, kind in LABELS.items():
        own, examples = root / kind / "transform_graph", root / kind / "transformed_examples"
        shutil.copytree(graph, own)
        others = set(LABELS) - {label}
        _drop_features(own / "transformed_metadata" / "schema.pbtxt", others)
        columns = {
            split: {
                name: value
                for name, value in transform(raw_rows(rows, index)).items()
                if name not in others
            }
            for index, (split, rows) in enumerate(ROWS.items())
        }
        write_examples(examples, columns)
        counts = np.bincount(columns["train"][label].astype(int)) if kind != "regression" else ()
        task = Task(kind, label, CLASSES[label], tuple(int(count) for count in counts))
        task.save(own)
        typical_row.write(TYPICAL, own)
        found[kind] = Inputs(examples, own, task)
    # The interpreter's last collection of garbage crashes on what an analysis leaves behind.
    gc.collect()
    gc.freeze()
    return found


def write_examples(path: Path, splits: dict[str, dict[str, np.ndarray]], group: int = 200) -> None:
    """Write columns as transformed examples, `group` rows to a row group."""
    first = next(iter(splits.values()))
    schema = pa.schema({name: _arrow(values).type for name, values in first.items()})
    path.mkdir(parents=True)
    with ExamplesWriter(path, schema, list(splits), rows_per_shard=3 * group) as writer:
        for split, columns in splits.items():
            arrays = {name: _arrow(values) for name, values in columns.items()}
            table = pa.table(arrays, schema=schema)
            for start in range(0, len(table), group):
                writer.write(split, table.slice(start, group))
    record(path, writer.schema, writer.shards, inputs={})


def read_columns(path: Path, split: str) -> dict[str, np.ndarray]:
    """Read a split of transformed examples."""
    batches = Examples(path).batches(split)
    table = pa.Table.from_batches(list(batches))
    return {name: _numpy(table[name]) for name in table.column_names}


def _arrow(values: np.ndarray) -> pa.Array:
    if np.ndim(values) < 2:
        return pa.array(values)
    return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values.shape[1])


def _numpy(column: pa.ChunkedArray) -> np.ndarray:
    values = column.to_numpy()
    return np.stack(values) if pa.types.is_fixed_size_list(column.type) else values


def rewrite(source: Path, target: Path, **changes: dict[str, np.ndarray] | None) -> None:
    """Copy examples with the columns of some splits changed; None leaves a split out."""
    splits = {split: read_columns(source, split) for split in Examples(source).splits}
    for split, columns in changes.items():
        if columns is None:
            del splits[split]
        else:
            splits[split] |= columns
    write_examples(target, splits)


def _analyze(directory: Path, rows: dict[str, np.ndarray]):
    tf = import_tensorflow()
    import apache_beam as beam
    import tensorflow_transform as tft
    import tensorflow_transform.beam as tft_beam
    from tensorflow_transform.tf_metadata import dataset_metadata, schema_utils

    dtypes = {"float32": tf.float32, "int64": tf.int64, "string": tf.string}
    kinds = RAW | {"sold": "int64", "grade": "int64", "price": "float32"}
    spec = {name: tf.io.FixedLenFeature([], dtypes[kind]) for name, kind in kinds.items()}
    metadata = dataset_metadata.DatasetMetadata(schema_utils.schema_from_feature_spec(spec))

    def preprocess(raw):
        distance = tf.math.log(raw[DISTANCE])
        scaled = tft.scale_to_z_score(distance)
        missing = tf.math.is_nan(distance)
        return {
            "distance": tf.where(missing, tf.zeros_like(scaled), scaled),
            "distance__missing": tf.cast(missing, tf.float32),
            "distance__vector": tf.stack([tf.where(missing, 0.0, scaled)] * 70, axis=1),
            "distance__bucket": tft.bucketize(tf.where(missing, -9.0, distance), 8),
            "count": tft.scale_to_z_score(raw["count"]),
            "city": tft.compute_and_apply_vocabulary(raw[CITY], num_oov_buckets=1),
            # `since` only through a column of its own: the model must ask for it.
            "since": tf.cast(raw[SINCE], tf.float32) / 1e6,
            **{label: tf.identity(raw[label]) for label in LABELS},
        }

    data = [dict(zip(rows, values, strict=True)) for values in zip(*rows.values(), strict=True)]
    with (
        files.atomic_directory(directory) as partial,
        tft_beam.Context(temp_dir=tempfile.mkdtemp()),
        beam.Pipeline() as pipeline,
    ):
        examples = pipeline | beam.Create(data[:400])
        graph = (examples, metadata) | tft_beam.AnalyzeDataset(preprocess)
        graph | tft_beam.WriteTransformFn(str(partial))
    lines = []
    for name, kind in kinds.items():
        type_name = {"float32": "FLOAT", "int64": "INT", "string": "BYTES"}[kind]
        share = 0.9 if name == DISTANCE else 1.0
        lines.append(
            f'feature {{ name: "{name}" type: {type_name} presence {{ min_fraction: {share} }} }}'
        )
    (directory / raw_features.SCHEMA_FILE).write_text("\n".join(lines), encoding="utf-8")
    layer = tft.TFTransformOutput(str(directory)).transform_features_layer()
    return lambda values: {
        name: tensor.numpy()
        for name, tensor in layer({name: tf.constant(v) for name, v in values.items()}).items()
    }


def _drop_features(schema_file: Path, names: set[str]) -> None:
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    schema = text_format.Parse(schema_file.read_text(), schema_pb2.Schema())
    kept = [feature for feature in schema.feature if feature.name not in names]
    del schema.feature[:]
    schema.feature.extend(kept)
    schema_file.write_text(text_format.MessageToString(schema))
