"""Where KServe finds the model: the artifact's own URI, or a model repository it is copied to."""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from kfp_tabular.components.common import files, storage
from kfp_tabular.components.common.artifacts import lineage, model_signature
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.pods.volumes import Volume
from kfp_tabular.components.common.registry.kubeflow_api import SCHEME as KUBEFLOW
from kfp_tabular.components.common.storage import writability
from kfp_tabular.components.common.storage.location import Location, parse
from kfp_tabular.components.deployment.deployment_request import DeploymentRequest
from kfp_tabular.components.deployment.kserve.resources.deployed_model import DeployedModel
from kfp_tabular.components.deployment.kserve.resources.service_settings import (
    TENSORFLOW,
    ServiceSettings,
)
from kfp_tabular.components.deployment.options import DeploymentOptions

MODEL_REGISTRY = "model-registry://"
"""The scheme that the storage initializer of Kubeflow's Model Registry resolves."""

_COMPLETE = "_complete.json"
_REGISTRY_READS = ("s3://", "gs://", "https://", "http://")
_KSERVE_SCHEMES = ("pvc://", "s3://", "gs://", "https://", "http://", "hf://", "oci://")

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ModelLocation:
    """Where a model is.

    Attributes:
        storage_uri: What KServe loads.
        directory: URI of the directory with the model's files, as tasks read it.
    """

    storage_uri: str
    directory: str


def locate(
    request: DeploymentRequest, model: DeployedModel, settings: ServiceSettings
) -> ModelLocation:
    """Return where the model is; publish it first if there is a model repository.

    A published model is at `<repository>/<name>/<version>/<version>`: KServe loads the first
    version directory, and TensorFlow Serving looks in it for the second.

    Args:
        request: The deployment.
        model: The model.
        settings: The endpoint's settings, with its volumes.

    Raises:
        UserError: If no pod of the endpoint could read the model, or the repository cannot be
            written.

    Example:
        >>> from kfp_tabular.components.common.artifacts.model_document import ModelSpec
        >>> model = DeployedModel("sha256:0", ModelSpec("regression", "fare", (), None, (), ""))
        >>> uri = "minio://mlpipeline/run/model"
        >>> request = DeploymentRequest(Path("model"), Path("golden"), Path("summary.md"), uri)
        >>> locate(request, model, ServiceSettings()).storage_uri
        's3://mlpipeline/run/model'
    """
    if settings.model_registry:
        uri = registry_uri(request.options)
        found = _located(request, model, settings)
        directory = storage_uri(found.directory, "model", settings.volumes)
        if not directory.startswith(_REGISTRY_READS):
            raise UserError(
                f"service.model_registry: the model is at {directory}, and the storage initializer "
                "of Kubeflow's Model Registry reads s3:// and gs:// only. Give a model_repository "
                "there."
            )
        return ModelLocation(uri, found.directory)
    return _located(request, model, settings)


def registry_uri(options: DeploymentOptions) -> str:
    """Return the URI that the storage initializer of Kubeflow's Model Registry resolves.

    It names the registry's host: without, the initializer first looks for a host of the model's
    name.

    Raises:
        UserError: If the model is not in such a registry.

    Example:
        >>> uri = "model-registry+http://registry.kubeflow:8080"
        >>> registered = DeploymentOptions("", "taxi", registered_version="3", tracking_uri=uri)
        >>> registry_uri(registered)
        'model-registry://registry.kubeflow:8080/taxi/3'
    """
    if not options.registered_version or not options.tracking_uri.startswith(KUBEFLOW):
        raise UserError(
            "service.model_registry: the model is not registered in Kubeflow's Model Registry; "
            f"deploy it with registered_version, and {KUBEFLOW}http://HOST:PORT as tracking_uri."
        )
    host = urlsplit(options.tracking_uri.removeprefix(KUBEFLOW)).netloc.rpartition("@")[2]
    return f"{MODEL_REGISTRY}{host}/{options.model_name}/{options.registered_version}"


def _located(
    request: DeploymentRequest, model: DeployedModel, settings: ServiceSettings
) -> ModelLocation:
    options = request.options
    if not options.model_repository:
        if settings.runtime == TENSORFLOW:
            raise UserError(
                "runtime tensorflow: TensorFlow Serving needs a directory of versions, which an "
                "artifact is not. Give model_repository, to publish the model there."
            )
        uri = request.model_uri or str(request.model)
        found = storage_uri(uri, "model", settings.volumes)
        if options.signing_key:
            _sign(request.model, uri, options.signing_key)
        return ModelLocation(found, uri)
    version = lineage.content_version(model.digest)
    folder = f"{options.model_repository.rstrip('/')}/{options.model_name}/{version}"
    found = storage_uri(folder, "model_repository", settings.volumes)
    _publish(request.model, folder, version, model.digest)
    directory = f"{folder}/{version}"
    if options.signing_key:
        _sign(request.model, directory, options.signing_key)
    return ModelLocation(found, directory)


def storage_uri(uri: str, what: str, volumes: Sequence[Volume]) -> str:
    """Return the URI that KServe's storage initializer reads for an artifact's URI.

    Args:
        uri: Such as `minio://bucket/key`, `s3://`, `gs://`, or a path in one of the volumes.
        what: The argument's name, for messages.
        volumes: Claims, as this task mounts them.

    Raises:
        UserError: If a path is not in one of the volumes, or the scheme is unknown.

    Example:
        >>> storage_uri("minio://mlpipeline/a/model", "model", [])
        's3://mlpipeline/a/model'
        >>> storage_uri("/models/taxi", "model", [Volume("shared", "/models")])
        'pvc://shared/taxi'
    """
    if uri.startswith(_KSERVE_SCHEMES):
        return uri.rstrip("/")
    location = parse(uri)
    if location.scheme == "minio":
        # The same protocol; the store's address is in KServe's Secret.
        return str(Location("s3", location.bucket, location.key))
    path = PurePosixPath(location.key)
    for volume in volumes:
        root = PurePosixPath(volume.mount_path)
        if path.is_relative_to(root):
            inside = PurePosixPath(volume.sub_path) / path.relative_to(root)
            return f"pvc://{volume.claim}/{inside}".removesuffix("/.")
    raise UserError(
        f"{what}: {uri!r} is on this machine, where no endpoint can read it. Use an object store "
        "(s3://, minio://, gs://), or give the PersistentVolumeClaim that holds it in "
        "service.volumes (claim and mount_path)."
    )


def _publish(directory: Path, folder: str, number: str, digest: str) -> None:
    """Copy the model, if it is not there yet; the folder follows from its content."""
    if folder.startswith("pvc://"):
        raise UserError(
            f"model_repository: {folder!r} cannot be written from here; give the path at which "
            "this task mounts the claim, and the claim in service.volumes."
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
        raise _occupied(folder)
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
        writability.check(str(target), "model_repository")
        raise UserError(f"model_repository: cannot write {target}: {error.strerror}.") from error
    if lineage.digest(target) != digest:
        raise _occupied(str(target))


def _sign(model: Path, uri: str, key: str) -> None:
    """Put the signature of a model beside its files, unless one is there.

    The endpoint loads the model after this, and no digest covers the signature.
    """
    signature = model_signature.sign(model, Path(key))
    location = parse(uri)
    if location.is_local:
        target = location.path / model_signature.FILE_NAME
        if not target.exists():
            files.write_text(target, signature)
        return
    folder = storage.Folder(uri)
    if folder.stat(model_signature.FILE_NAME) is None:
        folder.write_text(model_signature.FILE_NAME, signature)


def _occupied(folder: str) -> UserError:
    # A version is a number of 32 bits: rarely, two models have the same.
    return UserError(
        f"model_repository: {folder} holds another model; remove it, or use another repository."
    )
