"""Opens the object store that a URI names."""

import functools
import os
import threading

from kfp_tabular.components.common.storage.location import Location
from kfp_tabular.components.common.storage.object_store import Store


def open_store(location: Location) -> Store:
    """Connect to the store of a remote location."""
    # Import only the client library in use: not every image has every one.
    if location.scheme == "gs":
        from kfp_tabular.components.common.storage.gcs import GcsBucket

        return GcsBucket(location.bucket)
    from kfp_tabular.components.common.storage.s3 import S3Bucket

    return S3Bucket(location.scheme, location.bucket)


_SETTINGS = ("AWS_", "S3_", "MINIO_", "STORAGE_", "GOOGLE_", "CLOUDSDK_")
_opening = threading.Lock()


def shared_store(location: Location) -> Store:
    """Return a connection that this process has, or connect.

    Connecting takes a tenth of a second: too long for each of many small reads.
    """
    settings = sorted(item for item in os.environ.items() if item[0].startswith(_SETTINGS))
    with _opening:
        return _connected(location.scheme, location.bucket, tuple(settings), os.getpid())


@functools.lru_cache(maxsize=8)
def _connected(
    scheme: str, bucket: str, _settings: tuple[tuple[str, str], ...], _process: int
) -> Store:
    """Connect; a forked process makes connections of its own."""
    return open_store(Location(scheme, bucket, ""))
