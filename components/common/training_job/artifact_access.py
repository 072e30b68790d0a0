"""Whether the pods of a job can access an artifact of the task that starts it."""

from pathlib import PurePosixPath

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.storage.location import parse as parse_uri
from kfp_tabular.components.common.training_job.job_settings import JobSettings


def require_reachable(name: str, uri: str, settings: JobSettings, *, writes: bool = False) -> None:
    """Check that the job's pods can access an artifact's URI.

    Args:
        name: The artifact's name, for the error.
        uri: Where it is.
        settings: The job's settings, with its volumes.
        writes: Whether the job writes beside it.

    Raises:
        UserError: If the URI is not valid, or is a path in no volume of the job, or the job writes
            to a read-only volume.

    Example:
        >>> require_reachable("transform_graph", "s3://bucket/graph", JobSettings())
        >>> require_reachable("transform_graph", "/tmp/graph", JobSettings())
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
    holding = [volume for volume in settings.volumes if path.is_relative_to(volume.mount_path)]
    if not holding:
        raise UserError(
            f"{name}: {uri} is a path in this task's pod, which the job's pods do not have. Store "
            "artifacts in gs://, s3:// or minio://, or on a volume that job.volumes mounts at the "
            "same path."
        )
    nearest = max(holding, key=lambda volume: len(volume.mount_path))
    if writes and nearest.read_only:
        raise UserError(
            f"{name}: {uri} is in the volume at {nearest.mount_path}, where the job writes its "
            "results, but job.volumes mounts it read-only."
        )
