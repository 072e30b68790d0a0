"""Google Cloud Storage."""

import base64
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from google.api_core import exceptions as api_errors
from google.auth import exceptions as auth_errors
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from google.cloud.storage import transfer_manager

from kfp_tabular.components.common import certificates
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
)

EMULATOR = "STORAGE_EMULATOR_HOST"
_SCHEME = "gs"


class GcsBucket:
    """A bucket, reached with the application's default credentials.

    Without credentials, requests are anonymous, which is enough for public buckets. If
    `STORAGE_EMULATOR_HOST` names a server, it is used, anonymously.

    Args:
        name: The bucket's name.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._bucket = _client().bucket(name)

    def stat(self, key: str) -> StoredObject | None:
        """Return the object with this key, or None."""
        if not key:
            return None
        with self._user_errors(key):
            blob = self._bucket.get_blob(key)
        return None if blob is None else _object(blob)

    def list(self, prefix: str) -> list[StoredObject]:
        """Return all objects whose key starts with `prefix`, sorted by key."""
        with self._user_errors(prefix):
            blobs = list(self._bucket.list_blobs(prefix=prefix))
        return sorted(map(_object, blobs), key=lambda stored: stored.key)

    def download(self, wanted: Sequence[tuple[StoredObject, Path]]) -> None:
        """Download objects: large ones in parallel ranges, small ones in parallel."""
        large = [(stored, path) for stored, path in wanted if stored.size > CHUNK_BYTES]
        small = [(stored, path) for stored, path in wanted if stored.size <= CHUNK_BYTES]
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            list(pool.map(lambda pair: self._download_whole(*pair), small))
        for stored, path in large:
            self._download_in_ranges(stored, path)

    def download_parts(self, parts: Sequence[Part]) -> None:
        """Download parts of objects in parallel."""
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            list(pool.map(self._download_part, cut(parts, CHUNK_BYTES)))

    def read(self, stored: StoredObject, start: int, end: int) -> bytes:
        """Return the bytes of an object from `start` to before `end`."""
        with self._user_errors(stored.key):
            content: bytes = self._bucket.blob(stored.key).download_as_bytes(
                start=start, end=end - 1, raw_download=True
            )
        if len(content) != end - start:
            raise ChangedError(
                f"{_SCHEME}://{self._name}/{stored.key}: {len(content)} of {end - start} bytes; "
                "the object changed while it was read."
            )
        return content

    def upload(self, files: Sequence[tuple[Path, str]]) -> None:
        """Upload files under keys, in parallel."""
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            list(pool.map(lambda pair: self._upload(*pair), files))

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects; missing ones are ignored."""
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            list(pool.map(self._delete, keys))

    def unfinished_uploads(self, prefix: str) -> Sequence[UnfinishedUpload]:  # noqa: ARG002
        """Return nothing: the store drops them after a week, and keeps no list of them."""
        return ()

    def abort(self, uploads: Sequence[UnfinishedUpload]) -> None:
        """Do nothing; see `unfinished_uploads`."""

    def probe_write(self, key: str) -> None:
        """Check that an object may be written under a key, by an upload that is not started."""
        # The session ends by itself, and leaves nothing in the bucket.
        with self._user_errors(key):
            self._bucket.blob(key).create_resumable_upload_session()

    def _delete(self, key: str) -> None:
        with self._user_errors(key), suppress(api_errors.NotFound):
            self._bucket.blob(key).delete()

    def _download_part(self, part: Part) -> None:
        with part.path.open("r+b") as target:
            target.seek(part.start)
            target.write(self.read(part.stored, part.start, part.end))

    def _download_whole(self, stored: StoredObject, path: Path) -> None:
        with self._user_errors(stored.key):
            # Raw: an object stored with gzip encoding keeps the bytes that were uploaded.
            self._bucket.blob(stored.key).download_to_filename(str(path), raw_download=True)

    def _download_in_ranges(self, stored: StoredObject, path: Path) -> None:
        with self._user_errors(stored.key):
            blob = self._bucket.get_blob(stored.key)
            if blob is None:
                raise api_errors.NotFound(stored.key)
            transfer_manager.download_chunks_concurrently(
                blob,
                str(path),
                chunk_size=CHUNK_BYTES,
                download_kwargs={"raw_download": True},
                worker_type=transfer_manager.THREAD,
                max_workers=CONNECTIONS,
            )

    def _upload(self, path: Path, key: str) -> None:
        with self._user_errors(key):
            self._bucket.blob(key).upload_from_filename(str(path))

    @contextmanager
    def _user_errors(self, key: str) -> Iterator[None]:
        uri = f"{_SCHEME}://{self._name}/{key}"
        try:
            yield
        except api_errors.NotFound as error:
            raise MissingError(f"{uri}: not found. Check the bucket and the path.") from error
        except (api_errors.Forbidden, api_errors.Unauthorized) as error:
            raise UserError(
                f"{uri}: access denied. Give the task's service account access to the bucket, or "
                "set GOOGLE_APPLICATION_CREDENTIALS."
            ) from error
        except auth_errors.RefreshError as error:
            raise UserError(f"{uri}: the Google credentials were rejected: {error}") from error


def _object(blob: Any) -> StoredObject:
    # Objects that were composed of others have no MD5.
    checksum = f"md5:{base64.b64decode(blob.md5_hash).hex()}" if blob.md5_hash else ""
    if not checksum and blob.crc32c:
        checksum = f"crc32c:{base64.b64decode(blob.crc32c).hex()}"
    modified = None if blob.updated is None else blob.updated.timestamp()
    return StoredObject(blob.name, int(blob.size), checksum=checksum, modified=modified)


def _client() -> Any:
    client = _any_client()
    # The session asks for tokens through one of its own.
    for session in (client._http, client._http._auth_request.session):
        certificates.relax_session(session)
    return client


def _any_client() -> Any:
    if os.environ.get(EMULATOR):
        return storage.Client(project="emulated", credentials=AnonymousCredentials())
    try:
        return storage.Client()
    except auth_errors.DefaultCredentialsError:
        return storage.Client.create_anonymous_client()
    except OSError:
        # Credentials without a project, which reading and writing objects does not need.
        return storage.Client(project="unknown")
