"""The model that an endpoint should serve, read from its artifact without numpy or TensorFlow."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kfp_tabular.components.common.artifacts import lineage
from kfp_tabular.components.common.artifacts.supervised_task import TaskKind
from kfp_tabular.components.common.errors import UserError

_DESCRIPTION = "model.json"
# The least number of classes by task; a binary task has exactly so many.
_CLASSES = {"binary": 2, "multiclass": 2, "regression": 0}
_DTYPES = ("float32", "int64", "string")
_DIGEST = re.compile(r"(sha256:)?[0-9a-f]*")


@dataclass(frozen=True)
class DeployedModelInput:
    """A raw feature that the model takes.

    Attributes:
        name: The column's name.
        dtype: `float32`, `int64` or `string`.
        input: The name of the signature's input.
    """

    name: str
    dtype: str
    input: str


@dataclass(frozen=True)
class DeployedModel:
    """What a rollout must know of a model.

    Attributes:
        digest: Digest of its content, `sha256:<hex>`.
        task: `binary`, `multiclass` or `regression`.
        classes: A classifier's classes; the second one of a binary model is the positive class.
        decision_threshold: The probability from which on a binary model predicts that class.
        inputs: The raw features that it takes.
        schema_digest: Digest of the schema that it was trained with.
    """

    digest: str
    task: TaskKind
    classes: Sequence[str]
    decision_threshold: float | None
    inputs: Sequence[DeployedModelInput]
    schema_digest: str

    @classmethod
    def load(cls, directory: Path) -> "DeployedModel":
        """Read a model artifact, without the libraries that running it needs.

        Raises:
            UserError: If the directory holds no model.
        """
        file = directory / _DESCRIPTION
        if not (directory / "saved_model.pb").is_file():
            raise UserError(f"{directory}: no saved_model.pb here; train_model writes it.")
        try:
            fields: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            _check(fields)
            return cls(
                digest=lineage.digest(directory),
                task=fields["task"],
                classes=tuple(fields["classes"]),
                decision_threshold=fields["decision_threshold"],
                inputs=tuple(
                    DeployedModelInput(entry["name"], entry["dtype"], entry["input"])
                    for entry in fields["inputs"]
                ),
                schema_digest=fields["schema_digest"],
            )
        except OSError as error:
            raise UserError(f"{file}: cannot be read: {error.strerror}.") from error
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise UserError(f"{file}: not a model description: {error!r}") from error


def _check(fields: Mapping[str, Any]) -> None:
    task, classes, threshold = fields["task"], fields["classes"], fields["decision_threshold"]
    if not isinstance(task, str) or task not in _CLASSES:
        raise ValueError(f"task: {task!r} is not one of {', '.join(_CLASSES)}")
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        raise ValueError("classes: expected a list of text")
    if len(classes) < _CLASSES[task] or (task == "binary" and len(classes) > _CLASSES[task]):
        raise ValueError(f"classes: {len(classes)} do not fit a {task} task")
    number = isinstance(threshold, int | float) and not isinstance(threshold, bool)
    if threshold is not None and not number:
        raise ValueError("decision_threshold: expected a number or null")
    if not isinstance(fields["schema_digest"], str) or not _DIGEST.fullmatch(
        fields["schema_digest"]
    ):
        raise ValueError("schema_digest: expected sha256:<hexadecimal digits>")
    for entry in fields["inputs"]:
        if entry["dtype"] not in _DTYPES:
            raise ValueError(f"inputs: dtype {entry['dtype']!r} is not one of {', '.join(_DTYPES)}")
        if not isinstance(entry["name"], str) or not isinstance(entry["input"], str):
            raise TypeError("inputs: name and input are text")
