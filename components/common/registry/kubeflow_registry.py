"""Kubeflow's Model Registry as the registry, by its REST interface.

A version is a ModelVersion with a ModelArtifact that has the model's URI; what else is known of it
are custom properties. It has no aliases: those are custom properties of the registered model. The
log of promotions is a registered model of its own; the names of its versions are the numbers of the
records, and are unique, so of two processes that append at once one tries again.
"""

import base64
import binascii
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from kfp_tabular.components.common import files
from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.components.common.registry.kubeflow_api import KubeflowApi
from kfp_tabular.components.common.registry.port import (
    PROMOTIONS_SUFFIX,
    LogRecord,
    ModelVersion,
    NotRegisteredError,
    RegistryAwayError,
    VersionDraft,
)

_ALIAS = "kfp_tabular.alias."
_OURS = "kfp_tabular.model"
_DIGEST = "kfp_tabular.digest"
_PREFIX = "kfp_tabular."
_LOCATIONS = "kfp_tabular.locations"
_DOCUMENT = "kfp_tabular.document."
_MINIO = "minio://"
_ATTEMPTS = 20

# Documents are kept as properties, so only what a rollback and a comparison need.
_KEPT = ("golden.json", "evaluation.json", "MLmodel", "input_example.json", "model_pointer.json")


class KubeflowRegistry:
    """A registry in Kubeflow's Model Registry.

    Args:
        address: `model-registry+http://HOST:PORT`, or with `https`.
        token: A bearer token; empty for none.
    """

    def __init__(self, address: str, token: str = "") -> None:
        self._api = KubeflowApi(address, token)

    @property
    def address(self) -> str:
        """The address that it was opened with."""
        return self._api.address

    def names(self) -> list[str]:
        """Return the names of the models that this project registered."""
        found = self._api.list("/registered_models")
        return sorted(entry["name"] for entry in found if _OURS in _texts(entry))

    def versions(self, name: str) -> list[ModelVersion]:
        """Return the versions of a model, the newest first."""
        found = self._api.list(f"/registered_models/{self._model(name)['id']}/versions")
        ours = [
            self._version(name, entry)
            for entry in found
            if _DIGEST in _texts(entry) and _is_number(entry)
        ]
        return sorted(ours, key=lambda version: int(version.version), reverse=True)

    def version(self, name: str, number: str) -> ModelVersion:
        """Return a version."""
        known = self.versions(name)
        for version in known:
            if version.version == number:
                return version
        listed = ", ".join(version.version for version in known) or "none"
        raise UserError(f"models:/{name}/{number}: no such version; {name} has {listed}.")

    def aliases(self, name: str) -> Mapping[str, str]:
        """Return the version of each alias of a model."""
        return {
            key.removeprefix(_ALIAS): value
            for key, value in _texts(self._model(name)).items()
            if key.startswith(_ALIAS) and value
        }

    def add(self, name: str, draft: VersionDraft) -> ModelVersion:
        """Add a version to a model, which is created if it does not exist."""
        model = self._created(name, {_OURS: "1"})
        properties = {
            **{f"{_PREFIX}{key}": value for key, value in draft.facts.items()},
            f"{_PREFIX}run": draft.run,
            _DIGEST: draft.digest,
            _LOCATIONS: json.dumps([draft.location]),
        }
        for document in _KEPT:
            file = draft.documents / document
            if file.is_file():
                text = base64.b64encode(file.read_bytes()).decode()
                properties[f"{_DOCUMENT}{document}"] = text
        made = self._numbered(model, properties)
        artifact = {
            "artifactType": "model-artifact",
            "name": f"{name}-{made['name']}",
            "uri": _for_kserve(draft.location),
            "modelFormatName": "tensorflow",
            "modelFormatVersion": "2",
        }
        self._api.create(f"/model_versions/{made['id']}/artifacts", artifact)
        return self._version(name, made)

    def locate(self, version: ModelVersion, uri: str) -> None:
        """Record that a directory holds a version, too."""
        entry = self._entry(version)
        places = json.dumps([uri, *version.locations])
        self._set("/model_versions", entry, {_LOCATIONS: places})
        for artifact in self._api.list(f"/model_versions/{entry['id']}/artifacts"):
            if artifact.get("artifactType") == "model-artifact":
                change = {"artifactType": "model-artifact", "uri": _for_kserve(uri)}
                self._api.change(f"/model_artifacts/{artifact['id']}", change)

    def documents(self, version: ModelVersion, folder: Path) -> Path:
        """Return a local directory with the documents of a version."""
        texts = _texts(self._entry(version))
        # Only what `add` keeps: a name in the registry may be a path out of the folder.
        for document in _KEPT:
            encoded = texts.get(f"{_DOCUMENT}{document}")
            if encoded is None:
                continue
            try:
                text = base64.b64decode(encoded, validate=True).decode("utf-8")
            except (binascii.Error, UnicodeDecodeError) as error:
                raise UserError(
                    f"{version.uri}: {document} in {self._api.shown} is damaged: {error}."
                ) from error
            files.write_text(folder / document, text)
        return folder

    def point(self, name: str, alias: str, number: str) -> None:
        """Move an alias to a version."""
        self._set("/registered_models", self._model(name), {f"{_ALIAS}{alias}": number})

    def drop(self, name: str, alias: str) -> None:
        """Remove an alias."""
        self._set("/registered_models", self._model(name), {f"{_ALIAS}{alias}": ""})

    def append(self, name: str, facts: Mapping[str, str]) -> int:
        """Append a record to the log of a model's promotions."""
        log = self._created(f"{name}{PROMOTIONS_SUFFIX}", {})
        properties = {f"{_PREFIX}{key}": value for key, value in facts.items()}
        return int(self._numbered(log, properties)["name"])

    def records(self, name: str) -> list[LogRecord]:
        """Return the log of a model's promotions."""
        log = self._find(f"{name}{PROMOTIONS_SUFFIX}")
        if log is None:
            return []
        records = [
            LogRecord(int(entry["name"]), int(entry["createTimeSinceEpoch"]) / 1000, _facts(entry))
            for entry in self._api.list(f"/registered_models/{log['id']}/versions")
            if _is_number(entry)
        ]
        return sorted(records, key=lambda record: record.number)

    def mark(self, name: str, number: int, key: str, value: str) -> None:
        """Add a fact to a record of the log."""
        log = self._find(f"{name}{PROMOTIONS_SUFFIX}")
        entries = [] if log is None else self._api.list(f"/registered_models/{log['id']}/versions")
        for entry in entries:
            if entry["name"] == str(number):
                self._set("/model_versions", entry, {f"{_PREFIX}{key}": value})

    def _numbered(self, model: Mapping[str, Any], properties: Mapping[str, str]) -> Any:
        """Create the next version of a model: its name is unique, so numbers have no holes."""
        for attempt in range(_ATTEMPTS):
            found = self._api.list(f"/registered_models/{model['id']}/versions")
            # Others may have registered versions with names of their own, such as v1.
            numbers = [int(entry["name"]) for entry in found if _is_number(entry)]
            made = self._api.create(
                f"/registered_models/{model['id']}/versions",
                {
                    "name": str(max(numbers, default=0) + 1),
                    "registeredModelId": model["id"],
                    "customProperties": _properties(properties),
                },
            )
            if made is not None:
                return made
            time.sleep(0.02 * attempt)
        raise RegistryAwayError(f"{self._api.shown}: others registered versions all the time.")

    def _model(self, name: str) -> Any:
        found = self._find(name)
        if found is None:
            known = self.names()
            raise NotRegisteredError(
                f"{name}: not a registered model in {self._api.shown}; it has "
                f"{', '.join(known) or 'none'}.{closest(name, known)}"
            )
        return found

    def _find(self, name: str) -> Any:
        query = urlencode({"name": name}, quote_via=quote)
        return self._api.find(f"/registered_model?{query}")

    def _created(self, name: str, properties: Mapping[str, str]) -> Any:
        found = self._find(name)
        if found is None:
            body = {"name": name, "customProperties": _properties(properties)}
            found = self._api.create("/registered_models", body) or self._find(name)
        return found

    def _entry(self, version: ModelVersion) -> Any:
        query = urlencode(
            {"name": version.version, "parentResourceId": self._model(version.name)["id"]}
        )
        found = self._api.find(f"/model_version?{query}")
        if found is None:
            raise UserError(f"{version.uri}: no such version.")
        return found

    def _set(self, path: str, entry: Mapping[str, Any], changes: Mapping[str, str]) -> None:
        # A PATCH replaces all custom properties.
        merged = {**entry.get("customProperties", {}), **_properties(changes)}
        self._api.change(f"{path}/{entry['id']}", {"customProperties": merged})

    def _version(self, name: str, entry: Mapping[str, Any]) -> ModelVersion:
        texts = _texts(entry)
        try:
            places = json.loads(texts.get(_LOCATIONS) or "[]")
            if not isinstance(places, list) or not all(isinstance(uri, str) for uri in places):
                raise ValueError("not a list of text")
        except ValueError as error:
            raise UserError(
                f"models:/{name}/{entry['name']}: {_LOCATIONS} in {self._api.shown} is damaged: "
                f"{error}."
            ) from error
        facts = {
            key: value
            for key, value in _facts(entry).items()
            if key not in ("digest", "locations") and not key.startswith("document.")
        }
        return ModelVersion(
            name=name,
            version=entry["name"],
            digest=texts[_DIGEST],
            locations=tuple(places),
            facts=facts,
            created=int(entry.get("createTimeSinceEpoch", 0)) / 1000,
        )


def _properties(values: Mapping[str, str]) -> dict[str, Any]:
    return {
        key: {"metadataType": "MetadataStringValue", "string_value": value}
        for key, value in values.items()
    }


def _texts(entry: Mapping[str, Any]) -> dict[str, str]:
    return {
        key: str(value.get("string_value", ""))
        for key, value in (entry.get("customProperties") or {}).items()
    }


def _facts(entry: Mapping[str, Any]) -> dict[str, str]:
    return {
        key.removeprefix(_PREFIX): value
        for key, value in _texts(entry).items()
        if key.startswith(_PREFIX)
    }


def _is_number(entry: Mapping[str, Any]) -> bool:
    return str(entry["name"]).isdecimal()


def _for_kserve(uri: str) -> str:
    """Return a location as KServe's storage initializer reads it, which the artifact names.

    It downloads every object whose key begins like that: with a slash, not those of `model-2`, too.
    """
    if uri.startswith(_MINIO):
        uri = f"s3://{uri.removeprefix(_MINIO)}"
    return f"{uri.rstrip('/')}/" if uri.startswith(("s3://", "gs://")) else uri
