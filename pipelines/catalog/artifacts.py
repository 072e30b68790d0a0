"""The content of each artifact, for the reference pages."""

_BY_NAME = {
    "examples": (
        "Parquet shards by split, `split=train/part-00000.parquet`, one Arrow schema for all: "
        "`int64`, `float64` and `string` columns, a missing value is null. pyarrow, DuckDB, "
        "Spark and BigQuery read it as a hive-partitioned data set. `_manifest.json` names the "
        "shards with rows, bytes and SHA-256, the schema and the lineage."
    ),
    "rejected_rows": (
        "Parquet: the rows that could not be parsed, as raw text with their file, line and reason."
    ),
    "predictions": (
        "Parquet shards in the order of the rows, `split=predictions/part-00000.parquet`: key "
        "columns, `prediction`, `probability_<class>` for each class, and the model's name, "
        "version and digest; with `write_csv` also `_csv/part-00000.csv`. `_manifest.json` names "
        "the shards."
    ),
    "outline": (
        "Parquet by split with the columns of the examples, and one row for each label: what "
        "`check_parameters` reads instead of the examples."
    ),
    "statistics": (
        "TFDV statistics per split: `<split>.binpb`, a binary `DatasetFeatureStatisticsList`."
    ),
    "schema": "`schema.pbtxt`, a TensorFlow Metadata `Schema` in text form.",
    "anomalies": (
        "TensorFlow Metadata `Anomalies` in text form: `anomalies.pbtxt` over all splits, "
        "`<split>/anomalies.pbtxt` for each; and `anomalies.json`, a list of objects."
    ),
    "transform_graph": (
        "A TensorFlow Transform output directory, with `task.json` (kind of task, label, "
        "classes), `schema.pbtxt` (the raw schema) and `features.json` (how each "
        "column was treated, and why)."
    ),
    "transformed_examples": (
        "Parquet shards by split, like examples: `float32` numbers and `int64` ids, without "
        "missing values, and the label."
    ),
    "hyperparameters": "A file with a JSON object of hyperparameters by name.",
    "model": (
        "A SavedModel with two signatures: `serving_default` takes the raw features by name, "
        "`serving_examples` serialized `tf.Example`. Beside it `model.json` (task, label, classes, "
        "decision threshold, inputs, versions, hyperparameters) and `schema.pbtxt`."
    ),
    "training_logs": "TensorBoard logs, and `training.json` with the metrics at each evaluation.",
    "golden_examples": (
        "`golden.json`: a few raw rows, and the model's predictions for them at its evaluation."
    ),
    "evaluation": "`evaluation.json`: all results of the evaluation.",
}
_SAME_AS = {"baseline_model": "model"}

_BY_TYPE = {
    "Metrics": "Numbers by name, shown in the Kubeflow UI.",
    "ClassificationMetrics": "ROC curve and confusion matrix, shown in the Kubeflow UI.",
    "HTML": "One self-contained page; nothing is loaded from a network.",
    "Markdown": "A short text, shown in the Kubeflow UI.",
}


def format_of(name: str, artifact_type: str) -> str | None:
    """Return a description of an artifact's content, a sentence or two of Markdown.

    Args:
        name: The argument's name.
        artifact_type: KFP's type, such as `Dataset`.

    Returns:
        The description; None for an artifact that this module does not know.

    Example:
        >>> format_of("hyperparameters", "Artifact")
        'A file with a JSON object of hyperparameters by name.'
    """
    return _BY_TYPE.get(artifact_type) or _BY_NAME.get(_SAME_AS.get(name, name))
