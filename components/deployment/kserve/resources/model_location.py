"""The model to be deployed, and its address as KServe reads it."""

import json
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from kfp_tabular.components.common import storage
from kfp_tabular.components.common.artifacts import lineage
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.pods.volumes import Volume
from kfp_tabular.components.common.storage.location import Location, parse
from kfp_tabular.components.deployment.kserve.resources.service_settings import (
    TENSORFLOW,
    ServiceSettings,
)

_DESCRIPTION = "model.json"
_COMPLETE = "_complete.json"
# What a task's classes number at least; a binary one has exactly so many.
_CLASSES = {"binary": 2, "multiclass": 2, "regression": 0}
_DTYPES = ("float32", "int64", "string")
_DIGEST = re.compile(r"(sha256:)?[0-9a-f]*")
_KSERVE_SCHEMES = ("pvc://", "s3://", "gs://", "https://", "http://", "hf://", "oci://")

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Input:
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
class Model:
    """What a rollout must know of a model.

    Attributes:
        digest: Of its content, `sha256:<hex>`.
        task: `binary`, `multiclass` or `regression`.
        classes: A classifier's classes; the second of a binary one is the positive one.
        decision_threshold: From which probability on a binary classifier answers that one.
        inputs: The features that it takes.
        schema_digest: Of the schema that it was trained with.
    """

    digest: str
    task: str
    classes: Sequence[str]
    decision_threshold: float | None
    inputs: Sequence[Input]
    schema_digest: str

    @classmethod
    def load(cls, directory: Path) -> "Model":
        """Reads a model artifact, without what it takes to run it.

        Raises:
            UserError: Where the directory holds no model.
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
                    Input(entry["name"], entry["dtype"], entry["input"])
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
        raise ValueError(f"task: {task!r} is none of {', '.join(_CLASSES)}")
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        raise ValueError("classes: expected a list of text")
    if len(classes) < _CLASSES[task] or (task == "binary" and len(classes) > _CLASSES[task]):
        raise ValueError(f"classes: {len(classes)} of them do not make a {task} task")
    number = isinstance(threshold, int | float) and not isinstance(threshold, bool)
    if threshold is not None and not number:
        raise ValueError("decision_threshold: expected a number or null")
    if not isinstance(fields["schema_digest"], str) or not _DIGEST.fullmatch(
        fields["schema_digest"]
    ):
        raise ValueError("schema_digest: expected sha256:<hexadecimal digits>")
    for entry in fields["inputs"]:
        if entry["dtype"] not in _DTYPES:
            raise ValueError(f"inputs: dtype {entry['dtype']!r} is none of {', '.join(_DTYPES)}")
        if not isinstance(entry["name"], str) or not isinstance(entry["input"], str):
            raise TypeError("inputs: name and input are text")


def address(
    directory: Path, uri: str, repository: str, name: str, model: Model, settings: ServiceSettings
) -> str:
    """Gives the model's address for KServe, and publishes it first where there is a repository.

    Args:
        directory: The model, on this machine.
        uri: The artifact's URI.
        repository: Where to publish it: `<repository>/<name>/<version>/<version>`, of which the
            first version is what KServe loads and the second what TensorFlow Serving looks for in
            there. Empty to serve the artifact where it is.
        name: The endpoint's name.
        model: The model.
        settings: The endpoint's settings; its volumes count.

    Raises:
        UserError: For a place that no pod of the endpoint could read, or that cannot be written.
    """
    if not repository:
        if settings.runtime == TENSORFLOW:
            raise UserError(
                "runtime tensorflow: TensorFlow Serving wants a directory of versions, which an "
                "artifact is not; give model_repository, to publish the model there."
            )
        return storage_uri(uri, "model", settings.volumes)
    number = lineage.content_version(model.digest)
    folder = f"{repository.rstrip('/')}/{name}/{number}"
    found = storage_uri(folder, "model_repository", settings.volumes)
    _publish(directory, folder, number, model.digest)
    return found


def storage_uri(uri: str, what: str, volumes: Sequence[Volume]) -> str:
    """Turns an artifact's URI into one that KServe's storage initializer reads.

    Args:
        uri: Such as `minio://bucket/key`, `s3://`, `gs://`, or a path in one of the volumes.
        what: How to name it in an error.
        volumes: Claims, and where this task sees them.

    Raises:
        UserError: For a path that is in none of the volumes, or an unknown scheme.
    """
    if uri.startswith(_KSERVE_SCHEMES):
        return uri.rstrip("/")
    location = parse(uri)
    if location.scheme == "minio":
        # The same protocol; the endpoint's address comes with KServe's secret.
        return str(Location("s3", location.bucket, location.key))
    path = PurePosixPath(location.key)
    for volume in volumes:
        root = PurePosixPath(volume.mount_path)
        if path.is_relative_to(root):
            inside = PurePosixPath(volume.sub_path) / path.relative_to(root)
            return f"pvc://{volume.claim}/{inside}".removesuffix("/.")
    raise UserError(
        f"{what}: {uri!r} is on this machine, where no endpoint can read it. Use an object store "
        "(s3://, minio://, gs://), or name the PersistentVolumeClaim it lies in among "
        "service.volumes (claim and mount_path)."
    )


def _publish(directory: Path, folder: str, number: str, digest: str) -> None:
    """Copies the model where it is not there yet; its place follows from its content."""
    if folder.startswith("pvc://"):
        raise UserError(
            f"model_repository: {folder!r} cannot be written from here; give the path at which "
            "this task mounts the claim, and the claim among service.volumes."
        )
    location = parse(folder)
    complete = json.dumps({"digest": digest})
    if location.is_local:
        _publish_here(directory, location.path / number, digest)
        return
    target = storage.Folder(folder)
    found = target.read_text(_COMPLETE)
    if found == complete:
        return
    if found:
        raise _taken(folder)
    storage.upload(directory, f"{folder}/{number}")
    target.write_text(_COMPLETE, complete)
    _logger.info("published %s", folder)


def _publish_here(directory: Path, target: Path, digest: str) -> None:
    try:
        if not target.is_dir():
            storage.upload(directory, str(target))
            _logger.info("published %s", target)
            return
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
        raise UserError(f"model_repository: cannot write {target}: {error.strerror}.") from error
    if lineage.digest(target) != digest:
        raise _taken(str(target))


def _taken(place: str) -> UserError:
    """A version is a number of 32 bits: rarely, two models have the same."""
    return UserError(
        f"model_repository: {place} holds another model; remove it, or give another repository."
    )
