"""Amazon S3, and stores that speak its protocol (MinIO, Ceph, SeaweedFS)."""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
from pyarrow import fs

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.storage.stores import CHUNK_BYTES, CONNECTIONS, StoredObject

KUBEFLOW_MINIO = "http://minio-service.kubeflow:9000"
"""Where `minio://` goes unless an endpoint is set: the object store that Kubeflow installs."""

_DENIED = ("ACCESS_DENIED", "INVALID_ACCESS_KEY", "SIGNATURE_DOES_NOT_MATCH", "HTTP status 403")


@dataclass(frozen=True)
class Connection:
    """How to reach an S3 store; what is None is left to the AWS SDK's own lookup.

    Attributes:
        endpoint: `http://host:port` or `https://host`; None for Amazon's.
        access_key: With `secret_key`, static credentials.
        secret_key: See `access_key`.
        session_token: Of temporary credentials.
        region: The bucket's region.
        anonymous: Whether requests are unsigned.
    """

    endpoint: str | None = None
    access_key: str | None = None
    secret_key: str | None = None
    session_token: str | None = None
    region: str | None = None
    anonymous: bool = False


def connection(scheme: str, environment: Mapping[str, str]) -> Connection:
    """Decides how to reach a store from the environment.

    Endpoint: the first set of `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`, `S3_ENDPOINT`; for
    `minio` `MINIO_ENDPOINT` goes first and Kubeflow's own store is the default. An endpoint
    without a scheme is taken as https unless `S3_USE_HTTPS` is `0`.

    Credentials: `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY` (`MINIO_ACCESS_KEY` and
    `MINIO_SECRET_KEY` first for `minio`). Without them `s3` uses the AWS SDK's chain (shared
    files, web identity, instance role), or none where `AWS_NO_SIGN_REQUEST` is `YES`.

    Args:
        scheme: `s3` or `minio`.
        environment: Environment variables.
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
    unsigned = environment.get("AWS_NO_SIGN_REQUEST", "").lower() in ("yes", "true", "1")
    return Connection(
        endpoint=endpoint,
        access_key=first(access_keys),
        secret_key=first(secret_keys),
        session_token=first(["AWS_SESSION_TOKEN"]),
        # A store other than Amazon's has no regions, but the SDK would look one up.
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
        self._fs = _filesystem(connection(scheme, os.environ))

    def stat(self, key: str) -> StoredObject | None:
        """Gives the object with this key, or None."""
        if not key:
            return None
        with self._user_errors(key):
            info = self._fs.get_file_info(f"{self._name}/{key}")
        return StoredObject(key, info.size) if info.type == fs.FileType.File else None

    def list(self, prefix: str) -> list[StoredObject]:
        """Gives all objects whose key starts with `prefix`, sorted by key."""
        # The selector takes whole folders: list the last whole one and keep what fits.
        folder = prefix.rpartition("/")[0]
        selector = fs.FileSelector(
            f"{self._name}/{folder}".rstrip("/"), recursive=True, allow_not_found=bool(folder)
        )
        with self._user_errors(prefix):
            infos = self._fs.get_file_info(selector)
        found = [
            StoredObject(info.path.partition("/")[2], info.size)
            for info in infos
            if info.type == fs.FileType.File
        ]
        return sorted(
            (stored for stored in found if stored.key.startswith(prefix)),
            key=lambda stored: stored.key,
        )

    def download(self, wanted: Sequence[tuple[StoredObject, Path]]) -> None:
        """Fetches objects in ranges, many at the same time."""
        ranges = []
        for stored, path in wanted:
            with path.open("wb") as empty:
                empty.truncate(stored.size)
            ranges += [(stored, path, start) for start in range(0, stored.size, CHUNK_BYTES)]
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            list(pool.map(lambda item: self._download_range(*item), ranges))

    def upload(self, files: Sequence[tuple[Path, str]]) -> None:
        """Stores files under keys, side by side."""
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            list(pool.map(lambda pair: self._upload(*pair), files))

    def _download_range(self, stored: StoredObject, path: Path, start: int) -> None:
        length = min(CHUNK_BYTES, stored.size - start)
        with (
            self._user_errors(stored.key),
            self._fs.open_input_file(f"{self._name}/{stored.key}") as source,
            path.open("r+b") as target,
        ):
            target.seek(start)
            content = source.read_at(length, start)
            if len(content) != length:
                raise OSError(
                    f"{self._uri(stored.key)}: {len(content)} of {length} bytes at {start}; "
                    "the object changed while it was read."
                )
            target.write(content)

    def _upload(self, path: Path, key: str) -> None:
        with (
            self._user_errors(key),
            path.open("rb") as source,
            self._fs.open_output_stream(f"{self._name}/{key}") as target,
        ):
            shutil.copyfileobj(source, target, length=8 << 20)

    def _uri(self, key: str) -> str:
        return f"{self._scheme}://{self._name}/{key}"

    @contextmanager
    def _user_errors(self, key: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise UserError(
                f"{self._uri(key)}: not found; check the bucket and the path."
            ) from error
        except OSError as error:
            # Arrow has one error for all that the SDK reports; the code is in the text.
            if "NO_SUCH_BUCKET" in str(error):
                raise UserError(f"{self._uri(key)}: there is no such bucket.") from error
            if not any(code in str(error) for code in _DENIED):
                raise
            raise UserError(
                f"{self._uri(key)}: access denied. Set AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY, or give the task's role access to the bucket."
            ) from error


def _filesystem(to: Connection) -> Any:
    options: dict[str, Any] = {"anonymous": to.anonymous}
    if to.endpoint is not None:
        endpoint = urlsplit(to.endpoint)
        options.update(endpoint_override=endpoint.netloc, scheme=endpoint.scheme)
    if to.region is not None:
        options["region"] = to.region
    if to.access_key and to.secret_key and not to.anonymous:
        options.update(
            access_key=to.access_key, secret_key=to.secret_key, session_token=to.session_token
        )
    try:
        return fs.S3FileSystem(**options)
    except pa.ArrowInvalid as error:
        raise UserError(f"S3 settings in the environment: {error}") from error
