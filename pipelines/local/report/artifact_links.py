"""The artifacts of a run, and links to files from its report."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote


@dataclass(frozen=True)
class ArtifactLink:
    """An artifact that a task wrote.

    Attributes:
        name: The output's name.
        type: KFP's type, such as `Dataset` or `HTML`.
        path: Its location; it need not exist.
        metadata: The metadata that the task set.
    """

    name: str
    type: str
    path: Path
    metadata: Mapping[str, Any]


def target(path: Path, home: Path) -> str:
    """Return a link to a file, relative to the folder of the page.

    Example:
        >>> target(Path("/runs/a/logs/x 1.log"), Path("/runs/a"))
        'logs/x%201.log'
    """
    return quote(os.path.relpath(path.absolute(), home))
