"""Schemas of custom resources, strict: what a controller does not know is an error.

The environment variable `KFP_TABULAR_CRDS` names a directory with CustomResourceDefinitions (one
YAML file each) and Katib's OpenAPI definitions (`katib_v1beta1_definitions.json`); tests that need
them are skipped where it is unset. An API server drops unknown fields of such resources silently,
so the rewrites here are stricter than it is:

- `x-kubernetes-int-or-string` becomes a union of the two types,
- `nullable` adds null,
- objects that name their properties allow no other,
- `int32` and `int64` get their bounds.

Katib's trialSpec is open in its schema; `problems` checks it as the resource that it is.
"""

import json
import os
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

CRDS = "KFP_TABULAR_CRDS"
KATIB_DEFINITIONS = "katib_v1beta1_definitions.json"


def available() -> bool:
    """Tell whether the schemas are at hand."""
    return bool(os.environ.get(CRDS))


needed = pytest.mark.skipif(not available(), reason=f"{CRDS} is unset")

_KATIB_KINDS = {
    "Experiment": "v1beta1.Experiment",
    "Trial": ".v1beta1.Trial",
    "Suggestion": ".v1beta1.Suggestion",
}
_OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
_BOUNDS = {"int32": 2**31, "int64": 2**63}


def validator(kind: str, version: str = "") -> Draft202012Validator:
    """Return the strict validator of a kind.

    Args:
        kind: Of a CustomResourceDefinition or of Katib; or `Job`, whose schema is taken out of the
            ClusterTrainingRuntime's.
        version: Such as `v1beta1`; the stored one where empty.
    """
    return _validator(kind, version)


def problems(resource: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with a resource, one line each, beginning with the field's path."""
    version = str(resource["apiVersion"]).rpartition("/")[2]
    return list(_problems(resource, version))


def _problems(resource: Mapping[str, Any], version: str) -> Iterator[str]:
    kind = str(resource["kind"])
    for error in validator(kind, version).iter_errors(resource):
        yield f"{kind}{error.json_path[1:]}: {error.message}"
    if kind == "Experiment":
        trial = resource.get("spec", {}).get("trialTemplate", {}).get("trialSpec")
        if trial is not None:
            yield from (f"trialSpec: {problem}" for problem in problems(trial))


@cache
def _validator(kind: str, version: str) -> Draft202012Validator:
    if kind in _KATIB_KINDS:
        document = {"$ref": f"#/components/schemas/{_KATIB_KINDS[kind]}", **_katib()}
        return Draft202012Validator(document)
    if kind == "Job":
        return Draft202012Validator(_with_identity("Job", "batch/v1", _job()))
    definition = _definitions()[kind]
    found = next(
        entry
        for entry in definition["versions"]
        if entry["name"] == version or (not version and entry["storage"])
    )
    schema = _strict(found["schema"]["openAPIV3Schema"], open_objects=False)
    api_version = f"{definition['group']}/{found['name']}"
    return Draft202012Validator(_with_identity(kind, api_version, schema))


def _job() -> dict[str, Any]:
    runtime = _definitions()["ClusterTrainingRuntime"]["versions"][0]
    schema: Any = runtime["schema"]["openAPIV3Schema"]
    for name in ("spec", "template", "spec", "replicatedJobs"):
        schema = schema["properties"][name]
    template = schema["items"]["properties"]["template"]["properties"]["spec"]
    spec = _strict(template, open_objects=False)
    return {"type": "object", "properties": {"spec": spec}, "additionalProperties": False}


def _with_identity(kind: str, api_version: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Put in what a CustomResourceDefinition leaves to the API server."""
    identity = {
        "apiVersion": {"const": api_version},
        "kind": {"const": kind},
        "metadata": {"$ref": f"#/components/schemas/{_OBJECT_META}"},
    }
    required = [*schema.get("required", []), "apiVersion", "kind", "metadata"]
    properties = {**schema["properties"], **identity}
    return {**schema, "properties": properties, "required": required, **_katib()}


@cache
def _katib() -> dict[str, Any]:
    text = (_directory() / KATIB_DEFINITIONS).read_text(encoding="utf-8")
    schemas = json.loads(text)["components"]["schemas"]
    # An object without properties is free there, such as trialSpec; in a CRD it is empty.
    strict = {name: _strict(schema, open_objects=True) for name, schema in schemas.items()}
    return {"components": {"schemas": strict}}


@cache
def _definitions() -> dict[str, Any]:
    found = {}
    for file in sorted(_directory().glob("*.yaml")):
        spec = yaml.load(file.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)["spec"]
        found[spec["names"]["kind"]] = spec
    return found


def _directory() -> Path:
    directory = os.environ.get(CRDS)
    if not directory:
        pytest.skip(f"{CRDS} is unset")
    return Path(directory)


def _strict(schema: Any, *, open_objects: bool) -> Any:
    """Rewrite a structural schema, and all schemas in it, into plain JSON Schema."""
    if isinstance(schema, list):
        return [_strict(item, open_objects=open_objects) for item in schema]
    if not isinstance(schema, dict):
        return schema
    result: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "properties":
            result[key] = {
                name: _strict(inner, open_objects=open_objects) for name, inner in value.items()
            }
        elif key not in ("default", "example", "nullable"):
            result[key] = _strict(value, open_objects=open_objects)
    bound = _BOUNDS.get(schema.get("format", ""))
    if bound:
        result.setdefault("minimum", -bound)
        result.setdefault("maximum", bound - 1)
    if schema.get("x-kubernetes-int-or-string"):
        result["type"] = ["integer", "string"]
    closed = "properties" in schema or not open_objects
    if (
        schema.get("type") == "object"
        and closed
        and not schema.get("x-kubernetes-preserve-unknown-fields")
    ):
        result.setdefault("additionalProperties", False)
    if schema.get("nullable"):
        return {"anyOf": [result, {"type": "null"}]}
    return result
