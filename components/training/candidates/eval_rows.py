"""What the rows that candidates are measured on allow, and what a person should know of them."""

import numpy as np

from kfp_tabular.components.common.artifacts.findings import Findings
from kfp_tabular.components.training.input.training_data import TrainingData


def have_one_class(data: TrainingData) -> bool:
    """Return whether a classifier is measured on rows of one class only.

    Args:
        data: The input; in processes that do not measure, the answer is no.
    """
    if data.held_out is None or data.task.kind == "regression":
        return False
    return len(np.unique(data.held_out.label)) == 1


def note(data: TrainingData, findings: Findings) -> None:
    """Add findings about eval rows that say little or nothing about a model.

    Args:
        data: The input.
        findings: Receives them.
    """
    if not data.has_eval_split:
        findings.warning(
            "no-eval-split",
            "No eval split: early stopping is off, and the model is kept as it was at the end, "
            "not at its best.",
            option="split_fractions",
        )
    elif have_one_class(data) and data.held_out is not None:
        name = data.task.classes[int(data.held_out.label[0])]
        findings.warning(
            "one-class",
            f"All {len(data.held_out):,} eval rows have the class {name!r}: training chooses by a "
            "log loss that says little about other classes. Split so that each class is in eval.",
            option="split_method",
        )
