"""Declares a function as a component whose part of the compiled spec is small.

Argo keeps a task's command and component spec up to ten times in the Workflow object, which must
stay under 1 MiB. So the command names the function in place of its source, and the spec's
descriptions are one short line each. The whole text stays in the docstring, which the component's
page, `kfp-tabular params` and `python_func` show.
"""

import os
import re
from collections.abc import Callable
from typing import Any

from kfp_tabular.components.common.task import task_process

LONGEST_DESCRIPTION = 60
"""The most characters of an argument's description in the compiled spec."""

_SENTENCE_END = re.compile(r"(?<=[.;])\s")


def component(*, base_image: str) -> Callable[[Callable[..., Any]], Any]:
    """Return a decorator that makes a function a KFP component, as `dsl.component` does.

    Inside a task the function stays a function. Everywhere else the decorator returns a KFP
    component.

    Args:
        base_image: The image that the component runs in. It holds this package and the function's
            module.

    Raises:
        TypeError: When decorating a function that a task could not import by name: one inside
            another function, or of the program that runs.

    Example:
        >>> from kfp_tabular.components import ingest_data
        >>> ingest_data.component_spec.implementation.container.command
        ['python3', '-m', 'kfp_tabular.components.common.task']
        >>> ingest_data.component_spec.inputs["csv_encoding"].description
        'The encoding of CSV files, by its Python name.'
    """

    def declare(function: Callable[..., Any]) -> Any:
        # KFP sets the variable for a running task, where it offers no `dsl.component`.
        if os.environ.get("_KFP_RUNTIME") == "true":
            return function
        if function.__module__ == "__main__" or "." in function.__qualname__:
            raise TypeError(
                f"{function.__qualname__}: a component is a function at the top of a module that "
                "its image can import; use dsl.component for others"
            )
        from kfp import dsl

        declared = dsl.component(function, base_image=base_image, install_kfp_package=False)
        spec = declared.component_spec
        container = spec.implementation.container
        container.command, container.args = task_process.command_line(function)
        spec.description = declared.description = _first_line(function)
        for entry in [*(spec.inputs or {}).values(), *(spec.outputs or {}).values()]:
            entry.description = short(entry.description or "") or None
        return declared

    return declare


def short(description: str, longest: int = LONGEST_DESCRIPTION) -> str:
    r"""Return the first sentence of a description, on one line.

    Args:
        description: The description.
        longest: The most characters. A longer sentence ends on a whole word and with `...`.

    Example:
        >>> short("Rows per step, over all workers; at most the rows\n    of the train split.")
        'Rows per step, over all workers'
        >>> short("A directory for checkpoints that outlives the task.", 30)
        'A directory for checkpoints...'
    """
    first = _SENTENCE_END.split(" ".join(description.split()), maxsplit=1)[0].rstrip(";")
    if len(first) <= longest:
        return first
    cut = first[: longest - 2].rpartition(" ")[0] or first[: longest - 3]
    return f"{cut.rstrip(' ,:')}..."


def _first_line(function: Callable[..., Any]) -> str:
    return (function.__doc__ or "").strip().partition("\n")[0]
