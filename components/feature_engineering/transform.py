"""Transforms examples: derives features, writes their graph, and applies it to every split."""

import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kfp_tabular.components.common import files
from kfp_tabular.components.common.artifacts import lineage
from kfp_tabular.components.common.artifacts import typical_row as typical_row_file
from kfp_tabular.components.common.artifacts.examples import (
    Examples,
    ShardDestination,
    record,
)
from kfp_tabular.components.common.artifacts.findings import Findings
from kfp_tabular.components.common.artifacts.raw_features import (
    SCHEMA_FILE,
    RawFeature,
    read_schema,
)
from kfp_tabular.components.common.artifacts.supervised_task import Task
from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.components.common.processing.engine import Engine
from kfp_tabular.components.common.values import column_format
from kfp_tabular.components.feature_engineering import (
    plan_findings,
    task_resolution,
    transform_summary,
    transformed_examples,
)
from kfp_tabular.components.feature_engineering.features import (
    bag_facts,
    column_facts,
    equality_choice,
    equality_facts,
    feature_config,
    feature_plan,
    time_facts,
    typical_row,
)
from kfp_tabular.components.feature_engineering.features.planned_features import (
    DroppedColumn,
    FeaturePlan,
    TransformedColumn,
)
from kfp_tabular.components.feature_engineering.features.schema_columns import (
    SchemaColumn,
    schema_columns,
)
from kfp_tabular.components.feature_engineering.graph import (
    text_counts,
    transform_graph,
    user_function,
)
from kfp_tabular.components.feature_engineering.options import TransformOptions
from kfp_tabular.components.feature_engineering.task_resolution import TRAIN

LIBRARIES = ("tensorflow", "tensorflow-transform", "pyarrow")

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TransformRequest:
    """What to transform, and where to write the outputs.

    Attributes:
        options: The label, and how to derive features.
        examples: An examples artifact.
        schema: A schema artifact.
        transform_graph: Path of the transform graph output, a directory.
        transformed_examples: Path of the transformed examples output, a directory.
        summary: Path of the Markdown page, a file.
    """

    options: TransformOptions
    examples: Path
    schema: Path
    transform_graph: Path
    transformed_examples: Path
    summary: Path


@dataclass(frozen=True)
class TransformResult:
    """The outcome of a transform.

    Attributes:
        task: The supervised task.
        rows: Transformed rows by split.
        graph_lineage: The lineage of the transform graph.
        examples_lineage: The lineage of the transformed examples.
    """

    task: Task
    rows: Mapping[str, int]
    graph_lineage: Mapping[str, Any]
    examples_lineage: Mapping[str, Any]


def run(
    request: TransformRequest, engine: Engine | None = None, shards_uri: str = ""
) -> TransformResult:
    """Derive features, write their transform graph, and transform the examples.

    Args:
        request: What to transform, and where to write.
        engine: What runs folds and maps; None for threads of this process.
        shards_uri: The URI below which the shards are written; empty for the output's directory.

    Raises:
        UserError: An option does not fit the data, or no feature is left.
    """
    settings = request.options
    settings.check()
    examples = Examples(request.examples)
    task_resolution.require_train(examples)
    found = Findings()
    task = task_resolution.resolve(
        examples, settings.label, settings.task, settings.positive_class, found, engine
    )
    _logger.info("task: %s, label %r", task.kind, task.label)
    formats = column_format.read(request.examples)
    candidates, dropped = _candidates(
        settings, examples, schema_columns(read_schema(request.schema), formats)
    )
    inputs = _Inputs(settings, examples, task, candidates, dropped, found, engine)
    with files.atomic_directory(request.transform_graph) as directory:
        if settings.preprocessing_fn:
            made = _from_function(inputs, directory)
        else:
            made = _from_plan(inputs, directory)
        task.save(directory)
        typical_row_file.write(made.typical, directory)
        found.write(directory)
        shutil.copy(_schema_file(request.schema), directory / SCHEMA_FILE)
        if formats:
            column_format.write(formats, directory)
        files.write_text(
            directory / transform_summary.FILE_NAME, transform_summary.as_json(made.document)
        )
        graph_lineage = lineage.record(
            directory,
            inputs={"examples": request.examples, "schema": request.schema},
            libraries=LIBRARIES,
        )
        with (
            files.atomic_directory(request.transformed_examples) as splits,
            ShardDestination.opened(splits, shards_uri) as destination,
        ):
            written = transformed_examples.write(
                examples,
                directory,
                destination,
                features=made.features,
                outputs=made.outputs,
                task=task,
                engine=engine,
            )
            examples_lineage = record(
                splits,
                written.schema,
                written.shards,
                inputs={"examples": request.examples, "transform_graph": directory},
                libraries=LIBRARIES,
                shards_uri=destination.shards_uri,
            )
    files.write_text(request.summary, transform_summary.markdown(made.document, written, found))
    return TransformResult(task, written.rows, graph_lineage, examples_lineage)


@dataclass(frozen=True)
class _Inputs:
    """What a transform graph is made from."""

    options: TransformOptions
    examples: Examples
    task: Task
    candidates: Sequence[SchemaColumn]
    dropped: Sequence[DroppedColumn]
    found: Findings
    engine: Engine | None


@dataclass(frozen=True)
class _WrittenGraph:
    """A transform graph on disk."""

    features: Sequence[RawFeature]
    outputs: Sequence[TransformedColumn]
    document: Mapping[str, Any]
    typical: Mapping[str, Any]


def _from_plan(inputs: _Inputs, directory: Path) -> _WrittenGraph:
    plan, typical = _plan(inputs)
    plan_findings.add(plan, inputs.found)
    transform_graph.write(plan, inputs.task, directory)
    features = [feature.feature for feature in plan.features]
    document = transform_summary.derived(plan, inputs.task)
    return _WrittenGraph(features, plan.outputs, document, typical)


def _from_function(inputs: _Inputs, directory: Path) -> _WrittenGraph:
    settings = inputs.options
    function = user_function.load(settings.preprocessing_fn)
    given = [column.feature for column in inputs.candidates]
    made = user_function.write(
        function, inputs.examples, given, inputs.task, directory, inputs.engine
    )
    unused = [
        DroppedColumn(feature.name, "not used by the preprocessing_fn")
        for feature in given
        if feature not in made.features
    ]
    document = transform_summary.own(
        settings.preprocessing_fn, made, [*inputs.dropped, *unused], inputs.task
    )
    features = list(made.features)
    facts = column_facts.collect(inputs.examples, features, engine=inputs.engine)
    formats = column_format.read(inputs.examples.path)
    typical = typical_row.of_features(features, facts, formats)
    return _WrittenGraph(features, made.outputs, document, typical)


def _plan(inputs: _Inputs) -> tuple[FeaturePlan, Mapping[str, Any]]:
    """Return what becomes of the columns, and their typical row."""
    settings = inputs.options
    names = [column.feature.name for column in inputs.candidates]
    configured = feature_config.parse(settings.feature_config, names)
    kept = [column for column in inputs.candidates if _is_read(column, configured)]
    wanted = [column.feature for column in kept]
    counted = {
        name: column_facts.CONFIGURED_VALUES
        for name, option in configured.items()
        if option.kind == "categorical"
    }
    facts = column_facts.collect(inputs.examples, wanted, counted=counted, engine=inputs.engine)
    facts = _with_times(inputs, configured, facts)
    bags = feature_plan.bag_columns(inputs.candidates, facts, configured)
    text_columns = feature_plan.text_columns(kept, facts, configured)
    plan = feature_plan.derive(
        inputs.candidates,
        facts,
        configured,
        label=settings.label,
        dropped=inputs.dropped,
        bags=bag_facts.collect(inputs.examples, bags, split=TRAIN, engine=inputs.engine),
        texts=text_counts.collect(inputs.examples, text_columns, inputs.task, engine=inputs.engine),
    )
    pairs = equality_choice.candidates(plan, facts, configured)
    agreements = equality_facts.collect(inputs.examples, pairs, split=TRAIN)
    plan = equality_choice.choose(
        plan, dict(zip(pairs, agreements, strict=True)), facts, configured, [settings.label, *names]
    )
    _logger.info("%d features kept, %d columns dropped", len(plan.features), len(plan.dropped))
    if not plan.features:
        why = "; ".join(f"{column.name!r}: {column.why}" for column in plan.dropped)
        raise UserError(f"{inputs.examples.path}: no feature is left. {why}")
    return plan, typical_row.of_plan(plan, facts)


def _with_times(
    inputs: _Inputs,
    configured: Mapping[str, feature_config.FeatureOptions],
    facts: Mapping[str, column_facts.ColumnFacts],
) -> dict[str, column_facts.ColumnFacts]:
    """Return the facts, with those about points in time where a column holds some."""
    times, references = feature_plan.time_columns(inputs.candidates, facts, configured)
    found = time_facts.collect(
        inputs.examples, times, references, split=TRAIN, engine=inputs.engine
    )
    return {name: replace(of, times=found.get(name)) for name, of in facts.items()}


def _is_read(column: SchemaColumn, configured: Mapping[str, feature_config.FeatureOptions]) -> bool:
    return configured.get(column.feature.name, feature_config.FeatureOptions()).kind != "drop"


def _candidates(
    settings: TransformOptions, examples: Examples, schema: Mapping[str, SchemaColumn]
) -> tuple[list[SchemaColumn], list[DroppedColumn]]:
    present = examples.schema.names
    excluded = lineage.read(examples.path).get("excluded", [])
    known = list(dict.fromkeys([*present, *schema, *excluded]))
    for name in settings.exclude:
        if name not in known:
            raise UserError(f"exclude: the data have no column {name!r}.{closest(name, known)}")
    candidates, dropped = [], []
    for name in known:
        column = schema.get(name)
        if name == settings.label:
            continue
        if name in settings.exclude or name in excluded:
            dropped.append(DroppedColumn(name, "excluded"))
        elif column is None:
            dropped.append(DroppedColumn(name, "not in the schema", "not-in-schema"))
        elif name not in present:
            dropped.append(DroppedColumn(name, "in the schema, but not in the data", "absent"))
        elif not column.live:
            dropped.append(DroppedColumn(name, "not in use: lifecycle_stage in the schema"))
        else:
            candidates.append(column)
    return candidates, dropped


def _schema_file(path: Path) -> Path:
    return path / SCHEMA_FILE if path.is_dir() else path
