"""The runs that a tracking store holds, as the local history shows runs."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.tracking import Address, open_tracker
from kfp_tabular.components.common.tracking.mlflow_tracker import KEY_TAG
from kfp_tabular.components.common.tracking.patience import AwayError, Patience, RefusedError
from kfp_tabular.pipelines.local.history.run_entry import RunEntry
from kfp_tabular.pipelines.local.run_tracking import FOLDER_TAG, PIPELINE_TAG

if TYPE_CHECKING:
    from mlflow import MlflowClient

MOST = 1000
"""So many runs are listed, the latest."""

_SECONDS = 5.0
_STATUS = {"FINISHED": "succeeded", "KILLED": "stopped"}


def listed(address: Address) -> list[RunEntry]:
    """Return the runs in a store, the latest first, without the trials of searches.

    Raises:
        UserError: The store does not answer, refuses the login, or tracking is off.
    """
    if address.kind == "embedded" and not address.database.is_file():
        return []
    client = open_tracker(address).client()
    try:
        found = Patience(_SECONDS).call(lambda: _runs(client))
    except (AwayError, RefusedError) as error:
        raise UserError(
            f"--tracking-uri {address.shown}: the runs cannot be read: {error}"
        ) from error
    return [_entry(run) for run in found if "mlflow.parentRunId" not in run.data.tags]


def _runs(client: "MlflowClient") -> list[Any]:
    experiments = [found.experiment_id for found in client.search_experiments()]
    return list(
        client.search_runs(
            experiments,
            f"tags.`{KEY_TAG}` LIKE '%'",
            max_results=MOST,
            order_by=["attributes.start_time DESC"],
        )
    )


def _entry(run: Any) -> RunEntry:
    tags: Mapping[str, str] = run.data.tags
    started, ended = run.info.start_time, run.info.end_time
    folder = tags.get(FOLDER_TAG, "")
    return RunEntry(
        name=run.info.run_name or Path(folder).name,
        folder=folder,
        status=_STATUS.get(run.info.status, run.info.status.lower()),
        pipeline=tags.get(PIPELINE_TAG, ""),
        started=started / 1000,
        seconds=None if ended is None else (ended - started) / 1000,
        parameters=run.data.params,
        metrics=run.data.metrics,
        blessed={"yes": True, "no": False}.get(tags.get("blessed", "")),
    )
