"""MLflow as the registry.

A version is an MLflow model version: its source is a small directory with `MLmodel` and what else
is written about the model, its tags hold the digest and where the model's bytes are. The log of
promotions is a registered model of its own, `NAME.promotions`, whose versions are the records:
MLflow numbers versions without holes, by a unique key.
"""

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kfp_tabular.components.common.artifacts.model_pointer import FILE_NAME as POINTER_FILE
from kfp_tabular.components.common.artifacts.model_pointer import ModelPointer
from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.components.common.registry.port import (
    PROMOTIONS_SUFFIX,
    LogRecord,
    ModelVersion,
    NotRegisteredError,
    RegistryAwayError,
    VersionDraft,
)
from kfp_tabular.components.common.tracking.address import without_credentials

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

_PREFIX = "kfp_tabular."
_DIGEST = f"{_PREFIX}digest"
_LOCATION = f"{_PREFIX}location."
_OURS = f"{_PREFIX}model"

_DOCUMENTS = "model"
_LONGEST_TAG = 5000
_PAGE = 200
_ATTEMPTS = 8

_GARBAGE = "not in a valid JSON format"
_STATUS = re.compile(r"error code (\d{3})")


class MlflowRegistry:
    """A registry in MLflow's store, on a server or in a file.

    Args:
        client: MLflow's client.
        address: The URI that it was opened with.
        artifacts: The folder for artifacts of an embedded store; None for the store's own.
    """

    def __init__(self, client: "MlflowClient", address: str, artifacts: Path | None = None) -> None:
        self._client = client
        self._address = address
        self._shown = without_credentials(address)
        self._artifacts = artifacts

    @property
    def address(self) -> str:
        """The URI of the store."""
        return self._address

    def names(self) -> list[str]:
        """Return the names of the models that this project registered."""
        with self._told():
            found = _pages(self._client.search_registered_models)
        return sorted(model.name for model in found if _OURS in model.tags)

    def versions(self, name: str) -> list[ModelVersion]:
        """Return the versions of a model, the newest first."""
        self._model(name)
        with self._told():
            found = _pages(self._client.search_model_versions, filter_string=_is_of(name))
        ours = [_version(entry) for entry in found if _DIGEST in entry.tags]
        return sorted(ours, key=lambda version: int(version.version), reverse=True)

    def version(self, name: str, number: str) -> ModelVersion:
        """Return a version."""
        with self._told():
            found = _or_none(lambda: self._client.get_model_version(name, number))
        if found is None:
            self._model(name)
            known = ", ".join(version.version for version in self.versions(name)) or "none"
            raise UserError(f"models:/{name}/{number}: no such version; {name} has {known}.")
        if _DIGEST not in found.tags:
            raise UserError(
                f"models:/{name}/{number}: it has no digest, since kfp-tabular did not register "
                "it, so its content cannot be verified. Give the model's URI or path instead."
            )
        return _version(found)

    def aliases(self, name: str) -> Mapping[str, str]:
        """Return the version of each alias of a model."""
        aliases: Mapping[str, Any] = self._model(name).aliases
        return {alias: str(number) for alias, number in aliases.items()}

    def add(self, name: str, draft: VersionDraft) -> ModelVersion:
        """Add a version to a model, which is created if it does not exist."""
        with self._told():
            self._create(name, {_OURS: "1"})
            run = self._client.get_run(draft.run) if draft.run else self._run(name)
            # A run may register several models.
            folder = f"{_DOCUMENTS}-{draft.digest.rpartition(':')[2][:12]}"
            self._client.log_artifacts(run.info.run_id, str(draft.documents), folder)
            tags = {
                **{f"{_PREFIX}{key}": value for key, value in draft.facts.items()},
                _DIGEST: draft.digest,
                f"{_LOCATION}1": draft.location,
            }
            made = self._next_version(
                name, f"{run.info.artifact_uri.rstrip('/')}/{folder}", tags, run.info.run_id
            )
        return _version(made)

    def locate(self, version: ModelVersion, uri: str) -> None:
        """Record that a directory holds a version, too."""
        key = f"{_LOCATION}{len(version.locations) + 1}"
        pointer = ModelPointer(version.digest, [uri, *version.locations])
        with self._told():
            self._client.set_model_version_tag(version.name, version.version, key, uri)
            if version.facts.get("run"):
                folder = _folder(version.documents)
                self._client.log_text(
                    version.facts["run"], pointer.text(), f"{folder}/{POINTER_FILE}"
                )

    def documents(self, version: ModelVersion, folder: Path) -> Path:
        """Return a local directory with the documents of a version."""
        from mlflow.artifacts import download_artifacts

        with self._told():
            found = self._client.get_model_version(version.name, version.version)
            if found.run_id:
                inside = _folder(found.source)
                return Path(self._client.download_artifacts(found.run_id, inside, str(folder)))
            return Path(download_artifacts(artifact_uri=found.source, dst_path=str(folder)))

    def point(self, name: str, alias: str, number: str) -> None:
        """Move an alias to a version."""
        with self._told():
            self._client.set_registered_model_alias(name, alias, number)

    def drop(self, name: str, alias: str) -> None:
        """Remove an alias."""
        with self._told():
            self._client.delete_registered_model_alias(name, alias)

    def append(self, name: str, facts: Mapping[str, str]) -> int:
        """Append a record to the log of a model's promotions."""
        log = f"{name}{PROMOTIONS_SUFFIX}"
        tags = {f"{_PREFIX}{key}": value[:_LONGEST_TAG] for key, value in facts.items()}
        with self._told():
            self._create(log, {})
            source = f"models:/{name}/{facts['version']}"
            made = self._next_version(log, source, tags, None)
        return int(made.version)

    def records(self, name: str) -> list[LogRecord]:
        """Return the log of a model's promotions."""
        log = f"{name}{PROMOTIONS_SUFFIX}"
        with self._told():
            found = _pages(self._client.search_model_versions, filter_string=_is_of(log))
        records = [
            LogRecord(int(entry.version), entry.creation_timestamp / 1000, _facts(entry.tags))
            for entry in found
        ]
        return sorted(records, key=lambda record: record.number)

    def mark(self, name: str, number: int, key: str, value: str) -> None:
        """Add a fact to a record of the log."""
        with self._told():
            self._client.set_model_version_tag(
                f"{name}{PROMOTIONS_SUFFIX}", str(number), f"{_PREFIX}{key}", value
            )

    def _create(self, name: str, tags: Mapping[str, str]) -> None:
        from mlflow.exceptions import MlflowException

        if _or_none(lambda: self._client.get_registered_model(name)) is not None:
            return
        try:
            self._client.create_registered_model(name, tags=dict(tags))
        except MlflowException as error:
            # Another process was faster.
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def _next_version(
        self, name: str, source: str, tags: Mapping[str, str], run: str | None
    ) -> Any:
        """Create a version. MLflow itself gives up if others are faster a few times."""
        from mlflow.exceptions import MlflowException

        for attempt in range(_ATTEMPTS):
            try:
                return self._client.create_model_version(
                    name, source, run_id=run, tags=dict(tags), await_creation_for=0
                )
            except MlflowException as error:
                text = str(error)
                busy = "Giving up after" in text or "database is locked" in text
                if not busy or attempt == _ATTEMPTS - 1:
                    raise
                time.sleep(0.05 * 2**attempt)
        raise AssertionError

    def _run(self, name: str) -> Any:
        """Open a run that holds the documents of a version that no run made."""
        found = self._client.get_experiment_by_name(name)
        place = None if self._artifacts is None else (self._artifacts / name).as_uri()
        experiment = (
            self._client.create_experiment(name, artifact_location=place)
            if found is None
            else found.experiment_id
        )
        run = self._client.create_run(experiment, run_name=f"register {name}")
        self._client.set_terminated(run.info.run_id)
        return run

    def _model(self, name: str) -> Any:
        with self._told():
            found = _or_none(lambda: self._client.get_registered_model(name))
        if found is None:
            known = self.names()
            if not known:
                raise NotRegisteredError(f"{name}: not a registered model; {self._shown} has none.")
            listed = f" Registered are: {', '.join(known)}."
            raise NotRegisteredError(
                f"{name}: not a registered model in {self._shown}.{listed}{closest(name, known)}"
            )
        return found

    @contextmanager
    def _told(self) -> Iterator[None]:
        from google.protobuf.json_format import Error as ProtoError
        from mlflow.exceptions import MlflowException

        try:
            yield
        except MlflowException as error:
            text = " ".join(str(error).split())
            status = error.get_http_status_code()
            if status in (401, 403) or "error code 401" in text or "error code 403" in text:
                raise UserError(
                    f"{self._shown}: the registry refuses this login. Set "
                    "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or "
                    "MLFLOW_TRACKING_TOKEN."
                ) from error
            if "Max retries exceeded" in text or "failed with exception" in text:
                cause = text.rpartition("Caused by ")[2].rstrip(")") or text
                raise RegistryAwayError(f"{self._shown}: no answer: {cause[:300]}") from error
            if _GARBAGE in text:
                raise self._garbage(text) from error
            code = _STATUS.search(text)
            # MLflow reports a status that it does not know, such as 418, as an internal error.
            if (int(code[1]) if code else status) >= 500:
                raise RegistryAwayError(f"{self._shown}: {text[:300]}") from error
            raise UserError(f"{self._shown}: the registry refuses this: {text[:300]}") from error
        except (ValueError, ProtoError) as error:
            raise self._garbage(" ".join(str(error).split())) from error

    def _garbage(self, text: str) -> UserError:
        """Return what is said of a page of a proxy, for instance, instead of JSON."""
        return UserError(f"{self._shown}: not an answer of MLflow: {text[:300]}")


def _pages(search: Any, **arguments: Any) -> list[Any]:
    found: list[Any] = []
    token = None
    while True:
        page = search(max_results=_PAGE, page_token=token, **arguments)
        found += page
        token = page.token
        if not token:
            return found


def _or_none(read: Any) -> Any:
    from mlflow.exceptions import MlflowException

    try:
        return read()
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise


def _is_of(name: str) -> str:
    """Return the filter for the versions of a model; no model has a quote in its name."""
    return "name='{}'".format(name.replace("'", "_"))


def _folder(source: str) -> str:
    """Return the folder of a version's documents among the artifacts of its run."""
    return source.rstrip("/").rpartition("/")[2]


def _facts(tags: Mapping[str, str]) -> dict[str, str]:
    return {
        key.removeprefix(_PREFIX): value for key, value in tags.items() if key.startswith(_PREFIX)
    }


def _version(entry: Any) -> ModelVersion:
    tags: Mapping[str, str] = entry.tags
    places = sorted(
        (key for key in tags if key.startswith(_LOCATION)),
        key=lambda key: int(key.removeprefix(_LOCATION)),
        reverse=True,
    )
    facts = {
        key: value
        for key, value in _facts(tags).items()
        if key != "digest" and not key.startswith("location.")
    }
    return ModelVersion(
        name=entry.name,
        version=str(entry.version),
        digest=tags[_DIGEST],
        locations=tuple(tags[key] for key in places),
        documents=entry.source,
        facts={**facts, "run": entry.run_id or ""},
        created=entry.creation_timestamp / 1000,
    )
