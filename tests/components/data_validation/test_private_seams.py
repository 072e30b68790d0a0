"""What data validation uses of TensorFlow Data Validation beyond its documented interface."""

import json
import subprocess
import sys

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
    with seam("tensorflow-data-validation", "what its validation imports", user=_USER):
        printed = subprocess.check_output([sys.executable, "-c", _IMPORT], text=True)
        assert json.loads(printed.splitlines()[-1]) == []
