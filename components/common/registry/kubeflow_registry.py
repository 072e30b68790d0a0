"""Kubeflow's Model Registry as the registry, by its REST interface.

A version is a ModelVersion with a ModelArtifact that has the model's URI; what else is known of it
are custom properties. It has no aliases: those are custom properties of the registered model. The
log of promotions is a registered model of its own; the names of its versions are the numbers of the
records, and are unique, so of two processes that append at once one tries again.
"""

import base64
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from kfp_tabular.components.common import files
from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.components.common.registry.port import (
    PROMOTIONS_SUFFIX,
    LogRecord,
    ModelVersion,
    NotRegisteredError,
    RegistryAwayError,
    VersionDraft,
)

SCHEME = "model-registry+"
"""Before `http://` or `https://` in an address."""

_API = "/api/model_registry/v1"
_ALIAS = "kfp_tabular.alias."
_OURS = "kfp_tabular.model"
_DIGEST = "kfp_tabular.digest"
_PREFIX = "kfp_tabular."
_LOCATIONS = "kfp_tabular.locations"
_DOCUMENT = "kfp_tabular.document."
_ATTEMPTS = 20
_PAGE = "100"
_SECONDS = 30.0

# Documents are kept as properties, so only what a rollback and a comparison need.
_KEPT = ("golden.json", "evaluation.json", "MLmodel", "input_example.json", "model_pointer.json")


class KubeflowRegistry:
    """A registry in Kubeflow's Model Registry.

    Args:
        address: `model-registry+http://HOST:PORT`, or with `https`.
        token: A bearer token; empty for none.
    """

    def __init__(self, address: str, token: str = "") -> None:
        import urllib3

        self._address = address.rstrip("/")
        self._url = f"{self._address.removeprefix(SCHEME)}{_API}"
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self._pool = urllib3.PoolManager(headers=headers, timeout=_SECONDS)

    @property
    def address(self) -> str:
        """The address that it was opened with."""
        return self._address

    def names(self) -> list[str]:
        """Return the names of the models that this project registered."""
        found = self._list("/registered_models")
        return sorted(entry["name"] for entry in found if _OURS in _texts(entry))

    def versions(self, name: str) -> list[ModelVersion]:
        """Return the versions of a model, the newest first."""
        found = self._list(f"/registered_models/{self._model(name)['id']}/versions")
        ours = [_version(name, entry) for entry in found if _DIGEST in _texts(entry)]
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
            "uri": draft.location,
            "modelFormatName": "tensorflow",
            "modelFormatVersion": "2",
        }
        self._call("POST", f"/model_versions/{made['id']}/artifacts", artifact)
        return _version(name, made)

    def locate(self, version: ModelVersion, uri: str) -> None:
        """Record that a directory holds a version, too."""
        entry = self._entry(version)
        places = json.dumps([uri, *version.locations])
        self._set("/model_versions", entry, {_LOCATIONS: places})
        for artifact in self._list(f"/model_versions/{entry['id']}/artifacts"):
            if artifact.get("artifactType") == "model-artifact":
                change = {"artifactType": "model-artifact", "uri": uri}
                self._call("PATCH", f"/model_artifacts/{artifact['id']}", change)

    def documents(self, version: ModelVersion, folder: Path) -> Path:
        """Return a local directory with the documents of a version."""
        for key, value in _texts(self._entry(version)).items():
            if key.startswith(_DOCUMENT):
                text = base64.b64decode(value).decode("utf-8")
                files.write_text(folder / key.removeprefix(_DOCUMENT), text)
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
            for entry in self._list(f"/registered_models/{log['id']}/versions")
        ]
        return sorted(records, key=lambda record: record.number)

    def mark(self, name: str, number: int, key: str, value: str) -> None:
        """Add a fact to a record of the log."""
        log = self._find(f"{name}{PROMOTIONS_SUFFIX}")
        entries = [] if log is None else self._list(f"/registered_models/{log['id']}/versions")
        for entry in entries:
            if entry["name"] == str(number):
                self._set("/model_versions", entry, {f"{_PREFIX}{key}": value})

    def _numbered(self, model: Mapping[str, Any], properties: Mapping[str, str]) -> Any:
        """Create the next version of a model: its name is unique, so numbers have no holes."""
        for attempt in range(_ATTEMPTS):
            found = self._list(f"/registered_models/{model['id']}/versions")
            number = max((int(entry["name"]) for entry in found), default=0) + 1
            made = self._call(
                "POST",
                f"/registered_models/{model['id']}/versions",
                {
                    "name": str(number),
                    "registeredModelId": model["id"],
                    "customProperties": _properties(properties),
                },
                taken=True,
            )
            if made is not None:
                return made
            time.sleep(0.02 * attempt)
        raise RegistryAwayError(f"{self._address}: others registered versions all the time.")

    def _model(self, name: str) -> Any:
        found = self._find(name)
        if found is None:
            known = self.names()
            raise NotRegisteredError(
                f"{name}: not a registered model in {self._address}; it has "
                f"{', '.join(known) or 'none'}.{closest(name, known)}"
            )
        return found

    def _find(self, name: str) -> Any:
        query = urlencode({"name": name}, quote_via=quote)
        return self._call("GET", f"/registered_model?{query}", missing=True)

    def _created(self, name: str, properties: Mapping[str, str]) -> Any:
        found = self._find(name)
        if found is None:
            body = {"name": name, "customProperties": _properties(properties)}
            found = self._call("POST", "/registered_models", body, taken=True) or self._find(name)
        return found

    def _entry(self, version: ModelVersion) -> Any:
        for entry in self._list(f"/registered_models/{self._model(version.name)['id']}/versions"):
            if entry["name"] == version.version:
                return entry
        raise UserError(f"{version.uri}: no such version.")

    def _set(self, path: str, entry: Mapping[str, Any], changes: Mapping[str, str]) -> None:
        # A PATCH replaces all custom properties.
        merged = {**entry.get("customProperties", {}), **_properties(changes)}
        self._call("PATCH", f"{path}/{entry['id']}", {"customProperties": merged})

    def _list(self, path: str) -> list[Any]:
        found: list[Any] = []
        token = ""
        while True:
            query = {"pageSize": _PAGE} | ({"nextPageToken": token} if token else {})
            page = self._call("GET", f"{path}?{urlencode(query)}")
            found += page.get("items") or []
            token = page.get("nextPageToken") or ""
            if not token:
                return found

    def _call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        missing: bool = False,
        taken: bool = False,
    ) -> Any:
        """Call the registry; None for 404 if it may be missing, and 409 if it may be taken."""
        import urllib3

        try:
            response = self._pool.request(
                method, f"{self._url}{path}", body=None if body is None else json.dumps(body)
            )
        except urllib3.exceptions.HTTPError as error:
            raise RegistryAwayError(f"{self._address}: no answer: {error}") from error
        if response.status in (401, 403):
            raise UserError(
                f"{self._address}: the registry refuses this login. Set MLFLOW_TRACKING_TOKEN to a "
                "bearer token that it accepts."
            )
        # Older servers answer 400 where a name is taken.
        is_taken = response.status == 409 or (
            response.status == 400 and b"already exists" in response.data
        )
        if (response.status == 404 and missing) or (is_taken and taken):
            return None
        if response.status >= 500:
            raise RegistryAwayError(f"{self._address}: status {response.status} for {path}")
        if response.status >= 300:
            text = response.data.decode("utf-8", "replace")[:300]
            raise UserError(f"{self._address}: {method} {path}: {response.status}: {text}")
        return json.loads(response.data or b"{}")


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


def _version(name: str, entry: Mapping[str, Any]) -> ModelVersion:
    texts = _texts(entry)
    places: Sequence[str] = json.loads(texts.get(_LOCATIONS) or "[]")
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
