"""Whether a stopped or failed run can go on, and with which arguments."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.pipelines.local import run_folder
from kfp_tabular.pipelines.local.run_record import RunRecord

_LONGEST = 60


def check(output: Path) -> RunRecord:
    """Return the record of the run in a folder.

    Raises:
        UserError: If there is no run, it has succeeded, or it was made in another folder.
    """
    record = RunRecord.load(output)
    # What its tasks wrote names the files of that folder, which may be those of another run now.
    if Path(record.folder) != output.resolve():
        raise UserError(
            f"--resume {output}: this run was started in {record.folder}, and its files refer to "
            "that folder. Move it back, or start a new one: the cache has what finished."
        )
    if (output / run_folder.ARTIFACTS_FOLDER / record.name).is_symlink():
        raise UserError(
            f"--resume {output}: {run_folder.ARTIFACTS_FOLDER}/{record.name} is a link. Put the "
            "folder itself there, or start a new run."
        )
    summary = run_folder.read_summary(output)
    if summary is not None and summary.get("status") == "succeeded":
        raise UserError(
            f"--resume {output}: this run succeeded, so there is nothing left to do. Its report is "
            f"{output / run_folder.REPORT_FILE}."
        )
    return record


def arguments(output: Path, record: RunRecord, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a run that goes on: those that it had.

    Args:
        output: Its folder.
        record: Its record.
        given: Arguments that are given now, by the configuration or the command.

    Raises:
        UserError: If one of them differs.

    Example:
        >>> had = {"label": "churned", "seed": 7}
        >>> record = RunRecord("training", "", "venv", "x", "runs/a", had)
        >>> arguments(Path("runs/a"), record, {"seed": 7})
        {'label': 'churned', 'seed': 7}
        >>> arguments(Path("runs/a"), record, {"seed": 8})
        Traceback (most recent call last):
            ...
        kfp_tabular.components.common.errors.UserError: --resume runs/a: 'seed' is 7 in that run,
        not 8. Leave it out to go on with the run, or start a new one.
    """
    for name, value in given.items():
        before = record.arguments.get(name)
        if name not in record.arguments or before != json.loads(json.dumps(value)):
            had = f"is {_shown(before)}" if name in record.arguments else "has its default"
            raise UserError(
                f"--resume {output}: {name!r} {had} in that run, not {_shown(value)}. Leave it out "
                "to go on with the run, or start a new one."
            )
    return dict(record.arguments)


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
