"""What data validation uses of TensorFlow Data Validation beyond its documented interface."""

import json
import subprocess
import sys

import pyarrow as pa

from kfp_tabular.components.common.statistics import lean_tfdv
from tests.private_seams import seam

_USER = "components/common/statistics/lean_tfdv.py"

_IMPORT = """
import json, sys
from kfp_tabular.components.common.statistics import lean_tfdv
lean_tfdv.load()
unwanted = {"tensorflow.python", "pandas", "google.cloud.storage"}
print(json.dumps(sorted(unwanted & sys.modules.keys())))
import tensorflow_data_validation as tfdv
assert tfdv.validate_statistics and tfdv.__version__
"""


def test_statistics_in_memory() -> None:
    with seam(
        "tensorflow-data-validation",
        "merge_dataset_feature_statistics, or the two generators and their settings",
        user=_USER,
    ):
        lean_tfdv.load()
        from tensorflow_data_validation.statistics.generators import (
            basic_stats_generator,
            top_k_uniques_sketch_stats_generator,
        )

        generators = [
            basic_stats_generator.BasicStatsGenerator(num_quantiles_histogram_buckets=5),
            top_k_uniques_sketch_stats_generator.TopKUniquesSketchStatsGenerator(
                num_top_values=20,
                num_rank_histogram_buckets=1000,
                num_misragries_buckets=1024,
                num_kmv_buckets=16_384,
                length_counter_sampling_rate=0.0,
            ),
        ]
        batch = pa.record_batch(
            [pa.array([["a"], ["b"], ["a"]]), pa.array([[1], None, [3]])], names=["text", "number"]
        )
        accumulators = [
            generator.add_input(generator.create_accumulator(), batch) for generator in generators
        ]
        (dataset,) = lean_tfdv.merged_output(generators, accumulators).datasets
        assert dataset.num_examples == 3
        found = {feature.path.step[0]: feature for feature in dataset.features}
        assert found["text"].string_stats.unique == 2
        assert found["number"].num_stats.common_stats.num_missing == 1
        assert found["number"].num_stats.max == 3


def test_validation_is_that_of_the_documented_function() -> None:
    with seam(
        "tensorflow-data-validation",
        "pywrap.tensorflow_data_validation_extension.validation.ValidateFeatureStatistics",
        user=_USER,
    ):
        import tensorflow_data_validation as tfdv
        from google.protobuf import text_format
        from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

        schema = text_format.Parse(
            """
            default_environment: "TRAINING"
            default_environment: "SERVING"
            feature {
                name: "text" type: BYTES presence { min_fraction: 1 }
                string_domain { value: "a" } not_in_environment: "SERVING"
            }
            feature { name: "absent" type: INT presence { min_count: 1 } }
            """,
            schema_pb2.Schema(),
        )
        statistics = text_format.Parse(
            """
            datasets { num_examples: 4 features {
                path { step: "text" } type: STRING
                string_stats {
                    common_stats { num_non_missing: 3 num_missing: 1 tot_num_values: 3
                        min_num_values: 1 max_num_values: 1 avg_num_values: 1 }
                    unique: 2
                    rank_histogram { buckets { label: "a" sample_count: 2 }
                        buckets { label: "b" sample_count: 1 } }
                }
            } }
            """,
            statistics_pb2.DatasetFeatureStatisticsList(),
        )
        for environment in ("TRAINING", "SERVING", None):
            documented = tfdv.validate_statistics(statistics, schema, environment=environment)
            (dataset,) = statistics.datasets
            assert lean_tfdv.validate_statistics(dataset, schema, environment) == documented
            assert documented.anomaly_info


def test_import_of_a_part() -> None:
    with seam("tensorflow-data-validation", "what its generators import", user=_USER):
        printed = subprocess.check_output([sys.executable, "-c", _IMPORT], text=True)
        assert json.loads(printed.splitlines()[-1]) == []
