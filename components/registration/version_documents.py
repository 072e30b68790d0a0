"""The documents of a version: what a registry keeps beside the pointer to the model's bytes."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kfp_tabular.components.common import files
from kfp_tabular.components.common.artifacts import lineage
from kfp_tabular.components.common.artifacts.golden_examples import GoldenExamples
from kfp_tabular.components.common.artifacts.model_document import ModelSpec
from kfp_tabular.components.common.artifacts.model_pointer import FILE_NAME as POINTER_FILE
from kfp_tabular.components.common.artifacts.model_pointer import ModelPointer
from kfp_tabular.components.common.artifacts.raw_features import SCHEMA_FILE
from kfp_tabular.components.registration import mlmodel

EVALUATION_FILE = "evaluation.json"

# Tables of charts and explanations, which the evaluation's own page shows.
_LEFT_OUT = ("curves", "dependence", "gain", "predicted_actual", "residuals", "thresholds")


@dataclass(frozen=True)
class Registrable:
    """A model that can be registered.

    Attributes:
        model: Its directory.
        location: Its URI.
        digest: Digest of its content.
        spec: Its `model.json`.
        golden: Golden examples of its evaluation.
        evaluation: The content of `evaluation.json`.
    """

    model: Path
    location: str
    digest: str
    spec: ModelSpec
    golden: GoldenExamples
    evaluation: Mapping[str, Any]


def write(found: Registrable, folder: Path) -> None:
    """Write the documents of a version into an empty folder.

    `MLmodel`, `requirements.txt` and `python_env.yaml` for MLflow, the pointer, an input example,
    the golden examples (a rollback compares the endpoint with them), the schema, the lineage, and
    the evaluation without its charts.
    """
    import yaml

    document = mlmodel.document(found.spec, found.digest)
    dumped = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
    files.write_text(folder / mlmodel.FILE_NAME, dumped)
    files.write_text(folder / mlmodel.REQUIREMENTS_FILE, mlmodel.requirements(found.spec))
    environment = yaml.safe_dump(mlmodel.python_environment(found.spec))
    files.write_text(folder / "python_env.yaml", environment)
    files.write_text(folder / POINTER_FILE, ModelPointer(found.digest, [found.location]).text())
    example = mlmodel.input_example(found.spec, found.golden.instances)
    files.write_text(folder / mlmodel.EXAMPLE_FILE, json.dumps(example, ensure_ascii=False))
    found.golden.save(folder)
    kept = {name: value for name, value in found.evaluation.items() if name not in _LEFT_OUT}
    files.write_text(folder / EVALUATION_FILE, json.dumps(kept, indent=1, ensure_ascii=False))
    for name, target in ((SCHEMA_FILE, SCHEMA_FILE), (lineage.FILE_NAME, "lineage.json")):
        if (found.model / name).is_file():
            shutil.copyfile(found.model / name, folder / target)


def facts(found: Registrable) -> dict[str, str]:
    """Return what a registry keeps as short facts of a version, to list and to search."""
    recorded = lineage.read(found.model)
    metrics = {
        name: [entry["value"], *(entry["interval"] or ())]
        for name, entry in found.evaluation["metrics"].items()
    }
    baseline = found.evaluation.get("baseline") or {}
    given = {
        "task": found.spec.task,
        "label": found.spec.label,
        "schema_digest": found.spec.schema_digest,
        "examples_digest": recorded.get("inputs", {}).get("transformed_examples", ""),
        "lineage_digest": _digest(recorded),
        "metrics": json.dumps(metrics),
        "rows": str(found.evaluation.get("rows", "")),
        "split": str(found.evaluation.get("split", "")),
        "why": str(found.evaluation.get("why", "")),
        "baseline_digest": str(baseline.get("digest", "")),
        "made_with": found.spec.versions.get("kfp-tabular", ""),
    }
    return {name: text for name, text in given.items() if text}


def _digest(document: Mapping[str, Any]) -> str:
    import hashlib

    text = json.dumps(document, sort_keys=True, ensure_ascii=False)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
