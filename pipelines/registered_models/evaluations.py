"""The evaluation of a registered version, which the registry keeps with it."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.registry import ModelVersion, Registry

FILE_NAME = "evaluation.json"


def of(registry: Registry, version: ModelVersion) -> Mapping[str, Any]:
    """Return the content of `evaluation.json` of a version.

    Raises:
        UserError: If the registry does not have it.
    """
    with tempfile.TemporaryDirectory(prefix="kfp-tabular-") as folder:
        file = registry.documents(version, Path(folder)) / FILE_NAME
        try:
            document: Any = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(f"{version.uri}: its {FILE_NAME} cannot be read: {error}.") from error
    if not isinstance(document, dict) or "metrics" not in document:
        raise UserError(f"{version.uri}: its {FILE_NAME} is not an evaluation.")
    return document
