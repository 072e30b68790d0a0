"""The pipelines of this project by name, and those that users bring."""

from collections.abc import Mapping

from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.pipelines import user_pipeline
from kfp_tabular.pipelines.batch_prediction.definition import BATCH_PREDICTION
from kfp_tabular.pipelines.definition import PipelineDefinition
from kfp_tabular.pipelines.training.definition import TRAINING
from kfp_tabular.pipelines.validation.definition import VALIDATION

PIPELINES: Mapping[str, PipelineDefinition] = {
    definition.name: definition for definition in (TRAINING, VALIDATION, BATCH_PREDICTION)
}
"""The registered pipelines by name."""


def find(name: str) -> PipelineDefinition:
    """Return the definition of a pipeline.

    Args:
        name: A registered name, or `PATH.py:function` for a user's own pipeline. That file is
            Python code, and it is run.

    Raises:
        UserError: If the pipeline does not exist, or its file fails.

    Example:
        >>> find("training").required_parameters
        ('data_uri', 'label')
    """
    if name in PIPELINES:
        return PIPELINES[name]
    if user_pipeline.is_path(name):
        return user_pipeline.load(name)
    raise UserError(
        f"pipeline {name!r} does not exist.{closest(name, PIPELINES)} Registered: "
        f"{', '.join(PIPELINES)}. For your own, give PATH.py:function."
    )
