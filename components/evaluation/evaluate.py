"""Evaluates an exported model on a split of raw examples, in one pass with bounded memory."""

import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kfp_tabular.components.common import files
from kfp_tabular.components.common.artifacts import lineage
from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.common.artifacts.model_document import FILE_NAME as MODEL_FILE
from kfp_tabular.components.common.artifacts.model_document import ModelSpec
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.prediction import predicted_batches
from kfp_tabular.components.common.prediction.saved_model import Predictions, SavedModel
from kfp_tabular.components.evaluation import blessing, slices
from kfp_tabular.components.evaluation.golden_selection import GoldenExamples
from kfp_tabular.components.evaluation.metrics import bootstrap
from kfp_tabular.components.evaluation.metrics.bootstrap import Ints
from kfp_tabular.components.evaluation.metrics.measurement import Measurement
from kfp_tabular.components.evaluation.report import evaluation_document, evaluation_page
from kfp_tabular.components.evaluation.slices import Slicing

EVALUATION_FILE = "evaluation.json"

_DEFAULT_SPLITS = ("test", "eval")
_CHUNK_ROWS = 131_072
_CHUNK_CELLS = 16_000_000
_LOG_EVERY_SECONDS = 10.0

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Request:
    """What to evaluate, on what, and where to write.

    Attributes:
        examples: An examples artifact.
        model: A model artifact.
        evaluation: The directory to write `evaluation.json` into.
        golden_examples: The directory to write `golden.json` into.
        report: The HTML page to write.
        baseline_model: A model artifact to compare with, or None.
        baseline_model_uri: Where one lies, or `<repository>/<name>` for the newest version there,
            instead; or empty.
        split: The split; empty for the first of `test` and `eval` that holds rows.
        slice_columns: Columns, or crosses as `a,b`.
        max_slices: At most so many slices are measured, the largest.
        thresholds: See `blessing.parse`.
        change_thresholds: See `blessing.parse`.
        bootstrap_samples: Resamples for the intervals, at least 100.
        seed: What the intervals' randomness starts from.
    """

    examples: Path
    model: Path
    evaluation: Path
    golden_examples: Path
    report: Path
    baseline_model: Path | None = None
    baseline_model_uri: str = ""
    split: str = ""
    slice_columns: Sequence[str] = ()
    max_slices: int = 100
    thresholds: Mapping[str, Any] = field(default_factory=dict)
    change_thresholds: Mapping[str, Any] = field(default_factory=dict)
    bootstrap_samples: int = 1000
    seed: int = 0


@dataclass(frozen=True)
class Result:
    """What came of it.

    Attributes:
        document: The content of `evaluation.json`; see `evaluation_document.build`.
        lineage: The lineage of `evaluation` and of `golden_examples`.
    """

    document: Mapping[str, Any]
    lineage: Mapping[str, Mapping[str, Any]]

    @property
    def blessed(self) -> bool:
        """Whether all conditions hold."""
        return bool(self.document["blessed"])


def run(request: Request) -> Result:
    """Evaluates a model and writes the evaluation, the golden examples and the page.

    Raises:
        UserError: For bad arguments, examples that do not fit the model, or predictions that are
            not finite.
    """
    _check(request)
    examples = Examples(request.examples)
    split = choose_split(examples, request.split)
    spec = ModelSpec.load(request.model)
    predicted_batches.check_columns(request.model, examples, spec)
    slicings = slices.plan(examples, split, request.slice_columns, request.max_slices)
    names = [slicing.name for slicing in slicings]
    thresholds = blessing.parse(request.thresholds, spec.task, names)
    change_thresholds = blessing.parse(
        request.change_thresholds, spec.task, names, argument="change_thresholds"
    )
    with _baseline(request, examples, spec) as baseline:
        paths = [request.model] if baseline is None else [request.model, baseline]
        models = [SavedModel(path) for path in paths]
        tally = count(examples, split, models, slicings, request.seed)
        content = evaluation_document.build(
            evaluation_document.Counted(
                spec=spec,
                split=split,
                slicings=slicings,
                measurements=tally.measurements,
                without_label=tally.without_label,
                unknown_class=tally.unknown_class,
                models=[
                    evaluation_document.Source(str(path), lineage.read(path)["digest"])
                    for path in paths
                ],
            ),
            thresholds,
            change_thresholds,
            samples=request.bootstrap_samples,
            seed=request.seed,
        )
        inputs = dict(zip(("model", "baseline_model"), paths, strict=False))
        recorded = _write(request, content, tally.golden, {"examples": request.examples, **inputs})
    return Result(content, recorded)


def choose_split(examples: Examples, split: str) -> str:
    """Gives the split to evaluate on.

    Args:
        examples: The examples.
        split: The split that was asked for; empty for the first of `test` and `eval` with rows.

    Raises:
        UserError: Where it does not exist or holds no rows.
    """
    rows = examples.rows()
    if split:
        examples.require(split)
        if not rows[split]:
            raise UserError(f"{examples.path}: split {split!r} holds no rows to evaluate on.")
        return split
    for candidate in _DEFAULT_SPLITS:
        if rows.get(candidate):
            return candidate
    found = ", ".join(f"{name} ({count} rows)" for name, count in rows.items())
    raise UserError(
        f"{examples.path}: no rows in a split 'test' or 'eval'; there are: {found}. "
        "Name one with split."
    )


@dataclass(frozen=True)
class Tally:
    """What one pass over a split counted.

    Attributes:
        measurements: Of each model, in order.
        golden: The chosen rows.
        without_label: Rows left out for want of a label.
        unknown_class: Rows left out because the model does not know their class.
    """

    measurements: list[Measurement]
    golden: GoldenExamples
    without_label: int
    unknown_class: int


def count(
    examples: Examples,
    split: str,
    models: Sequence[SavedModel],
    slicings: Sequence[Slicing],
    seed: int,
) -> Tally:
    """Predicts for a split with each model and counts what the metrics need.

    Args:
        examples: The examples.
        split: The split.
        models: The model, and perhaps a baseline of the same task.
        slicings: The slices to count.
        seed: What the groups of the bootstrap depend on.

    Raises:
        UserError: Where no row has a usable label, or predictions are not finite.
    """
    spec = models[0].spec
    columns = [cut.column for slicing in slicings for cut in slicing.cuts]
    chunk_rows = min(_CHUNK_ROWS, max(1, _CHUNK_CELLS // max(len(spec.classes), 1)))
    counter = _Counter(
        [each.spec for each in models], [len(each.slices) for each in slicings], seed
    )
    golden = GoldenExamples(spec)
    rows = without_label = unknown_class = 0
    started = logged = time.monotonic()
    for batch in predicted_batches.batches(examples, split, models, columns):
        golden.offer(batch)
        predictions = [
            aligned(values, each.spec.classes, spec.classes)
            for values, each in zip(batch.predictions, models, strict=True)
        ]
        cells = [slicing.cells(batch.columns) for slicing in slicings]
        counter.hold(batch.labels, predictions, cells)
        if counter.held >= chunk_rows:
            counter.count(complete=False)
        without_label += batch.missing
        unknown_class += batch.unknown
        rows += batch.columns.num_rows + batch.missing + batch.unknown
        if time.monotonic() - logged > _LOG_EVERY_SECONDS:
            logged = time.monotonic()
            _logger.info("evaluated %d rows of split %r", rows, split)
    counter.count(complete=True)
    seconds = time.monotonic() - started
    _logger.info("evaluated %d rows of split %r in %.1f s", rows, split, seconds)
    if not counter.measurements:
        raise UserError(
            f"{examples.path}: none of the {rows} rows of split {split!r} has a label that the "
            f"model knows: {without_label} have none in column {spec.label!r}, {unknown_class} "
            f"have another class than {', '.join(spec.classes[:10])}."
        )
    return Tally(counter.measurements, golden, without_label, unknown_class)


def aligned(predictions: Predictions, given: Sequence[str], wanted: Sequence[str]) -> Predictions:
    """Puts probabilities into another model's order of classes.

    Args:
        predictions: Shape `[rows, given classes]`; those of a regression model pass unchanged.
        given: The classes of `predictions`.
        wanted: The classes of the result. One that was not given gets probability 0.
    """
    if given == wanted:
        return predictions
    result = np.zeros((len(predictions), len(wanted)), np.float32)
    for column, name in enumerate(wanted):
        if name in given:
            result[:, column] = predictions[:, given.index(name)]
    return result


class _Counter:
    """Gathers batches into chunks, and counts a chunk at once."""

    def __init__(self, specs: Sequence[ModelSpec], slices: Sequence[int], seed: int) -> None:
        self.measurements: list[Measurement] = []
        self.held = 0
        self._specs = specs
        self._slices = slices
        self._seed = seed
        self._start = 0
        self._clear()

    def hold(
        self, labels: npt.NDArray[Any], predictions: Sequence[Predictions], cells: Sequence[Ints]
    ) -> None:
        self.held += len(labels)
        self._labels.append(labels)
        for kept, values in zip(self._predictions, predictions, strict=True):
            kept.append(values)
        for kept_cells, cell in zip(self._cells, cells, strict=True):
            kept_cells.append(cell)

    def count(self, *, complete: bool) -> None:
        if not self.held:
            return
        labels = np.concatenate(self._labels)
        predictions = [np.concatenate(values) for values in self._predictions]
        cells = [np.concatenate(values) for values in self._cells]
        if not self.measurements:
            # Bins of all models come of the same rows: the first ones.
            spec = self._specs[0]
            self.measurements = [
                Measurement(spec, labels, values, complete=complete, slices=self._slices)
                for values in predictions
            ]
        groups = bootstrap.groups(self._start, len(labels), self._seed)
        for measurement, values in zip(self.measurements, predictions, strict=True):
            measurement.add(groups, labels, values, cells)
        self._start += len(labels)
        self._clear()

    def _clear(self) -> None:
        self.held = 0
        self._labels: list[npt.NDArray[Any]] = []
        self._predictions: list[list[Predictions]] = [[] for _ in self._specs]
        self._cells: list[list[Ints]] = [[] for _ in self._slices]


@contextmanager
def _baseline(request: Request, examples: Examples, spec: ModelSpec) -> Iterator[Path | None]:
    from kfp_tabular.components.common.storage import local_copy

    if request.baseline_model_uri:
        with local_copy(request.baseline_model_uri) as path:
            model = _newest_version(path)
            _check_baseline(model, examples, spec)
            yield model
    else:
        if request.baseline_model is not None:
            _check_baseline(request.baseline_model, examples, spec)
        yield request.baseline_model


def _newest_version(path: Path) -> Path:
    """Gives the newest version where `path` is a model's directory in a repository, else `path`."""
    if (path / MODEL_FILE).is_file() or not path.is_dir():
        return path
    versions = [entry for entry in path.glob("[0-9]*") if entry.name.isdecimal()]
    return max(versions, key=lambda entry: int(entry.name), default=path)


def _check_baseline(path: Path, examples: Examples, spec: ModelSpec) -> None:
    baseline = ModelSpec.load(path)
    predicted_batches.check_columns(path, examples, baseline)
    for what, ours, theirs in (
        ("task", spec.task, baseline.task),
        ("label", spec.label, baseline.label),
    ):
        if ours != theirs:
            raise UserError(
                f"baseline model {path}: its {what} is {theirs!r}, the model's is {ours!r}; "
                "such models cannot be compared."
            )
    if spec.task == "binary" and set(spec.classes) != set(baseline.classes):
        raise UserError(
            f"baseline model {path}: its classes are {', '.join(baseline.classes)}, the model's "
            f"are {', '.join(spec.classes)}; such models cannot be compared."
        )


def _check(request: Request) -> None:
    if request.baseline_model is not None and request.baseline_model_uri:
        raise UserError("baseline_model and baseline_model_uri: give one of the two.")
    if not 100 <= request.bootstrap_samples <= 100_000:
        raise UserError(
            f"bootstrap_samples: {request.bootstrap_samples} is not between 100 and 100,000."
        )
    if not 1 <= request.max_slices <= 1000:
        raise UserError(f"max_slices: {request.max_slices} is not between 1 and 1,000.")


def _write(
    request: Request,
    content: Mapping[str, Any],
    golden: GoldenExamples,
    inputs: Mapping[str, Path],
) -> dict[str, dict[str, Any]]:
    def record(directory: Path) -> dict[str, Any]:
        return lineage.record(
            directory,
            inputs=inputs,
            rows={content["split"]: content["rows"]},
            seed=request.seed,
            libraries=["tensorflow", "numpy", "pyarrow"],
        )

    recorded = {}
    with files.atomic_directory(request.golden_examples) as directory:
        golden.save(directory)
        recorded["golden_examples"] = record(directory)
    files.write_text(request.report, evaluation_page.page(content))
    with files.atomic_directory(request.evaluation) as directory:
        text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
        files.write_text(directory / EVALUATION_FILE, text)
        recorded["evaluation"] = record(directory)
    return recorded
