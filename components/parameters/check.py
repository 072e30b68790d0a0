"""The logic of `check_parameters`."""

import dataclasses
import logging
from dataclasses import dataclass, field
from pathlib import Path

from kfp_tabular.components.common import files, options
from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.parameters import checks
from kfp_tabular.components.parameters.options import (
    OPTIONS,
    RENAMED,
    TRAINING,
    TUNING,
    ParameterOptions,
)

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ParameterRequest:
    """The input of the component.

    Attributes:
        outline: The outline of the examples.
        summary: The Markdown file to write.
        options: The component's options.
    """

    outline: Path
    summary: Path
    options: ParameterOptions = field(default_factory=ParameterOptions)


def run(request: ParameterRequest) -> None:
    """Check the arguments of all tasks against the columns of the data.

    Raises:
        UserError: For the first argument that does not fit; the message begins with the task.
    """
    given = vars(request.options)
    tasks, renamed = {}, {}
    for component, kind in OPTIONS.items():
        names = {name: RENAMED.get((component, name), name) for name in options.describe(kind)}
        values = {name: given[here] for name, here in names.items() if here in given}
        task = component.replace("_", "-")
        # The pipeline's tuning task hands the hyperparameters on, or both are given the same ones.
        source = TUNING.replace("_", "-") if component == TRAINING else None
        tasks[task], renamed[task] = checks.TaskValues(component, values, source), names
    for problem in checks.problems(tasks, Examples(request.outline)):
        raise UserError(f"{problem.task}: {problem.renamed(renamed[problem.task])}")
    count = len(dataclasses.fields(request.options))
    _logger.info("%d parameters fit the data", count)
    files.write_text(request.summary, f"# Parameters\n\n{count} parameters fit the data.\n")
