"""What a user would pick instead of a data step, in a process of its own; prints what it took.

    python alternative_steps.py spark-summary --data data.csv --folder WORK

- `spark-summary`: pyspark's CSV reader, which infers types, and `DataFrame.summary`.
- `spark-ml`: its CSV reader, Spark ML's `StringIndexer` and `StandardScaler`, written as Parquet.
- `tfdv-beam`: TFDV's `GenerateStatistics` of the CSV file, on Beam's direct runner.
- `tft-beam`: tf.Transform's `AnalyzeDataset` and `TransformDataset` of the CSV file, with z-scores
  and vocabularies, written as TFRecord, on Beam's direct runner.

With `--prism`, the last two run on Beam's Prism.
Imports and the start of Spark are counted on their own.
"""

import argparse
import csv
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fold_steps import Watch

CORES = 2
TEXTS = ("payment_type", "company")


def main() -> None:
    """Run one and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=["spark-summary", "spark-ml", "tfdv-beam", "tft-beam"])
    parser.add_argument("--data", type=Path, required=True, help="the CSV file")
    parser.add_argument("--folder", type=Path, required=True, help="where it writes")
    parser.add_argument("--prism", help="path of the program prism")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    watch = Watch(os.getpid())
    run = _spark(arguments) if arguments.kind.startswith("spark") else _beam(arguments)
    start = watch.lap("start")
    run()
    print(json.dumps({**watch.lap(), **start}))


def _spark(arguments: argparse.Namespace) -> Callable[[], None]:
    from kfp_tabular.components.common.processing.spark import installation

    installation.require()
    os.environ["SPARK_HOME"] = str(installation.spark_home())
    from pyspark.ml import Pipeline
    from pyspark.ml.feature import StandardScaler, StringIndexer, VectorAssembler
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master(f"local[{CORES}]").config("spark.driver.memory", "4g")
    session = builder.config("spark.ui.enabled", "false").getOrCreate()

    def read() -> Any:
        return session.read.csv(str(arguments.data), header=True, inferSchema=True)

    def summary() -> None:
        rows = read().summary().collect()
        (arguments.folder / "summary.json").write_text(json.dumps([row.asDict() for row in rows]))

    def features() -> None:
        table = read()
        numbers = [name for name, kind in table.dtypes if kind != "string"]
        stages = [
            StringIndexer(
                inputCols=list(TEXTS),
                outputCols=[f"{name}_id" for name in TEXTS],
                handleInvalid="keep",
            ),
            VectorAssembler(inputCols=numbers, outputCol="numbers", handleInvalid="keep"),
            StandardScaler(inputCol="numbers", outputCol="scaled", withMean=True),
        ]
        filled = table.fillna(0, numbers).fillna("", list(TEXTS))
        model = Pipeline(stages=stages).fit(filled)
        chosen = model.transform(filled).select("scaled", *(f"{name}_id" for name in TEXTS))
        chosen.write.mode("overwrite").parquet(str(arguments.folder / "features"))

    return summary if arguments.kind == "spark-summary" else features


def _beam(arguments: argparse.Namespace) -> Callable[[], None]:
    from apache_beam.options.pipeline_options import PipelineOptions

    if arguments.prism:
        runner = ["--runner=PrismRunner", f"--prism_location={arguments.prism}"]
    else:
        runner = [
            "--runner=DirectRunner",
            f"--direct_num_workers={CORES}",
            "--direct_running_mode=multi_processing",
        ]
    options = PipelineOptions(runner)
    if arguments.kind == "tft-beam":
        return _tft(arguments, options)
    import tensorflow_data_validation as tfdv

    def statistics() -> None:
        tfdv.generate_statistics_from_csv(
            str(arguments.data),
            output_path=str(arguments.folder / "statistics.pb"),
            pipeline_options=options,
        )

    return statistics


def _tft(arguments: argparse.Namespace, options: Any) -> Callable[[], None]:
    import apache_beam as beam
    import tensorflow_transform as tft
    import tensorflow_transform.beam as tft_beam
    from tensorflow_metadata.proto.v0 import schema_pb2
    from tfx_bsl.public import tfxio

    with arguments.data.open(newline="") as stream:
        names = next(csv.reader(stream))
    schema = schema_pb2.Schema()
    for name in names:
        kind = schema_pb2.BYTES if name in TEXTS else schema_pb2.FLOAT
        feature = schema.feature.add(name=name, type=kind)
        feature.presence.min_fraction = 0.0
        feature.value_count.max = 1

    def preprocess(inputs: Any) -> Any:
        import tensorflow as tf

        found = {}
        for name, values in inputs.items():
            default = "" if name in TEXTS else 0.0
            shape = [values.dense_shape[0], 1]
            sparse = tf.SparseTensor(values.indices, values.values, shape)
            dense = tf.squeeze(tf.sparse.to_dense(sparse, default_value=default), axis=1)
            if name in TEXTS:
                found[name] = tft.compute_and_apply_vocabulary(dense, vocab_filename=name)
            else:
                found[name] = tft.scale_to_z_score(dense)
        return found

    def features() -> None:
        source = tfxio.BeamRecordCsvTFXIO(
            physical_format="text", column_names=names, schema=schema, telemetry_descriptors=["x"]
        )
        with (
            beam.Pipeline(options=options) as pipeline,
            tft_beam.Context(
                temp_dir=str(arguments.folder / "temporary"), use_deep_copy_optimization=True
            ),
        ):
            lines = pipeline | beam.io.ReadFromText(
                str(arguments.data), skip_header_lines=1, coder=beam.coders.BytesCoder()
            )
            raw = (lines | source.BeamSource(), source.TensorAdapterConfig())
            (data, metadata), _ = raw | tft_beam.AnalyzeAndTransformDataset(
                preprocess, output_record_batches=True
            )
            coder = tfxio.RecordBatchToExamplesEncoder(metadata.schema)
            _ = (
                data
                | beam.FlatMapTuple(lambda batch, _: coder.encode(batch))
                | beam.io.WriteToTFRecord(str(arguments.folder / "features"))
            )

    return features


if __name__ == "__main__":
    main()
