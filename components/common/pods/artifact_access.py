"""Whether the pods of a job can access an artifact of the task that starts it."""

from collections.abc import Sequence
from pathlib import PurePosixPath

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.pods.volumes import JobVolume
from kfp_tabular.components.common.storage.location import parse as parse_uri


def require_reachable(
    name: str,
    uri: str,
    volumes: Sequence[JobVolume],
    *,
    writes: bool = False,
    document: str = "job",
) -> None:
    """Check that the job's pods can access an artifact's URI.

    Args:
        name: The artifact's name, for the error.
        uri: Where it is.
        volumes: The volumes that the job's pods mount.
        writes: Whether the job writes beside it.
        document: What the document with the volumes is called, for the error.

    Raises:
        UserError: If the URI is not valid, or is a path in no volume of the job, or the job writes
            to a read-only volume.

    Example:
        >>> require_reachable("transform_graph", "s3://bucket/graph", ())
        >>> require_reachable("transform_graph", "/tmp/graph", ())
        Traceback (most recent call last):
        ...
        kfp_tabular.components.common.errors.UserError: transform_graph: /tmp/graph is a path in ...
    """
    try:
        location = parse_uri(uri)
    except UserError as error:
        raise UserError(f"{name}: {error}") from error
    if not location.is_local:
        return
    path = PurePosixPath(location.key)
    holding = [volume for volume in volumes if path.is_relative_to(volume.mount_path)]
    if not holding:
        raise UserError(
            f"{name}: {uri} is a path in this task's pod, which the job's pods do not have. Store "
            "artifacts in gs://, s3:// or minio://, or on a volume that "
            f"{document}.volumes mounts at the same path."
        )
    nearest = max(holding, key=lambda volume: len(volume.mount_path))
    if writes and nearest.read_only:
        raise UserError(
            f"{name}: {uri} is in the volume at {nearest.mount_path}, where the job writes its "
            f"results, but {document}.volumes mounts it read-only."
        )
