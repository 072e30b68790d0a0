"""`model.json`: the description of a SavedModel, beside it in the same directory."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from kfp_tabular.components.common import files
from kfp_tabular.components.common.artifacts import typical_row
from kfp_tabular.components.common.artifacts.raw_features import DType, RawFeature
from kfp_tabular.components.common.artifacts.supervised_task import TaskKind
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.values import column_format
from kfp_tabular.components.common.values.column_format import ColumnFormat

FILE_NAME = "model.json"
LARGEST_BYTES = 16 * 2**20
"""How large the file may be. A hundred thousand classes take a few MiB."""

SERVING_SIGNATURE = "serving_default"
"""Signature that takes the raw features by name, tensors of shape `[batch]`."""

EXAMPLES_SIGNATURE = "serving_examples"
"""Signature that takes `examples`, serialized tf.Example protos of shape `[batch]`."""

PROBABILITIES = "probabilities"
"""Output of a classifier: float32 `[batch, classes]`, in the order of `ModelSpec.classes`."""

CLASSES = "classes"
"""Output of a classifier: string `[batch]`, the predicted class, by the decision threshold."""

PREDICTION = "prediction"
"""Output of a regression model: float32 `[batch]`."""


# The least number of classes by task; a binary task has exactly so many.
_CLASSES: Mapping[str, int] = {"binary": 2, "multiclass": 2, "regression": 0}
_DTYPES = ("float32", "int64", "string")
_FORMATS = ("format", "source")
_DIGEST = re.compile(r"(sha256:)?[0-9a-f]*")


@dataclass(frozen=True)
class ModelInput(RawFeature):
    """A raw feature that the model takes.

    Attributes:
        input: The name of the signature's input. It differs from the feature's name only if that
            does not fit a signature (spaces, dots, unicode).
        format: How the training data write its values, which clients may do, too. None for models
            of earlier versions, which take plain values only.
        source: For a column that ingestion derived from the text of another one, the format of that
            one.
    """

    input: str
    format: ColumnFormat | None = None
    source: ColumnFormat | None = None


@dataclass(frozen=True)
class ModelSpec:
    """The content of `model.json`.

    Attributes:
        task: `binary`, `multiclass` or `regression`.
        label: The label column.
        classes: The classes as text; the second one of a binary task is the positive class. Empty
            for regression.
        decision_threshold: A binary model predicts the positive class if its probability is at
            least this. None for the other tasks.
        inputs: The raw features that the model takes, without columns that the transform dropped.
        schema_digest: Digest of the schema that the model was trained with, `sha256:<hex>`.
        versions: Versions of this package and of the libraries that the model was made with.
        hyperparameters: The hyperparameters of its training.
        typical_row: A typical raw value by feature, from the train split; features that are
            typically missing are left out. None for models of earlier versions.
    """

    task: TaskKind
    label: str
    classes: tuple[str, ...]
    decision_threshold: float | None
    inputs: tuple[ModelInput, ...]
    schema_digest: str
    versions: Mapping[str, str] = field(default_factory=dict)
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    typical_row: Mapping[str, Any] | None = None

    def save(self, directory: str | os.PathLike[str]) -> None:
        """Write `model.json` into the SavedModel's directory."""
        document = asdict(self)
        for entry, given in zip(document["inputs"], self.inputs, strict=True):
            for name in _FORMATS:
                value = getattr(given, name)
                if value is None:
                    del entry[name]
                else:
                    entry[name] = column_format.as_document(value)
        if self.typical_row is None:
            del document["typical_row"]
        text = json.dumps(document, indent=2, ensure_ascii=False)
        files.write_text(Path(directory) / FILE_NAME, text)

    @classmethod
    def load(cls, directory: str | os.PathLike[str]) -> "ModelSpec":
        """Read `model.json` from a model's directory.

        Raises:
            UserError: If the file does not exist, cannot be read, or lacks a field.
        """
        file = Path(directory) / FILE_NAME
        try:
            with file.open("rb") as stream:
                content = stream.read(LARGEST_BYTES + 1)
            if len(content) > LARGEST_BYTES:
                raise UserError(f"{file}: larger than {LARGEST_BYTES // 2**20} MiB.")
            fields: dict[str, Any] = json.loads(content.decode("utf-8"))
            _check(fields)
            return cls(
                task=fields["task"],
                label=fields["label"],
                classes=tuple(fields["classes"]),
                decision_threshold=fields["decision_threshold"],
                inputs=tuple(_model_input(entry) for entry in fields["inputs"]),
                schema_digest=fields["schema_digest"],
                versions=fields["versions"],
                hyperparameters=fields["hyperparameters"],
                typical_row=_typical_row(fields),
            )
        except FileNotFoundError as error:
            raise UserError(
                f"{file}: not found. A model directory holds saved_model.pb and model.json; "
                "train_model writes both."
            ) from error
        except OSError as error:
            raise UserError(f"{file}: cannot be read: {error.strerror}.") from error
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise UserError(f"{file}: not a model description: {error!r}") from error


def _model_input(entry: Mapping[str, Any]) -> ModelInput:
    dtype: DType = entry["dtype"]
    formats = {name: column_format.from_document(entry[name]) for name in _FORMATS if name in entry}
    return ModelInput(
        name=entry["name"],
        dtype=dtype,
        required=entry["required"],
        input=entry["input"],
        **formats,
    )


def _typical_row(fields: Mapping[str, Any]) -> Mapping[str, Any] | None:
    if "typical_row" not in fields:
        return None
    row = typical_row.checked(fields["typical_row"])
    unknown = sorted(set(row).difference(entry["name"] for entry in fields["inputs"]))
    if unknown:
        raise ValueError(f"typical_row: {unknown[0]!r} is not a feature of the model")
    return row


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
    # JSON has no NaN, but Python reads it.
    if threshold is not None and not 0 <= threshold <= 1:
        raise ValueError("decision_threshold: expected a number from 0 to 1")
    if not isinstance(fields["schema_digest"], str) or not _DIGEST.fullmatch(
        fields["schema_digest"]
    ):
        raise ValueError("schema_digest: expected sha256:<hexadecimal digits>")
    for entry in fields["inputs"]:
        if entry["dtype"] not in _DTYPES:
            raise ValueError(f"inputs: dtype {entry['dtype']!r} is not one of {', '.join(_DTYPES)}")
        if not isinstance(entry["name"], str) or not isinstance(entry["input"], str):
            raise TypeError("inputs: name and input are text")
        if not isinstance(entry["required"], bool):
            raise TypeError("inputs: required is true or false")
