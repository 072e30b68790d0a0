"""Amazon S3, and stores that speak its protocol (MinIO, Ceph, SeaweedFS)."""

import io
import logging
import os
import random
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import boto3
from botocore import UNSIGNED
from botocore import exceptions as boto_errors
from botocore.config import Config
from s3transfer.manager import TransferConfig, TransferManager

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.storage.object_store import (
    CHUNK_BYTES,
    CONNECTIONS,
    ChangedError,
    MissingError,
    Part,
    StoredObject,
    UnfinishedUpload,
    cut,
    make_room,
)

KUBEFLOW_MINIO = "http://minio-service.kubeflow:9000"
"""The default endpoint of `minio://`: the object store that Kubeflow installs."""

_DENIED = {
    "403",
    "AccessDenied",
    "AllAccessDisabled",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidToken",
    "SignatureDoesNotMatch",
}
_MISSING = {"404", "NoSuchKey", "NoSuchUpload", "NotFound"}
_LOST = (
    boto_errors.HTTPClientError,
    boto_errors.IncompleteReadError,
    boto_errors.ResponseStreamingError,
)
_ATTEMPTS = 5
_BUSY = (429, 500, 502, 503, 504)
_BUSY_ATTEMPTS = 12
_LONGEST_WAIT = 5.0
"""In seconds. With twelve attempts, a store may be busy for 17 s at least."""
_logger = logging.getLogger(__name__)

_READ_BYTES = 1 << 20


@dataclass(frozen=True)
class Connection:
    """How to reach an S3 store. The AWS SDK looks up settings that are None.

    Attributes:
        endpoint: `http://host:port` or `https://host`; None for Amazon's.
        access_key: The access key of static credentials.
        secret_key: The secret key of static credentials.
        session_token: The session token of temporary credentials.
        region: The region of the bucket.
        anonymous: Whether requests are unsigned.
    """

    endpoint: str | None = None
    access_key: str | None = None
    secret_key: str | None = None
    session_token: str | None = None
    region: str | None = None
    anonymous: bool = False


def connection(scheme: str, environment: Mapping[str, str]) -> Connection:
    """Return how to reach a store, from environment variables.

    Endpoint: the first of `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL` and `S3_ENDPOINT` that is set.
    For `minio`, `MINIO_ENDPOINT` comes first and Kubeflow's own store is the default. An endpoint
    without a scheme uses https, unless `S3_USE_HTTPS` is `0`.

    Credentials: `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`; for `minio`, `MINIO_ACCESS_KEY`
    and `MINIO_SECRET_KEY` come first. Without them, the chain of the AWS SDK applies (shared files,
    web identity, instance role). `AWS_NO_SIGN_REQUEST=YES` makes requests anonymous.

    Args:
        scheme: `s3` or `minio`.
        environment: Environment variables.

    Example:
        >>> connection("minio", {"MINIO_ENDPOINT": "minio.team:9000", "S3_USE_HTTPS": "0"}).endpoint
        'http://minio.team:9000'
    """
    endpoints = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "S3_ENDPOINT"]
    access_keys, secret_keys = ["AWS_ACCESS_KEY_ID"], ["AWS_SECRET_ACCESS_KEY"]
    if scheme == "minio":
        endpoints.insert(0, "MINIO_ENDPOINT")
        access_keys.insert(0, "MINIO_ACCESS_KEY")
        secret_keys.insert(0, "MINIO_SECRET_KEY")

    def first(names: Sequence[str]) -> str | None:
        return next((environment[name] for name in names if environment.get(name)), None)

    endpoint = first(endpoints) or (KUBEFLOW_MINIO if scheme == "minio" else None)
    if endpoint is not None and "://" not in endpoint:
        plain = environment.get("S3_USE_HTTPS", "1").lower() in ("0", "false", "no")
        endpoint = f"{'http' if plain else 'https'}://{endpoint}"
    # A session token belongs to Amazon's key in the same environment, not to MinIO's.
    own_key = scheme == "minio" and bool(environment.get("MINIO_ACCESS_KEY"))
    unsigned = environment.get("AWS_NO_SIGN_REQUEST", "").lower() in ("yes", "true", "1")
    return Connection(
        endpoint=endpoint,
        access_key=first(access_keys),
        secret_key=first(secret_keys),
        session_token=None if own_key else first(["AWS_SESSION_TOKEN"]),
        # Stores other than Amazon's have no regions, but the SDK would look one up.
        region=first(["AWS_REGION", "AWS_DEFAULT_REGION"]) or ("us-east-1" if endpoint else None),
        anonymous=unsigned,
    )


class S3Bucket:
    """A bucket.

    Args:
        scheme: `s3` or `minio`.
        name: The bucket's name.
    """

    def __init__(self, scheme: str, name: str) -> None:
        self._scheme = scheme
        self._name = name
        self._client = _client(connection(scheme, os.environ))

    def stat(self, key: str) -> StoredObject | None:
        """Return the object with this key, or None."""
        if not key:
            return None
        with self._user_errors(key):
            try:
                found = self._client.head_object(Bucket=self._name, Key=key)
            except boto_errors.ClientError as error:
                if _code(error) in _MISSING:
                    return None
                raise
        return _object(key, int(found["ContentLength"]), found)

    def list(self, prefix: str) -> list[StoredObject]:
        """Return all objects whose key starts with `prefix`, sorted by key."""
        pages = self._client.get_paginator("list_objects_v2")
        with self._user_errors(prefix):
            found = [
                _object(entry["Key"], int(entry["Size"]), entry)
                for page in pages.paginate(Bucket=self._name, Prefix=prefix)
                for entry in page.get("Contents", ())
            ]
        return sorted(found, key=lambda stored: stored.key)

    def download(self, wanted: Sequence[tuple[StoredObject, Path]]) -> None:
        """Download objects in parallel ranges."""
        for stored, path in wanted:
            make_room(path, stored.size)
        self.download_parts(
            [Part(stored, path, 0, stored.size) for stored, path in wanted if stored.size]
        )

    def download_parts(self, parts: Sequence[Part]) -> None:
        """Download parts of objects in parallel."""
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            list(pool.map(self._download_part, cut(parts, CHUNK_BYTES)))

    def read(self, stored: StoredObject, start: int, end: int) -> bytes:
        """Return the bytes of an object from `start` to before `end`."""
        content = io.BytesIO()
        self._copy_range(stored, start, end, content)
        return content.getvalue()

    def upload(self, files: Sequence[tuple[Path, str]]) -> None:
        """Upload files under keys in parallel, large ones in pieces."""
        settings = TransferConfig(
            multipart_threshold=CHUNK_BYTES,
            multipart_chunksize=CHUNK_BYTES,
            max_request_concurrency=CONNECTIONS,
        )
        with TransferManager(self._client, settings) as transfers:
            running = [(key, transfers.upload(str(path), self._name, key)) for path, key in files]
            for key, transfer in running:
                with self._user_errors(key):
                    transfer.result()

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects; missing ones are ignored."""
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            list(pool.map(self._delete, keys))

    def unfinished_uploads(self, prefix: str) -> Sequence[UnfinishedUpload]:
        """Return uploads whose parts the store keeps, of keys that start with `prefix`."""
        pages = self._client.get_paginator("list_multipart_uploads")
        try:
            return [
                UnfinishedUpload(entry["Key"], entry["UploadId"], _seconds(entry.get("Initiated")))
                for page in pages.paginate(Bucket=self._name, Prefix=prefix)
                for entry in page.get("Uploads", ())
                # Not every store filters.
                if entry["Key"].startswith(prefix)
            ]
        except boto_errors.ClientError as error:
            # Not every store lists them, nor has every role the right to.
            _logger.warning("%s: unfinished uploads are not known: %s", self._uri(prefix), error)
            return []

    def abort(self, uploads: Sequence[UnfinishedUpload]) -> None:
        """Delete the parts of uploads; those that are completed meanwhile are ignored."""
        for upload in uploads:
            with suppress(MissingError), self._user_errors(upload.key):
                self._client.abort_multipart_upload(
                    Bucket=self._name, Key=upload.key, UploadId=upload.identifier
                )

    def probe_write(self, key: str) -> None:
        """Check that an object may be written under a key, by an upload that is not completed."""
        # An object that is put and deleted would stay as a version in a bucket that keeps them.
        with self._user_errors(key):
            started = self._client.create_multipart_upload(Bucket=self._name, Key=key)
        upload = {"Bucket": self._name, "Key": key, "UploadId": started["UploadId"]}
        try:
            with self._user_errors(key):
                self._client.abort_multipart_upload(**upload)
        except UserError as error:
            # No object, and the bucket's rule for incomplete uploads removes it.
            _logger.warning("The trial upload to %s is not aborted: %s", self._uri(key), error)

    def _delete(self, key: str) -> None:
        # One by one: not every store supports deleting many objects with one request.
        with self._user_errors(key):
            self._client.delete_object(Bucket=self._name, Key=key)

    def _download_part(self, part: Part) -> None:
        with part.path.open("r+b") as target:
            target.seek(part.start)
            self._copy_range(part.stored, part.start, part.end, target)

    def _copy_range(self, stored: StoredObject, start: int, end: int, target: Any) -> None:
        """Append a range to a target that is positioned where it belongs."""
        first, position, attempt = target.tell(), start, 0
        with self._user_errors(stored.key):
            while position < end:
                try:
                    self._copy(stored, position, end, target)
                except _LOST:
                    # The SDK retries requests, but not the reading of a response.
                    attempt += 1
                    if attempt == _ATTEMPTS:
                        raise
                position = start + target.tell() - first

    def _copy(self, stored: StoredObject, position: int, end: int, target: Any) -> None:
        same = {"IfMatch": stored.version} if stored.version else {}
        response = self._client.get_object(
            Bucket=self._name, Key=stored.key, Range=f"bytes={position}-{end - 1}", **same
        )
        with closing(response["Body"]) as body:
            while chunk := body.read(_READ_BYTES):
                position += target.write(chunk)
        if position != end:
            raise ChangedError(
                f"{self._uri(stored.key)}: {position} of {end} bytes; the object changed "
                "while it was read."
            )

    def _uri(self, key: str) -> str:
        return f"{self._scheme}://{self._name}/{key}"

    @contextmanager
    def _user_errors(self, key: str) -> Iterator[None]:
        try:
            yield
        except boto_errors.ClientError as error:
            code = _code(error)
            if code == "NoSuchBucket":
                raise UserError(f"{self._uri(key)}: the bucket does not exist.") from error
            if code in _MISSING:
                raise MissingError(
                    f"{self._uri(key)}: not found. Check the bucket and the path."
                ) from error
            if code == "PreconditionFailed":
                raise ChangedError(
                    f"{self._uri(key)}: the object changed while it was read."
                ) from error
            if code in _DENIED:
                raise UserError(self._denied(key)) from error
            raise
        except (
            boto_errors.NoCredentialsError,
            boto_errors.PartialCredentialsError,
            boto_errors.CredentialRetrievalError,
            boto_errors.TokenRetrievalError,
        ) as error:
            raise UserError(f"{self._denied(key)} ({error})") from error

    def _denied(self, key: str) -> str:
        names = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        if self._scheme == "minio":
            names = "MINIO_ACCESS_KEY and MINIO_SECRET_KEY"
        return (
            f"{self._uri(key)}: access denied. Set {names}, or give the task's role access to the "
            "bucket."
        )


def _object(key: str, size: int, found: Mapping[str, Any]) -> StoredObject:
    tag = found.get("ETag", "")
    checksum = "etag:" + tag.strip('"') if tag else ""
    return StoredObject(key, size, tag, checksum, _seconds(found.get("LastModified")))


def _seconds(time: datetime | None) -> float | None:
    return None if time is None else time.timestamp()


def _code(error: boto_errors.ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _client(to: Connection) -> Any:
    options: dict[str, Any] = {}
    if to.access_key and to.secret_key and not to.anonymous:
        options.update(
            aws_access_key_id=to.access_key,
            aws_secret_access_key=to.secret_key,
            aws_session_token=to.session_token,
        )
    settings = Config(
        # Path style, because bucket names are not host names in a cluster.
        s3={"addressing_style": "path" if to.endpoint else "auto"},
        signature_version=UNSIGNED if to.anonymous else None,
        max_pool_connections=2 * CONNECTIONS,
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
        # Older stores do not know the checksums that the SDK adds by default.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    try:
        # A session of its own: the module's shared session is not thread-safe.
        client = boto3.session.Session().client(
            "s3", endpoint_url=to.endpoint, region_name=to.region, config=settings, **options
        )
    except (ValueError, boto_errors.BotoCoreError) as error:
        raise UserError(f"Invalid S3 settings in the environment: {error}") from error
    client.meta.events.register_last("needs-retry.s3", _patience)
    return client


def _patience(attempts: int, response: Any, **_: Any) -> float | None:
    """Return how long to wait for a store that is busy, once the SDK has given up; else None."""
    status = response[0].status_code if response else 0
    if status not in _BUSY or not _ATTEMPTS <= attempts < _BUSY_ATTEMPTS:
        return None
    # Not all executors at the same moment.
    return _LONGEST_WAIT * random.uniform(0.5, 1)  # noqa: S311 - not a secret
