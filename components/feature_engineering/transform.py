"""Derives the preprocessing, writes its graph, and transforms the examples with it."""

import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kfp_tabular.components.common import files
from kfp_tabular.components.common.artifacts import lineage
from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.common.artifacts.raw_features import (
    SCHEMA_FILE,
    RawFeature,
    read_schema,
)
from kfp_tabular.components.common.artifacts.supervised_task import Task
from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.components.feature_engineering import label_encoding, transformed_examples
from kfp_tabular.components.feature_engineering import transform_summary as summary
from kfp_tabular.components.feature_engineering.features import (
    column_facts,
    feature_config,
    feature_plan,
)
from kfp_tabular.components.feature_engineering.features.feature_plan import Column, Dropped, Output
from kfp_tabular.components.feature_engineering.graph import transform_graph, user_function

LIBRARIES = ("tensorflow", "tensorflow-transform", "pyarrow")

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Request:
    """What to transform.

    Attributes:
        examples: The examples artifact.
        schema: The schema artifact.
        transform_graph: Where to write the graph.
        transformed_examples: Where to write the transformed splits.
        summary: Where to write the summary, a Markdown file.
        label: The label's column.
        task: `auto`, `binary`, `multiclass` or `regression`.
        exclude: Columns that the model must not see.
        feature_config: By feature, what to do with it; see `config`.
        preprocessing_fn: `package.module:function` in place of the derived preprocessing.
    """

    examples: Path
    schema: Path
    transform_graph: Path
    transformed_examples: Path
    summary: Path
    label: str
    task: str = label_encoding.AUTO
    exclude: Sequence[str] = ()
    feature_config: Mapping[str, Any] = field(default_factory=dict)
    preprocessing_fn: str = ""


@dataclass(frozen=True)
class Result:
    """What came of it.

    Attributes:
        task: The task.
        rows: Transformed rows by split.
        graph_lineage: The transform graph's lineage.
        examples_lineage: The transformed examples' lineage.
    """

    task: Task
    rows: Mapping[str, int]
    graph_lineage: Mapping[str, Any]
    examples_lineage: Mapping[str, Any]


def run(request: Request) -> Result:
    """Transforms examples.

    Raises:
        UserError: Where the label, the task, the exclusions or the configuration do not fit the
            data, or no feature is left.
    """
    examples = Examples(request.examples)
    if not examples.rows().get(label_encoding.TRAIN):
        examples.require(label_encoding.TRAIN)
        raise UserError(f"{request.examples}: the train split has no rows; choose other splits.")
    task = label_encoding.resolve(examples, request.label, request.task)
    _logger.info("task: %s, label %r", task.kind, task.label)
    schema = feature_plan.columns(read_schema(request.schema))
    candidates, dropped = _candidates(request, examples, schema)
    with files.atomic_directory(request.transform_graph) as directory:
        if request.preprocessing_fn:
            made = _own(request, examples, candidates, dropped, task, directory)
        else:
            made = _derived(request, examples, candidates, dropped, task, directory)
        task.save(directory)
        shutil.copy(_schema_file(request.schema), directory / SCHEMA_FILE)
        files.write_text(directory / summary.FILE_NAME, summary.as_json(made.document))
        graph_lineage = lineage.record(
            directory,
            inputs={"examples": request.examples, "schema": request.schema},
            libraries=LIBRARIES,
        )
        with files.atomic_directory(request.transformed_examples) as splits:
            written = transformed_examples.write(
                examples,
                directory,
                splits,
                features=made.features,
                outputs=made.outputs,
                task=task,
            )
            examples_lineage = lineage.record(
                splits,
                inputs={"examples": request.examples, "transform_graph": directory},
                rows=written.rows,
                libraries=LIBRARIES,
            )
    files.write_text(request.summary, summary.markdown(made.document, written))
    return Result(task, written.rows, graph_lineage, examples_lineage)


@dataclass(frozen=True)
class _Made:
    """A transform graph that was written."""

    features: Sequence[RawFeature]
    outputs: Sequence[Output]
    document: Mapping[str, Any]


def _derived(
    request: Request,
    examples: Examples,
    candidates: Sequence[Column],
    dropped: Sequence[Dropped],
    task: Task,
    directory: Path,
) -> _Made:
    derived = _plan(request, examples, candidates, dropped)
    transform_graph.write(derived, task, directory)
    features = [feature.feature for feature in derived.features]
    return _Made(features, derived.outputs, summary.derived(derived, task))


def _own(
    request: Request,
    examples: Examples,
    candidates: Sequence[Column],
    dropped: Sequence[Dropped],
    task: Task,
    directory: Path,
) -> _Made:
    if request.feature_config:
        raise UserError(
            "feature_config: has no effect beside a preprocessing_fn; leave one of them out."
        )
    function = user_function.load(request.preprocessing_fn)
    given = [column.feature for column in candidates]
    made = user_function.write(function, examples, given, task, directory)
    unused = [
        Dropped(feature.name, "not used by the preprocessing_fn")
        for feature in given
        if feature not in made.features
    ]
    document = summary.own(request.preprocessing_fn, made, [*dropped, *unused], task)
    return _Made(made.features, made.outputs, document)


def _plan(
    request: Request,
    examples: Examples,
    candidates: Sequence[Column],
    dropped: Sequence[Dropped],
) -> feature_plan.Plan:
    names = [column.feature.name for column in candidates]
    options = feature_config.parse(request.feature_config, names)
    wanted = [column.feature for column in candidates if _looked_at(column, options)]
    counted = {
        name: column_facts.CONFIGURED_VALUES
        for name, option in options.items()
        if option.kind == "categorical"
    }
    facts = column_facts.profile(examples, wanted, counted=counted)
    derived = feature_plan.derive(candidates, facts, options, label=request.label, dropped=dropped)
    _logger.info(
        "%d features kept, %d columns dropped", len(derived.features), len(derived.dropped)
    )
    if not derived.features:
        why = "; ".join(f"{column.name!r}: {column.why}" for column in derived.dropped)
        raise UserError(f"{request.examples}: no feature is left. {why}")
    return derived


def _looked_at(column: Column, options: Mapping[str, feature_config.FeatureOptions]) -> bool:
    return options.get(column.feature.name, feature_config.FeatureOptions()).kind != "drop"


def _candidates(
    request: Request, examples: Examples, schema: Mapping[str, Column]
) -> tuple[list[Column], list[Dropped]]:
    present = examples.schema.names
    known = [*present, *(name for name in schema if name not in present)]
    for name in request.exclude:
        if name == request.label:
            raise UserError(f"exclude: {name!r} is the label; leave it out of the list.")
        if name not in known:
            raise UserError(f"exclude: there is no column {name!r}.{closest(name, known)}")
    if request.label in request.feature_config:
        raise UserError(f"feature_config: {request.label!r} is the label, not a feature.")
    candidates, dropped = [], []
    for name in known:
        column = schema.get(name)
        if name == request.label:
            continue
        if name in request.exclude:
            dropped.append(Dropped(name, "excluded"))
        elif column is None:
            dropped.append(Dropped(name, "not in the schema"))
        elif name not in present:
            dropped.append(Dropped(name, "in the schema, but not in the data"))
        elif not column.live:
            dropped.append(Dropped(name, "out of use, says its lifecycle_stage in the schema"))
        else:
            candidates.append(column)
    return candidates, dropped


def _schema_file(path: Path) -> Path:
    return path / SCHEMA_FILE if path.is_dir() else path
