"""The KFP interface of feature engineering."""

from typing import Any, Dict, List

from kfp import dsl

from kfp_tabular.components.common import images
from kfp_tabular.components.common.task.component import component


@component(base_image=images.TENSORFLOW)
def transform_features(
    examples: dsl.Input[dsl.Dataset],
    schema: dsl.Input[dsl.Artifact],
    transform_graph: dsl.Output[dsl.Artifact],
    transformed_examples: dsl.Output[dsl.Dataset],
    summary: dsl.Output[dsl.Markdown],
    label: str,
    task: str = "auto",
    positive_class: str = "",
    exclude: List[str] = [],
    feature_config: Dict[str, Any] = {},
    preprocessing_fn: str = "",
    processing: Dict[str, Any] = {},
) -> None:
    """Transform examples into model-ready features, and write the graph that does it.

    The features are derived from the schema and from one pass over the train split. The same
    graph transforms the examples here and, inside the exported model, the requests there.

    - Numbers: a z-score (of `log(1 + x)` if they are skewed and never negative), the bucket
      between quantiles as `<name>__bucket`, and `<name>__missing` if values are missing. NaN
      counts as missing. A missing value gets z-score 0.
    - Text, and whole numbers that are codes: the position in a vocabulary, with ids for unknown
      and missing values. Text with too many values: a hash.
    - Points in time: month, day, weekday and hour, as `<name>__month` and so on; their cycles, as
      `<name>__hour_sin` and `__hour_cos`; the age at the latest time, as `<name>__age`. The graph
      reads every spelling of the source, and ISO 8601.
    - Bags (lists): how often each frequent item occurs, as the vector `<name>__counts`; the size
      and, of numbers, sum, mean, least and largest, as `<name>__statistics`.
    - Constant, empty and identifier columns are dropped.

    `features.json` in the transform graph and the summary list what was derived and what was
    dropped, with the reasons.

    Args:
        examples: Examples with a train split, as `ingest_data` writes them.
        schema: A directory with `schema.pbtxt`, as `validate_data` writes it.
        transform_graph: Output. The tf.Transform output, with `task.json`, `features.json` and a
            copy of the schema.
        transformed_examples: Output. The same splits as Parquet: float32 numbers, int64 ids, and
            the label as class index (int64) or number (float32). No nulls, and no rows without a
            label.
        summary: Output. A Markdown page of what was derived.
        label: The label's column.
        task: `binary`, `multiclass`, `regression`, or `auto`: two distinct labels are binary;
            text, or at most 20 distinct whole numbers, multiclass; everything else regression.
        positive_class: The positive class of a binary task. Empty: the second of 0 and 1, no and
            yes, false and true and the like, the larger of two numbers, otherwise the rarer class.
        exclude: Columns that the model must not see, such as those that are known only after the
            label.
        feature_config: By feature, an object with `kind` (`numeric`, `categorical`, `hash`,
            `timestamp`, `bag`, `text`, `presence`, `drop`; derived by default) and its options.
            numeric: `log` (true, false, "auto"), `buckets` (32; 0 for none). categorical: `top_k`
            (10000), `min_frequency` (2), `oov_buckets` (1), `equal_to` (columns to compare with; []
            for none). hash: `buckets` (4096), `equal_to`. timestamp: `parts` (of `month`, `day`,
            `weekday`, `hour`, `minute`, `utc_hour`, `hour_cycle`, `weekday_cycle`, `month_cycle`,
            `year_cycle`, `age`, `elapsed`), `format` (strptime, or `days` to `nanoseconds` since
            1970), `holidays` (dates, or `12-25` for every year), `reference` (the column that `age`
            is measured to). bag: `separator` (of text), `top_k` (256), `min_frequency` (2). text:
            `words` and `characters` (columns of n-grams, at most 1024; 0 for none), `ngrams` (of
            words, 2), `character_ngrams` ([3, 5]), `length` (bytes read, 8192).
        preprocessing_fn: `package.module:function`, a tf.Transform preprocessing function that
            replaces all derived features. It takes the raw features without the label, as dense
            tensors of shape `[batch]`.
        processing: The engine for rows; by default threads of the task. `{"engine": "spark"}` and
            its settings: see the guide on scaling.

    Raises:
        UserError: Exit code 2. The label, the task, an excluded column or the configuration does
            not fit the data, or no feature is left.

    Example:
        >>> @dsl.pipeline
        ... def features(examples_uri: str, schema_uri: str):
        ...     examples = dsl.importer(artifact_uri=examples_uri, artifact_class=dsl.Dataset)
        ...     schema = dsl.importer(artifact_uri=schema_uri, artifact_class=dsl.Artifact)
        ...     transform_features(
        ...         examples=examples.output, schema=schema.output, label="tip", exclude=["total"]
        ...     )
    """
    from pathlib import Path

    from kfp_tabular.components.common import options
    from kfp_tabular.components.common.artifacts import lineage
    from kfp_tabular.components.common.errors import reported_to_user
    from kfp_tabular.components.common.processing import engines
    from kfp_tabular.components.feature_engineering import transform
    from kfp_tabular.components.feature_engineering.options import TransformOptions

    with reported_to_user(), engines.opened(processing, "transform-features") as opened:
        result = transform.run(
            transform.TransformRequest(
                options=options.build(TransformOptions, locals()),
                examples=Path(examples.path),
                schema=Path(schema.path),
                transform_graph=Path(transform_graph.path),
                transformed_examples=Path(transformed_examples.path),
                summary=Path(summary.path),
            ),
            opened.engine,
            opened.shards_uri,
        )
    transform_graph.metadata.update(lineage.metadata(result.graph_lineage))
    transformed_examples.metadata.update(lineage.metadata(result.examples_lineage))
    summary.metadata.update(lineage.metadata(result.examples_lineage))
