"""The KFP interface of feature engineering."""

from typing import Any, Dict, List

from kfp import dsl

from kfp_tabular.components.common import images


@dsl.component(base_image=images.TENSORFLOW, install_kfp_package=False)
def transform_features(
    examples: dsl.Input[dsl.Dataset],
    schema: dsl.Input[dsl.Artifact],
    transform_graph: dsl.Output[dsl.Artifact],
    transformed_examples: dsl.Output[dsl.Dataset],
    summary: dsl.Output[dsl.Markdown],
    label: str,
    task: str = "auto",
    exclude: List[str] = [],
    feature_config: Dict[str, Any] = {},
    preprocessing_fn: str = "",
) -> None:
    """Turns examples into model-ready features.

    The preprocessing is derived from the schema and from one pass over the train split. The same
    graph transforms the examples here and, inside the exported model, the requests there.

    - Numbers: a z-score (of `log(1 + x)` where they are skewed and never negative), the bucket
      between quantiles as `<name>__bucket`, and `<name>__missing` where values are missing.
      NaN counts as missing. A missing value gets z-score 0.
    - Text, and whole numbers that are codes: the position in a vocabulary, with ids for unknown
      and missing values. Text of too many values: a hash.
    - Points in time: month, day, weekday and hour, as `<name>__month` and so on.
    - Constant, empty and identifier columns are dropped.

    `features.json` in the transform graph, and the summary, say what was derived, what was
    dropped, and why.

    Args:
        examples: Examples with a train split, as `ingest_data` writes them.
        schema: A directory with `schema.pbtxt`, as `validate_data` writes it.
        transform_graph: The tf.Transform output, with `task.json`, `features.json` and a copy of
            the schema.
        transformed_examples: The same splits as Parquet: float32 numbers, int64 ids, and the
            label as class index (int64) or number (float32). No nulls. Rows without a label are
            left out.
        summary: What was derived, as a table.
        label: The label's column.
        task: `binary`, `multiclass`, `regression`, or `auto`: two distinct labels are binary;
            text, or at most 20 distinct whole numbers, multiclass; everything else regression.
        exclude: Columns that the model must not see, such as those known only afterwards.
        feature_config: By feature, an object with `kind` (`numeric`, `categorical`, `hash`,
            `timestamp`, `presence`, `drop`; derived where left out) and its options. numeric:
            `log` (true, false, "auto"), `buckets` (32; 0 for none). categorical: `top_k`
            (10000), `min_frequency` (2), `oov_buckets` (1). hash: `buckets` (4096). timestamp:
            `parts` (of `month`, `day`, `weekday`, `hour`, `minute`, `elapsed`), `format`
            (strptime, or `days` to `nanoseconds` since 1970).
        preprocessing_fn: `package.module:function`, a tf.Transform preprocessing function that
            replaces everything derived. It gets the raw features without the label, dense tensors
            of shape `[batch]`.

    Raises:
        UserError: Exit code 2, where the label, the task, an excluded column or the configuration
            does not fit the data, or no feature is left.
    """
    from pathlib import Path

    from kfp_tabular.components.common.errors import reported_to_user
    from kfp_tabular.components.feature_engineering import transform

    with reported_to_user():
        result = transform.run(
            transform.Request(
                examples=Path(examples.path),
                schema=Path(schema.path),
                transform_graph=Path(transform_graph.path),
                transformed_examples=Path(transformed_examples.path),
                summary=Path(summary.path),
                label=label,
                task=task,
                exclude=exclude,
                feature_config=feature_config,
                preprocessing_fn=preprocessing_fn,
            )
        )
    transform_graph.metadata.update(result.graph_lineage)
    transformed_examples.metadata.update(result.examples_lineage)
    summary.metadata.update(result.examples_lineage)
