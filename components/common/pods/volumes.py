"""PersistentVolumeClaims that pods mount."""

from dataclasses import dataclass

from kfp_tabular.components.common import documents


@dataclass(frozen=True)
class Volume:
    """A PersistentVolumeClaim that a pod mounts.

    Attributes:
        claim: The claim's name.
        mount_path: The directory at which it appears.
        sub_path: A directory of the claim that is mounted instead of its root.
    """

    claim: str = documents.required(documents.resource_name)
    mount_path: str = documents.required(documents.mount_path)
    sub_path: str = ""

    def __post_init__(self) -> None:
        if self.sub_path.startswith("/") or ".." in self.sub_path.split("/"):
            raise ValueError(f"sub_path: expected a path inside the volume, found {self.sub_path}")


@dataclass(frozen=True)
class JobVolume(Volume):
    """A PersistentVolumeClaim that the pods of a job mount.

    Workers on several nodes need a claim that several nodes can mount.

    Attributes:
        read_only: Whether it is mounted for reading only.
    """

    read_only: bool = False
