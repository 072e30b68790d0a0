"""Runs one task of the pipeline on tables, in the task's environment.

.venvs/tensorflow/bin/python -m tests.benchmarks.public_tables.tasks ingest '[{"name": ...}]'
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kfp_tabular.components.common.artifacts import findings
from kfp_tabular.components.common.errors import UserError
from tests.benchmarks.public_tables.installation import ENVIRONMENTS

STAGES = {"ingest": "tensorflow", "validate": "tfdv", "transform": "tensorflow"}
"""The tasks in their order, with the environment of each."""


@dataclass(frozen=True)
class TaskInput:
    """A table to run a task on.

    Attributes:
        name: The table.
        folder: Where the artifacts are, and come to.
        data: The CSV file.
        label: The column to predict.
        task: The kind of task; `auto` to find it out.
        split_column: The column that names each row's split; empty to split by hash.
    """

    name: str
    folder: str
    data: str
    label: str
    task: str = "auto"
    split_column: str = ""


def run(stage: str, tables: Sequence[TaskInput]) -> Iterator[dict[str, Any]]:
    """Run a task on tables, in its environment.

    Yields:
        By table: `table`, `stage`, `seconds`, and `findings` as lists of severity, code and text.
        An error that ends the task is a finding.
    """
    if not tables:
        return
    python = ENVIRONMENTS / STAGES[stage] / "bin" / "python"
    document = json.dumps([asdict(table) for table in tables])
    command = [python, "-m", "tests.benchmarks.public_tables.tasks", stage, document]
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    for line in ended.stdout.splitlines():
        if line.startswith("{"):
            yield json.loads(line)


def _ingest(table: TaskInput) -> Path:
    from kfp_tabular.components.data_ingestion import ingest
    from kfp_tabular.components.data_ingestion.options import (
        BY_COLUMN,
        IngestionOptions,
        SplitOptions,
    )

    folder = Path(table.folder)
    paths = {name: folder / name for name in ("examples", "rejected_rows", "summary")}
    given = SplitOptions(split_method=BY_COLUMN, split_column=table.split_column)
    options = IngestionOptions(
        data_uri=table.data,
        label=table.label,
        split=given if table.split_column else SplitOptions(),
    )
    ingest.run(ingest.IngestionRequest(options=options, **paths))
    return folder / "examples"


def _validate(table: TaskInput) -> Path:
    from kfp_tabular.components.data_validation import validate
    from kfp_tabular.components.data_validation.options import ValidationOptions

    folder = Path(table.folder)
    names = ("examples", "schema", "statistics", "anomalies", "report")
    paths = {name: folder / name for name in names}
    options = ValidationOptions(label=table.label)
    validate.run(validate.ValidationRequest(options=options, **paths)).require()
    return folder / "anomalies"


def _transform(table: TaskInput) -> Path:
    from kfp_tabular.components.feature_engineering import transform
    from kfp_tabular.components.feature_engineering.options import TransformOptions

    folder = Path(table.folder)
    names = ("examples", "schema", "transform_graph", "transformed_examples")
    paths = {name: folder / name for name in names}
    options = TransformOptions(label=table.label, task=table.task)
    request = transform.TransformRequest(options=options, summary=folder / "features", **paths)
    transform.run(request)
    return folder / "transform_graph"


_TASKS: dict[str, Callable[[TaskInput], Path]] = {
    "ingest": _ingest,
    "validate": _validate,
    "transform": _transform,
}


def main(stage: str, document: str) -> None:
    """Print a JSON line per table."""
    for given in json.loads(document):
        table = TaskInput(**given)
        started = time.monotonic()
        line: dict[str, object] = {"table": table.name, "stage": stage}
        try:
            line["findings"] = [
                [found.severity, found.code, str(found)]
                for found in findings.read(_TASKS[stage](table))
            ]
        except UserError as error:
            line["findings"] = [["error", "failed", str(error)]]
        line["seconds"] = round(time.monotonic() - started, 1)
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
