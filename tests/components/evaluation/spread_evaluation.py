"""Compares an evaluation that an engine spreads over processes with that of one machine."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from kfp_tabular.components.common.processing.engine import Engine
from kfp_tabular.components.evaluation.evaluate import EvaluationRequest, run
from kfp_tabular.components.evaluation.options import EvaluationOptions
from tests import accumulator_laws


class Evaluations:
    """One evaluation, run several times.

    Args:
        data: The fixture that makes rows and examples.
        export: The fixture that exports a model.
        folder: Where they write.
    """

    def __init__(self, data: Any, export: Callable[[], Path], folder: Path) -> None:
        test, train = data.binary_rows(2000), data.binary_rows(600, seed=3)
        self._examples = data.write(folder / "examples", train=train, test=test)
        self._export, self._folder = export, folder
        self._documents: list[Any] = []

    def run(self, engine: Engine | None = None) -> None:
        """Evaluate once more."""
        folder = self._folder / str(len(self._documents))
        request = EvaluationRequest(
            examples=self._examples,
            model=self._export(),
            evaluation=folder / "evaluation",
            golden_examples=folder / "golden",
            report=folder / "report.html",
            options=EvaluationOptions(bootstrap_samples=200, slice_columns=["kind", "Größe (m)"]),
        )
        self._documents.append(run(request, engine).document)

    def check(self) -> None:
        """Compare all of them with the first."""
        first, *others = self._documents
        for document in others:
            accumulator_laws.assert_same(document, first, 1e-9, 1e-15)
        numbers = range(len(self._documents))
        golden = [self._folder / str(number) / "golden" / "golden.json" for number in numbers]
        assert len({each.read_bytes() for each in golden}) == 1
