"""`MLmodel`: the document by which MLflow loads a version.

The flavor `python_function` names the module that loads it, `LOADER`, and a file that points to the
model. So MLflow downloads a few kilobytes, and the loader takes the model from where it is.
"""

import json
import platform
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from kfp_tabular.components.common.artifacts.model_document import ModelInput, ModelSpec
from kfp_tabular.components.common.artifacts.model_pointer import FILE_NAME as POINTER_FILE

FILE_NAME = "MLmodel"
EXAMPLE_FILE = "input_example.json"
REQUIREMENTS_FILE = "requirements.txt"
LOADER = "kfp_tabular.serving.model.pyfunc_loader"

EXAMPLE_ROWS = 5

_LIBRARIES = ("kfp-tabular", "tensorflow", "tf_keras", "tensorflow-transform")


def document(spec: ModelSpec, digest: str, made: datetime | None = None) -> dict[str, Any]:
    """Return the content of `MLmodel`.

    Args:
        spec: The model's description.
        digest: Digest of its content; the model's UUID follows from it.
        made: When it was registered; None for now.

    Example:
        >>> spec = ModelSpec("regression", "fare", (), None, (), "sha256:0")
        >>> document(spec, "sha256:0")["signature"]["outputs"]
        '[{"type": "double", "name": "prediction", "required": true}]'
    """
    return {
        "artifact_path": "model",
        "flavors": {
            "python_function": {
                "loader_module": LOADER,
                "data": POINTER_FILE,
                "env": {"virtualenv": "python_env.yaml"},
                "python_version": spec.versions.get("python", platform.python_version()),
            },
            "kfp_tabular": {
                "task": spec.task,
                "label": spec.label,
                "classes": list(spec.classes),
                "digest": digest,
                "inputs": {entry.name: entry.dtype for entry in spec.inputs},
                "versions": dict(spec.versions),
            },
        },
        "model_uuid": uuid.uuid5(uuid.NAMESPACE_OID, digest).hex,
        "saved_input_example_info": {
            "artifact_path": EXAMPLE_FILE,
            "pandas_orient": "split",
            "type": "dataframe",
        },
        "signature": {
            "inputs": json.dumps([_input(entry) for entry in spec.inputs], ensure_ascii=False),
            "outputs": json.dumps(_outputs(spec), ensure_ascii=False),
            "params": None,
        },
        "utc_time_created": f"{(made or datetime.now(UTC)).replace(tzinfo=None)}",
    }


def requirements(spec: ModelSpec) -> str:
    """Return the content of `requirements.txt`: what loading needs, as the model was made with."""
    return "".join(
        f"{name}=={spec.versions[name]}\n" for name in _LIBRARIES if name in spec.versions
    )


def python_environment(spec: ModelSpec) -> dict[str, Any]:
    """Return the content of `python_env.yaml`."""
    return {
        "python": spec.versions.get("python", platform.python_version()),
        "dependencies": [f"-r {REQUIREMENTS_FILE}"],
    }


def input_example(
    spec: ModelSpec, instances: Sequence[Mapping[str, Any]]
) -> dict[str, Sequence[Any]]:
    """Return a few rows as MLflow keeps them, a table by columns and rows.

    Args:
        spec: The model's description.
        instances: Raw values by feature name; a missing value is left out.

    Example:
        >>> hour = ModelInput("hour", "int64", required=False, input="hour")
        >>> spec = ModelSpec("regression", "fare", (), None, (hour,), "sha256:0")
        >>> input_example(spec, [{"hour": 7}, {}])
        {'columns': ['hour'], 'data': [[7], [None]]}
    """
    names = [entry.name for entry in spec.inputs]
    return {
        "columns": names,
        "data": [[row.get(name) for name in names] for row in instances[:EXAMPLE_ROWS]],
    }


def _input(entry: ModelInput) -> dict[str, Any]:
    return {"type": _type(entry), "name": entry.name, "required": entry.required}


def _type(entry: ModelInput) -> str:
    """Return MLflow's type of an input.

    MLflow refuses a table that does not have exactly these types: whole numbers for `double`, or
    text such as `$3.50`. The endpoint takes both. So what has more than one form is `any`, and the
    loader checks it as the endpoint does.
    """
    if entry.dtype == "string":
        return "string"
    plain = entry.format is None or entry.format.kind == "integer"
    return "long" if entry.dtype == "int64" and entry.required and plain else "any"


def _outputs(spec: ModelSpec) -> list[dict[str, Any]]:
    if spec.task == "regression":
        return [{"type": "double", "name": "prediction", "required": True}]
    return [
        {"type": "string", "name": "class", "required": True},
        {
            "type": "array",
            "items": {"type": "double"},
            "name": "probabilities",
            "required": True,
        },
    ]
