"""TFDV's statistics and validation, imported without the rest of TFDV.

TFDV's own `__init__.py` also imports TensorFlow, pandas, scikit-learn and, through Beam, the
clients of cloud services: 3.4 s of CPU time in place of 0.7 s, for code that is not called here.
"""

import importlib
import logging
from typing import TYPE_CHECKING, Any

from kfp_tabular.components.common.process import lean_imports
from kfp_tabular.components.common.process.tensorflow import import_tensorflow_runtime

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2

_OPTIONAL = (
    # Beam's connectors, which it does without where they are missing.
    "boto3",
    "google.cloud",
    "googleapiclient",
    "oauth2client",
    "pymongo",
    "bson",
    # Beam's data frames.
    "pandas",
)

_MODULES = (
    "tensorflow_data_validation.pywrap.tensorflow_data_validation_extension",
    "tensorflow_data_validation.statistics.generators.basic_stats_generator",
    "tensorflow_data_validation.statistics.generators.top_k_uniques_sketch_stats_generator",
    "tfx_bsl.statistics.merge_util",
)


def load() -> None:
    """Import what this module and `tfdv_statistics` use of TFDV.

    In a process that has imported TFDV already, this does nothing.
    """
    import_tensorflow_runtime()
    # Beam warns of each connector that it cannot load.
    logger = logging.getLogger("apache_beam")
    level = logger.level
    logger.setLevel(logging.ERROR)
    with lean_imports.without(*_OPTIONAL):
        lean_imports.defer("tensorflow_data_validation")
        for module in _MODULES:
            importlib.import_module(module)
    logger.setLevel(level)


def merged_output(
    generators: "Sequence[Any]", accumulators: "Sequence[Any]"
) -> "statistics_pb2.DatasetFeatureStatisticsList":
    """Return the statistics that generators computed, merged by feature.

    Args:
        generators: TFDV's generators.
        accumulators: The accumulator of each, with all input in it.
    """
    load()
    from tfx_bsl.statistics import merge_util

    outputs = [
        generator.extract_output(generator.compact(accumulator))
        for generator, accumulator in zip(generators, accumulators, strict=True)
    ]
    return merge_util.merge_dataset_feature_statistics(outputs)


def validate_statistics(
    statistics: "statistics_pb2.DatasetFeatureStatistics",
    schema: "schema_pb2.Schema",
    environment: str | None,
) -> "anomalies_pb2.Anomalies":
    """Find the anomalies of one dataset, as TFDV's function of this name does.

    Args:
        statistics: The statistics.
        schema: The schema.
        environment: One of the schema's environments; None for none.
    """
    load()
    from tensorflow_data_validation.pywrap.tensorflow_data_validation_extension import validation
    from tensorflow_metadata.proto.v0 import anomalies_pb2

    no_earlier = no_serving = no_version = no_features_needed = default_settings = b""
    return anomalies_pb2.Anomalies.FromString(
        validation.ValidateFeatureStatistics(
            statistics.SerializeToString(),
            schema.SerializeToString(),
            (environment or "").encode(),
            no_earlier,
            no_serving,
            no_version,
            no_features_needed,
            default_settings,
            False,  # no description of a schema that would fit
        )
    )
