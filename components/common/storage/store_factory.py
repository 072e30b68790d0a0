"""Opens the object store that a URI names."""

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
