"""What statistics use of TensorFlow Data Validation beyond its documented interface."""

import pyarrow as pa

from tests.private_seams import seam

_USER = "components/common/statistics/tfdv_statistics.py"


def test_statistics_in_memory() -> None:
    with seam(
        "tensorflow-data-validation",
        "stats_impl.extract_statistics_output, or the two generators and their settings",
        user=_USER,
    ):
        from tensorflow_data_validation.statistics import stats_impl
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
        merged = stats_impl.extract_statistics_output(accumulators, generators)
        (dataset,) = merged.datasets
        assert dataset.num_examples == 3
        found = {feature.path.step[0]: feature for feature in dataset.features}
        assert found["text"].string_stats.unique == 2
        assert found["number"].num_stats.common_stats.num_missing == 1
        assert found["number"].num_stats.max == 3
