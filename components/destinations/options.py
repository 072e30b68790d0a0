"""The options of `check_destinations`."""

from collections.abc import Sequence
from dataclasses import dataclass

from kfp_tabular.components.common.documents import distinct, mount_path
from kfp_tabular.components.common.options import option


def check_mount_paths(values: Sequence[str]) -> None:
    """Check the mount paths of volumes, each given once.

    Raises:
        ValueError: For the first that does not fit.

    Example:
        >>> check_mount_paths(["/models"])
        >>> check_mount_paths(["models"])
        Traceback (most recent call last):
            ...
        ValueError: expected an absolute path below /
    """
    for value in values:
        mount_path(value)
    distinct(values, "mount path")


@dataclass(frozen=True)
class DestinationOptions:
    """The arguments: name, type, default, meaning and check of each."""

    model_repository: str = option(
        "", "The repository that `deploy_model` will publish to; empty for none."
    )
    model_name: str = option("", "The model's name, a directory in the repository.")
    study_directory: str = option(
        "", "The directory of a search's study, for `tune_hyperparameters`; empty for none."
    )
    checkpoint_uri: str = option(
        "", "The directory of a training's checkpoints, for `train_model`; empty for none."
    )
    prepare: Sequence[str] = option(
        (),
        """Mount paths of volumes to make writable for the group of this process, which must own
        them: it runs as root, without capabilities.""",
        check=check_mount_paths,
    )
