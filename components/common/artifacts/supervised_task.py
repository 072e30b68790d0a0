"""The supervised task: what to predict, and from which label."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, get_args

from kfp_tabular.components.common import files
from kfp_tabular.components.common.errors import UserError

TaskKind = Literal["binary", "multiclass", "regression"]
TASK_KINDS: tuple[TaskKind, ...] = get_args(TaskKind)

FILE_NAME = "task.json"


@dataclass(frozen=True)
class Task:
    """The task that a transform graph was made for; `task.json` in the graph's directory.

    Attributes:
        kind: `binary`, `multiclass` or `regression`.
        label: The label's column.
        classes: The classes as text; the transformed label is an index into them. The second class
            of a binary task is the positive one; those of a multiclass task are sorted (numbers by
            value, text by code point). Empty for regression.
        class_counts: Rows of the train split by class, in the order of `classes`.

    Example:
        >>> Task("binary", "tip", classes=("no", "yes"), class_counts=(70, 30)).classes[1]
        'yes'
    """

    kind: TaskKind
    label: str
    classes: tuple[str, ...] = ()
    class_counts: tuple[int, ...] = ()

    def save(self, directory: str | os.PathLike[str]) -> None:
        """Write `task.json` into a directory."""
        text = json.dumps(asdict(self), indent=2, ensure_ascii=False)
        files.write_text(Path(directory) / FILE_NAME, text)

    @classmethod
    def load(cls, directory: str | os.PathLike[str]) -> "Task":
        """Read `task.json` from a directory.

        Raises:
            UserError: The file does not exist or lacks a field.
        """
        file = Path(directory) / FILE_NAME
        try:
            fields = json.loads(file.read_text(encoding="utf-8"))
            return cls(
                kind=fields["kind"],
                label=fields["label"],
                classes=tuple(fields["classes"]),
                class_counts=tuple(fields["class_counts"]),
            )
        except FileNotFoundError as error:
            raise UserError(f"{file}: not found. transform_features writes it.") from error
        except (KeyError, TypeError, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise UserError(f"{file}: not a valid description of a task: {error!r}") from error
