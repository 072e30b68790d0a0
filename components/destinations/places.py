"""The places that a run writes to late, as the arguments of its components name them."""

from collections.abc import Mapping
from typing import Any

MODEL_REPOSITORY = "model_repository"
"""The argument that names a model repository; `MODEL_NAME` names the directory in it."""

MODEL_NAME = "model_name"

ARGUMENTS = (MODEL_REPOSITORY, "study_directory", "checkpoint_uri")
"""The arguments that name a place."""


def of_argument(argument: str, values: Mapping[str, Any]) -> str:
    """Return the place that an argument names; empty if it names none.

    Args:
        argument: One of `ARGUMENTS`.
        values: The values of all arguments that are given.

    Example:
        >>> given = {"model_repository": "s3://models/", "model_name": "taxi"}
        >>> of_argument("model_repository", given)
        's3://models/taxi'
        >>> of_argument("study_directory", {"study_directory": " "})
        ''
    """
    place = str(values.get(argument) or "")
    if not place.strip():
        return ""
    name = values.get(MODEL_NAME) if argument == MODEL_REPOSITORY else ""
    return f"{place.rstrip('/')}/{name}" if name else place
