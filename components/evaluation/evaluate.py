"""Evaluation of an exported model on a split of raw examples."""

import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from kfp_tabular.components.common import files, options
from kfp_tabular.components.common.artifacts import lineage
from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.common.artifacts.findings import Finding, Findings
from kfp_tabular.components.common.artifacts.golden_examples import GoldenExamples
from kfp_tabular.components.common.artifacts.model_document import ModelSpec
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.explanation.explainer import Explainer
from kfp_tabular.components.common.outcome_value.outcome_values import OutcomeValues
from kfp_tabular.components.common.prediction import predicted_batches, saved_model
from kfp_tabular.components.common.prediction.saved_model import SavedModel
from kfp_tabular.components.common.process.tensorflow import use_one_thread_per_operation
from kfp_tabular.components.common.processing import row_keys
from kfp_tabular.components.common.processing.engine import Engine
from kfp_tabular.components.common.processing.local_engine import LocalEngine
from kfp_tabular.components.common.statistics import bootstrap, leaks
from kfp_tabular.components.evaluation import baseline, model_findings, slices
from kfp_tabular.components.evaluation.blessing import Bounds
from kfp_tabular.components.evaluation.comparison import entities
from kfp_tabular.components.evaluation.counting import CountingPlan, EvaluationFold, count
from kfp_tabular.components.evaluation.explanations import effort, explain, worked_example
from kfp_tabular.components.evaluation.explanations.model_answers import ModelAnswers
from kfp_tabular.components.evaluation.explanations.row_sample import SampledRows
from kfp_tabular.components.evaluation.explanations.thresholds import ErrorCosts
from kfp_tabular.components.evaluation.options import EvaluationOptions
from kfp_tabular.components.evaluation.report import (
    evaluation_document,
    evaluation_page,
    model_card,
)

EVALUATION_FILE = "evaluation.json"

_DEFAULT_SPLITS = ("test", "eval")
_TRAIN = "train"
# Few ranges, because a whole row group is read for each.
_TRAIN_RANGES, _TRAIN_ROWS = 8, 2048

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class EvaluationRequest:
    """A model to evaluate.

    Attributes:
        examples: Directory of the examples artifact.
        model: Directory of the model artifact.
        evaluation: The directory to write `evaluation.json` into.
        golden_examples: The directory to write `golden.json` into.
        report: The HTML page to write.
        baseline_model: Directory of a model artifact to compare with, or None.
        card: The HTML page of the model card to write, besides that in `evaluation`; None for none.
        options: The arguments of the component.
    """

    examples: Path
    model: Path
    evaluation: Path
    golden_examples: Path
    report: Path
    baseline_model: Path | None = None
    card: Path | None = None
    options: EvaluationOptions = field(default_factory=EvaluationOptions)


@dataclass(frozen=True)
class Evaluation:
    """An evaluated model.

    Attributes:
        document: The content of `evaluation.json`; see `evaluation_document.build`.
        lineage: The lineage of `evaluation` and of `golden_examples`.
    """

    document: Mapping[str, Any]
    lineage: Mapping[str, Mapping[str, Any]]

    @property
    def is_blessed(self) -> bool:
        """Whether all conditions hold."""
        return bool(self.document["blessed"])


def run(request: EvaluationRequest, engine: Engine | None = None) -> Evaluation:
    """Evaluate a model; write the evaluation, the golden examples and the page.

    Args:
        request: What to evaluate.
        engine: What runs the folds over the examples; None for this machine.

    Raises:
        UserError: If an argument does not fit, the examples do not fit the model, or predictions
            are not finite.
    """
    given = request.options
    options.check(given)
    found = Findings()
    chosen = baseline.named(request.baseline_model, given)
    examples = Examples(request.examples)
    split = choose_split(examples, given.split)
    spec = ModelSpec.load(request.model)
    predicted_batches.check_columns(request.model, examples, spec)
    model_findings.check_accepted(given.accept, spec.classes)
    engine = LocalEngine() if engine is None else engine
    entities.check(given.entity_columns, examples.schema.names)
    sliced = given.all_slice_columns()
    bounds = Bounds.of(given, spec.task, slices.names(sliced, examples.schema.names))
    values = OutcomeValues.parse(given.outcome_values, spec.task)
    if values is not None:
        values.check(examples.schema)
    slicings = slices.plan(examples, split, sliced, given.max_slices, engine)
    with baseline.local_model(request.baseline_model, chosen, found) as compared:
        if compared is not None:
            baseline.check(compared, examples, spec)
        paths = [request.model] if compared is None else [request.model, compared]
        planned = effort.plan(
            len(spec.inputs),
            examples.rows()[split],
            given.explanation_rows,
            given.explanation_repetitions,
        )
        plan = CountingPlan(
            tuple(ModelSpec.load(path) for path in paths),
            slicings,
            given.seed,
            planned.rows if given.explanations else 0,
            tuple(given.entity_columns),
            values,
        )
        columns = [*given.entity_columns, *([] if values is None else values.columns())]
        columns += [cut.column for slicing in slicings for cut in slicing.cuts]
        reader = predicted_batches.reader(examples, paths, columns)
        use_one_thread_per_operation()
        # Loaded before threads start, which would load it once each.
        model = saved_model.loaded(request.model)
        # Before threads predict, too: it replaces functions of the graph.
        explainer = _explainer(model) if given.explanations else None
        tally = count(examples, split, reader, plan, engine, f"evaluated split {split!r}")
        document = evaluation_document.build(
            tally,
            [evaluation_document.ModelSource.of(path) for path in paths],
            bounds,
            samples=given.bootstrap_samples,
            seed=given.seed,
            costs=ErrorCosts(given.false_positive_cost, given.false_negative_cost),
            train=_train_metric(examples, split, request.model, plan, engine),
            scan=lambda: leaks.scan(
                examples, spec.task, spec.label, [entry.name for entry in spec.inputs], engine
            ),
        )
        if given.explanations:
            document |= _explained(
                tally.explained, model, explainer, planned, given.seed, document["findings"]
            )
        for entry in document["findings"]:
            found.add(Finding(**entry))
        _logger.info("%s", document["why"])
        named = dict(zip(("model", "baseline_model"), paths, strict=False))
        inputs = {"examples": request.examples, **named}
        return Evaluation(
            document, _write(request, document, found, tally.golden.answered(model), inputs)
        )


def choose_split(examples: Examples, split: str) -> str:
    """Return the split to evaluate on.

    Args:
        examples: The examples.
        split: The requested split; empty for the first of `test` and `eval` that has rows.

    Raises:
        UserError: If it does not exist or has no rows.

    Example:
        >>> import tempfile
        >>> import pyarrow as pa
        >>> from kfp_tabular.components.common.artifacts.examples import ExamplesWriter
        >>> table = pa.table({"fare": [12.5]})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with ExamplesWriter(folder, table.schema, ["train", "eval", "test"]) as writer:
        ...         writer.write("eval", table)
        ...     choose_split(Examples(Path(folder)), "")
        'eval'
    """
    rows = examples.rows()
    if split:
        examples.require(split)
        if not rows[split]:
            raise UserError(f"{examples.path}: split {split!r} has no rows to evaluate on.")
        return split
    for candidate in _DEFAULT_SPLITS:
        if rows.get(candidate):
            return candidate
    found = ", ".join(f"{name} ({count} rows)" for name, count in rows.items())
    raise UserError(
        f"{examples.path}: neither split 'test' nor 'eval' has rows; the splits are: {found}. "
        "Name one with the argument split."
    )


def _explainer(model: SavedModel) -> Explainer | None:
    """Return what explains single predictions; None for a model with too many inputs."""
    if len(model.spec.inputs) > worked_example.MOST_INPUTS:
        return None
    return Explainer(model.tensorflow, model.graph, model.spec)


def _explained(
    rows: SampledRows,
    model: SavedModel,
    explainer: Explainer | None,
    planned: effort.Effort,
    seed: int,
    findings: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Return what is explained of the model, and the findings with those that it adds."""
    started = time.monotonic()
    predict = ModelAnswers(model)
    explained = explain.explain(rows, model.spec, predict, planned, seed)
    example = worked_example.make(rows, explainer, predict)
    found = [*explained.findings, *example.findings]
    _logger.info("explained the model in %.1f s", time.monotonic() - started)
    return {
        **explained.document,
        "example": example.document,
        "findings": [*findings, *(asdict(finding) for finding in found)],
    }


def _train_metric(
    examples: Examples, split: str, model: Path, plan: CountingPlan, engine: Engine
) -> float | None:
    """Return the primary metric on rows of the train split; None if it has none."""
    rows = examples.rows().get(_TRAIN, 0)
    if split == _TRAIN or not rows:
        return None
    spec = plan.specs[0]
    reader = predicted_batches.reader(
        examples, [model], ranges=row_keys.ranges(rows, _TRAIN_RANGES, _TRAIN_ROWS, plan.seed)
    )
    counted = engine.fold(
        reader.pieces(examples, _TRAIN),
        partial(EvaluationFold, CountingPlan((spec,), seed=plan.seed), _TRAIN),
        reader,
    )
    if not counted.rows:
        return None
    overall = counted.measurements[0].overall
    measured = overall.measured(0, np.ones((1, bootstrap.GROUPS)))
    return model_findings.train_metric(measured.points, spec)


def _write_card(directory: Path, request: EvaluationRequest, document: Mapping[str, Any]) -> None:
    card = model_card.build(
        document,
        ModelSpec.load(request.model),
        rows=lineage.read(request.model).get("rows", {}),
        model_name=request.options.model_name,
        intended_use=request.options.intended_use,
    )
    page = card.page()
    files.write_text(directory / model_card.HTML_FILE, page)
    files.write_text(directory / model_card.MARKDOWN_FILE, card.markdown())
    if request.card is not None:
        files.write_text(request.card, page)


def _write(
    request: EvaluationRequest,
    document: Mapping[str, Any],
    found: Findings,
    golden: GoldenExamples,
    inputs: Mapping[str, Path],
) -> dict[str, dict[str, Any]]:
    def record(directory: Path) -> dict[str, Any]:
        return lineage.record(
            directory,
            inputs=inputs,
            rows={document["split"]: document["rows"]},
            seed=request.options.seed,
            libraries=["tensorflow", "numpy", "pyarrow"],
        )

    recorded = {}
    with files.atomic_directory(request.golden_examples) as directory:
        golden.save(directory)
        recorded["golden_examples"] = record(directory)
    files.write_text(request.report, evaluation_page.page(document))
    with files.atomic_directory(request.evaluation) as directory:
        text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
        files.write_text(directory / EVALUATION_FILE, text)
        _write_card(directory, request, document)
        found.write(directory)
        recorded["evaluation"] = record(directory)
    return recorded
