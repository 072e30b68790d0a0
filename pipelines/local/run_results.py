"""The results of a local run, for notebooks and scripts."""

import os
import warnings
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kfp_tabular.components.common import html
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.storage import location
from kfp_tabular.pipelines.local import row_prediction, run_folder
from kfp_tabular.pipelines.local.history import run_entry

if TYPE_CHECKING:
    import pyarrow as pa

    from kfp_tabular.components.common.prediction.saved_model import SavedModel


class Run:
    """A finished, failed or stopped run.

    Args:
        folder: The run's folder.

    Attributes:
        folder: The run's folder.
        summary: The content of its `summary.json`.

    Raises:
        UserError: If this is not the folder of a run that has ended.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder).absolute()
        summary = run_folder.read_summary(self.folder)
        if summary is None:
            raise UserError(
                f"{folder}: no summary.json of a run here. Give the folder of a run that has ended "
                "(--output)."
            )
        self.summary: Mapping[str, Any] = summary

    @property
    def status(self) -> str:
        """`succeeded`, `failed` or `stopped`."""
        return str(self.summary["status"])

    @property
    def metrics(self) -> Mapping[str, float]:
        """The metrics of the model on the split that it was evaluated on."""
        found: Mapping[str, float] = self.summary["metrics"]
        return found

    @property
    def model_path(self) -> Path:
        """The model's directory.

        Raises:
            UserError: If the run has none, or it is not on this machine.
        """
        model = self.summary.get("model")
        if not model:
            raise UserError(f"{self.folder}: this run ({self.status}) has no model.")
        place = location.parse(str(model))
        if not place.is_local:
            raise UserError(f"{model}: the model is not on this machine. Download it first.")
        before = Path(self.summary["report"]).parent
        if place.path.is_relative_to(before):
            # The folder may have been moved as a whole; another run may be in its place by now.
            return self.folder / place.path.relative_to(before)
        return place.path

    @cached_property
    def model(self) -> "SavedModel":
        """The model, loaded into this process; `.model.predict` takes tensors.

        Raises:
            UserError: If TensorFlow is not installed here.
        """
        return row_prediction.load(self.model_path)

    def examples(self, split: str = "test") -> "pa.Table":
        """Return the typed rows of a split, with the label, as an Arrow table.

        Not as a DataFrame, which would turn integers with gaps into floats and needs pandas;
        `.to_pandas()` of the table makes one.

        Args:
            split: `train`, `eval`, `test` or another split of the run.

        Raises:
            UserError: If the run has no such split.
        """
        import pyarrow as pa

        from kfp_tabular.components.common.artifacts.examples import Examples

        found = sorted((self.folder / run_folder.ARTIFACTS_FOLDER).glob("*/ingest-data*/examples"))
        if not found:
            raise UserError(f"{self.folder}: this run has no examples.")
        examples = Examples(found[-1])
        return pa.Table.from_batches(examples.batches(split), examples.schema)

    def predict(self, rows: Any) -> Any:
        """Predict for raw rows: as they are in the data, as text or typed.

        With TensorFlow installed, the model is loaded into this process once; otherwise each call
        starts the run's tensorflow environment, which takes seconds.

        Args:
            rows: A pandas DataFrame, an Arrow table, a list of mappings as `csv.DictReader` yields
                them, or a mapping of columns. Columns that the model does not take are ignored;
                of one that it takes and that is not there, a warning is given.

        Returns:
            `prediction` and, of a classifier, `probability_<class>` for each class: a DataFrame for
            a DataFrame, with its index; otherwise an Arrow table.

        Raises:
            UserError: For the first value that is no spelling of one of its feature.
        """
        table = row_prediction.as_table(rows)
        absent = row_prediction.absent_features(self.model_path, table)
        if absent:
            warnings.warn(
                f"no column {', '.join(map(repr, absent))}, so it counts as missing", stacklevel=2
            )
        if row_prediction.has_tensorflow():
            from kfp_tabular.components.common.prediction import predict_rows

            predicted = predict_rows.predict(self.model, table)
        else:
            predicted = row_prediction.predict(self.model_path, table)
        if hasattr(rows, "iloc"):
            return predicted.to_pandas().set_index(rows.index)
        return predicted

    def __repr__(self) -> str:
        shown = ", ".join(f"{name} {value:.4f}" for name, value in self._key_metrics())
        return f"<Run {self.folder.name}: {self.status}{f', {shown}' if shown else ''}>"

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        facts: dict[str, object] = {"run": str(self.folder), "status": self.status}
        if self.summary.get("blessed") is not None:
            facts["model"] = "blessed" if self.summary["blessed"] else "not blessed"
        if self.summary.get("why"):
            facts["why"] = self.summary["why"]
        facts.update(self._key_metrics())
        return str(html.table(("", ""), list(facts.items())))

    def _key_metrics(self) -> list[tuple[str, float]]:
        names = run_entry.KEY_METRICS
        return [(name, self.metrics[name]) for name in names if name in self.metrics]


def load_run(folder: str | os.PathLike[str]) -> Run:
    """Return the results of the run in a folder.

    Args:
        folder: The run's folder, as `--output` of `kfp-tabular run` named it.

    Raises:
        UserError: If this is not the folder of a run that has ended.

    Example:
        >>> load_run("runs/nothing")
        Traceback (most recent call last):
            ...
        kfp_tabular.components.common.errors.UserError: runs/nothing: no summary.json of a run here.
        Give the folder of a run that has ended (--output).
    """
    return Run(folder)
