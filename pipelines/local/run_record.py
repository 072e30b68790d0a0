"""`run.json`: how a run was started and which of its tasks have finished, for `--resume`."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from kfp_tabular.components.common import files
from kfp_tabular.components.common.errors import UserError

RECORD_FILE = "run.json"

TIME = r"-\d{4}-\d\d-\d\d-\d\d-\d\d-\d\d-\d{6}"
"""What the name of a run's folder of artifacts ends with."""

_NAME = re.compile(r"[^/]+" + TIME)
_FORMAT = 1


@dataclass(frozen=True)
class FinishedTask:
    """A task that succeeded.

    Attributes:
        key: The digest of its fingerprint.
        fingerprint: What its outputs depend on; see `cache.fingerprint`.
        outputs: The digest of its folder.
    """

    key: str
    fingerprint: Mapping[str, Any]
    outputs: str

    def __post_init__(self) -> None:
        if not isinstance(self.fingerprint, dict):
            raise TypeError("'fingerprint' is not a mapping")


@dataclass(frozen=True)
class RunRecord:
    """How a run was started.

    Attributes:
        pipeline: The pipeline as `--pipeline` named it.
        config: The absolute path of its configuration; empty for none.
        runner: `venv` or `docker`.
        name: The name of its folder below `artifacts/`.
        folder: The run's folder. What tasks wrote refers to it, so a run stays where it is.
        arguments: All arguments that were given, by the configuration or the command.
        tasks: The finished tasks by name.
    """

    pipeline: str
    config: str
    runner: str
    name: str
    folder: str
    arguments: Mapping[str, Any]
    tasks: Mapping[str, FinishedTask] = field(default_factory=dict)

    def save(self, output: Path) -> None:
        """Write the record into a run's folder, whole or not at all."""
        document = {"format": _FORMAT, **asdict(self)}
        files.write_text(output / RECORD_FILE, json.dumps(document, ensure_ascii=False) + "\n")

    @classmethod
    def load(cls, output: Path) -> "RunRecord":
        """Read the record of the run in a folder.

        Raises:
            UserError: If there is none.
        """
        if not output.is_dir():
            raise UserError(f"--resume {output}: there is no such folder.")
        try:
            document = json.loads((output / RECORD_FILE).read_text(encoding="utf-8"))
            if document.pop("format") != _FORMAT:
                raise ValueError("another version's")
            tasks = {name: FinishedTask(**task) for name, task in document.pop("tasks").items()}
            record = cls(**document, tasks=tasks)
            if not _NAME.fullmatch(record.name):
                raise ValueError(f"{record.name!r} is not the name of a folder of artifacts")
            if not isinstance(record.arguments, dict):
                raise TypeError("'arguments' is not a mapping")
            return record
        except FileNotFoundError as error:
            raise UserError(
                f"--resume {output}: it is not the folder of a run: it has no {RECORD_FILE}."
            ) from error
        except (OSError, ValueError, TypeError, LookupError, AttributeError) as error:
            raise UserError(
                f"--resume {output}: {RECORD_FILE} cannot be read: {error}. Start a new run."
            ) from error
