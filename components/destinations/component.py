"""The KFP interface of `check_destinations`."""

from typing import List

from kfp import dsl

from kfp_tabular.components.common import images
from kfp_tabular.components.common.task.component import component


@component(base_image=images.LAUNCHER)
def check_destinations(
    summary: dsl.Output[dsl.Markdown],
    model_repository: str = "",
    model_name: str = "",
    study_directory: str = "",
    checkpoint_uri: str = "",
    prepare: List[str] = [],
) -> None:
    """Check early that the places which a run writes to late can be written.

    A volume that belongs to root, or a bucket that may only be read, would otherwise end the run
    after its long tasks. The task mounts the volumes of the tasks that write, and runs as the same
    user. It tries each place in a way that leaves nothing behind: a file that it removes, or an
    upload that it does not complete.

    Pipelines compiled with this project's configuration have this task where they need it.

    Args:
        summary: What was checked.
        model_repository: The repository that `deploy_model` will publish to; empty for none.
        model_name: The model's name, a directory in the repository.
        study_directory: The directory of a search's study, for `tune_hyperparameters`; empty for
            none.
        checkpoint_uri: The directory of a training's checkpoints, for `train_model`; empty for
            none.
        prepare: Mount paths of volumes to make writable for the group of this process, which must
            own them: it runs as root, without capabilities.

    Raises:
        UserError: If a place cannot be written, or a volume cannot be prepared. The message names
            the directory, its owner and mode, and the user that the task runs as.

    Example:
        >>> @dsl.pipeline
        ... def publish(model_repository: str):
        ...     check_destinations(model_repository=model_repository, model_name="taxi")
    """
    from pathlib import Path

    from kfp_tabular.components.common import options
    from kfp_tabular.components.common.errors import reported_to_user
    from kfp_tabular.components.destinations import check
    from kfp_tabular.components.destinations.options import DestinationOptions

    with reported_to_user():
        check.run(
            check.DestinationRequest(
                summary=Path(summary.path), options=options.build(DestinationOptions, locals())
            )
        )
