"""Runs one task on some tables, in the task's environment."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from kfp_tabular.components.common.artifacts import findings
from kfp_tabular.components.common.errors import UserError
from tests.benchmarks.clean_tables.catalog import TABLES


def _ingest(folder: Path, data: Path, label: str) -> Path:
    from kfp_tabular.components.data_ingestion import ingest
    from kfp_tabular.components.data_ingestion.options import IngestionOptions

    paths = {name: folder / name for name in ("examples", "rejected_rows", "summary")}
    options = IngestionOptions(data_uri=str(data), label=label)
    ingest.run(ingest.IngestionRequest(options=options, **paths))
    return folder / "examples"


def _validate(folder: Path, data: Path, label: str) -> Path:
    from kfp_tabular.components.data_validation import validate
    from kfp_tabular.components.data_validation.options import ValidationOptions

    names = ("examples", "schema", "statistics", "anomalies", "report")
    paths = {name: folder / name for name in names}
    options = ValidationOptions(label=label)
    validate.run(validate.ValidationRequest(options=options, **paths)).require()
    return folder / "anomalies"


def _transform(folder: Path, data: Path, label: str) -> Path:
    from kfp_tabular.components.feature_engineering import transform
    from kfp_tabular.components.feature_engineering.options import TransformOptions

    names = ("examples", "schema", "transform_graph", "transformed_examples")
    paths = {name: folder / name for name in names}
    options = TransformOptions(label=label)
    request = transform.TransformRequest(options=options, summary=folder / "features", **paths)
    transform.run(request)
    return folder / "transform_graph"


STAGES: dict[str, Callable[[Path, Path, str], Path]] = {
    "ingest": _ingest,
    "validate": _validate,
    "transform": _transform,
}


def main(stage: str, folder: Path, names: list[str]) -> None:
    """Print a JSON line per table: its findings, or the error that ended the task."""
    for name in names:
        started = time.monotonic()
        line: dict[str, object] = {"table": name, "stage": stage}
        try:
            label = TABLES[name][1]
            artifact = STAGES[stage](folder / name, folder / f"{name}.csv", label)
            line["findings"] = [
                [found.severity, found.code, str(found)] for found in findings.read(artifact)
            ]
        except UserError as error:
            line["findings"] = [["error", "failed", str(error)]]
        line["seconds"] = round(time.monotonic() - started, 1)
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
