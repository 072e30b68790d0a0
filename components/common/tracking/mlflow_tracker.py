"""Records runs with MLflow's client: each part on its own, so that little is lost in an outage.

A run is found again by a tag, so a retried task goes on with the run that it began. Times follow
from the run, so a metric that is sent twice is in the store once.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.tracking import embedded_store, mlflow_client, record
from kfp_tabular.components.common.tracking.address import Address
from kfp_tabular.components.common.tracking.patience import AwayError, Patience, RefusedError
from kfp_tabular.components.common.tracking.record import RunToRecord, Trial
from kfp_tabular.components.common.tracking.tracker import Recorded

if TYPE_CHECKING:
    from mlflow import MlflowClient

KEY_TAG = "kfp_tabular.key"
"""Identifies a run, whatever ID the store gives it."""

DIGEST_TAG = "kfp_tabular.recorded"
"""The digest of what is recorded, set once all of it is there."""

_PARENT_TAG = "mlflow.parentRunId"
# MLflow's UI shows charts of training for it, not traces.
_KIND_TAG, _TRAINS_MODELS = "mlflow.experimentKind", "custom_model_development"
_METRICS_PER_CALL = 1000
_PARAMETERS_PER_CALL = 100
_TAGS_PER_CALL = 100
_MOST_NAMES = 4
_LOGIN = "Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN."

Item = TypeVar("Item")


@dataclass(frozen=True)
class _Part:
    """One call to the store, and what is lost without it."""

    what: str
    send: Callable[[], Any]


class MlflowTracker:
    """A `Tracker` for MLflow's embedded store and its servers.

    Args:
        address: Where.
        patience: Retries what fails.
    """

    def __init__(self, address: Address, patience: Patience) -> None:
        self.address = address
        self._patience = patience
        self._client: MlflowClient | None = None

    def client(self) -> "MlflowClient":
        """Return MLflow's client, connected at the first call.

        Raises:
            UserError: The embedded store cannot be written or is not one.
        """
        if self._client is None:
            if self.address.kind == "embedded":
                embedded_store.ensure(self.address)
            self._client = mlflow_client.connect(self.address.uri)
        return self._client

    def record(self, run: RunToRecord) -> Recorded:
        """Record a run, or go on with the one of the same key."""
        everything = ("the whole run",)
        try:
            client = self.client()
            known = self._patience.call(lambda: self._opened(client, run))
        except (AwayError, RefusedError, UserError) as error:
            return self._recorded("", everything, str(error))
        if known.data.tags.get(DIGEST_TAG) == run.digest:
            return self._recorded(known.info.run_id)
        run_id = known.info.run_id
        # Whoever recorded it first, the task or the command line: the same times for the same
        # values, which the store then has once.
        run = replace(run, started=known.info.start_time / 1000)
        lost, reason = [], ""
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            changed, parts = self._parts(client, run_id, known.data.params, run, folder)
            lost += changed
            reason = "a recorded parameter cannot be changed" if changed else ""
            for part in parts:
                try:
                    self._patience.call(part.send)
                except (AwayError, RefusedError) as error:
                    lost.append(part.what)
                    reason = reason or str(error)
        try:
            self._patience.call(lambda: self._close(client, run_id, run, is_whole=not lost))
        except (AwayError, RefusedError) as error:
            lost.append("status of the run")
            reason = reason or str(error)
        return self._recorded(run_id, tuple(lost), reason)

    def _recorded(self, run_id: str, lost: tuple[str, ...] = (), reason: str = "") -> Recorded:
        if "error code 401" in reason or "error code 403" in reason:
            reason = f"the server refuses this login. {_LOGIN}"
        return Recorded(run_id, lost, reason, self.address.shown)

    def _opened(self, client: "MlflowClient", run: RunToRecord) -> Any:
        """Return the run in the store, made where it is missing."""
        if self.address.run_id:
            return client.get_run(self.address.run_id)
        experiment = self._experiment(client, run.experiment)
        if self.address.kind == "embedded":
            # No two processes look, miss it, and make it twice.
            with embedded_store.locked(self.address.database):
                return _found(client, experiment, run.key) or _made(client, experiment, run)
        found = _found(client, experiment, run.key)
        if found is not None:
            return found
        made = _made(client, experiment, run)
        first = _found(client, experiment, run.key)
        if first is not None and first.info.run_id != made.info.run_id:
            # Another process made it at the same time; both see the same one first.
            client.delete_run(made.info.run_id)
            return first
        return made

    def _experiment(self, client: "MlflowClient", name: str) -> str:
        from mlflow.exceptions import MlflowException

        found = client.get_experiment_by_name(name)
        if found is None:
            root = self.address.artifacts
            place = None if root is None else (root / record.metric_name(name)).as_uri()
            try:
                return str(client.create_experiment(name, place, tags={_KIND_TAG: _TRAINS_MODELS}))
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
                found = client.get_experiment_by_name(name)
        return str(found.experiment_id)

    def _parts(
        self,
        client: "MlflowClient",
        run_id: str,
        before: Mapping[str, str],
        run: RunToRecord,
        folder: Path,
    ) -> tuple[list[str], Iterator[_Part]]:
        """Return what cannot be recorded any more, and what is to be sent."""
        parameters = record.texts(run.parameters)
        changed = [
            f"parameter {name} = {value}, recorded before as {before[name]}"
            for name, value in parameters.items()
            if before.get(name, value) != value
        ]
        missing = {name: value for name, value in parameters.items() if name not in before}

        def parts() -> Iterator[_Part]:
            yield from _values(client, run_id, run, missing)
            for name, path in run.files.items():
                yield _Part(f"file {name}", partial(_log, client, run_id, name, path, folder))
            if run.trials:
                known: dict[str, str] = {}
                yield _Part(
                    "runs of the trials", lambda: known.update(self._trials(client, run_id, run))
                )
                for trial in run.trials:
                    if _trial_key(run, trial) in known:
                        send = partial(_log_trial, client, known, run, trial)
                        yield _Part(f"trial {trial.number}", send)

        return changed, parts()

    def _trials(self, client: "MlflowClient", run_id: str, run: RunToRecord) -> dict[str, str]:
        """Return the IDs of the runs of all trials by their keys; make those that are missing."""
        with ExitStack() as stack:
            if self.address.kind == "embedded":
                stack.enter_context(embedded_store.locked(self.address.database))
            experiment = client.get_run(run_id).info.experiment_id
            known = _children(client, experiment, run_id)
            for trial in run.trials:
                key = _trial_key(run, trial)
                if key not in known:
                    made = client.create_run(
                        experiment,
                        start_time=_milliseconds(run.started),
                        tags={KEY_TAG: key, _PARENT_TAG: run_id},
                        run_name=f"trial {trial.number}",
                    )
                    known[key] = made.info.run_id
        return known

    def _close(
        self, client: "MlflowClient", run_id: str, run: RunToRecord, *, is_whole: bool
    ) -> None:
        if is_whole:
            client.set_tag(run_id, DIGEST_TAG, run.digest)
        # KFP ends the run that it has opened.
        if run.status != "RUNNING" and not self.address.run_id:
            # A task may have made it, which does not know the folder's name.
            client.update_run(run_id, name=run.name)
            client.set_terminated(run_id, run.status, _milliseconds(run.ended or run.started))


def _found(client: "MlflowClient", experiment: str, key: str) -> Any:
    text = _quoted(key)
    runs = client.search_runs([experiment], f"tags.`{KEY_TAG}` = '{text}'", max_results=100)
    ordered = sorted(runs, key=lambda run: (run.info.start_time, run.info.run_id))
    return ordered[0] if ordered else None


def _made(client: "MlflowClient", experiment: str, run: RunToRecord) -> Any:
    return client.create_run(
        experiment,
        start_time=_milliseconds(run.started),
        tags={KEY_TAG: _quoted(run.key), "mlflow.source.name": "kfp-tabular"},
        run_name=run.name,
    )


def _quoted(key: str) -> str:
    return key.replace("'", "_").replace('"', "_")


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def _values(
    client: "MlflowClient", run_id: str, run: RunToRecord, parameters: Mapping[str, str]
) -> Iterator[_Part]:
    from mlflow.entities import Metric, Param, RunTag

    time = _milliseconds(run.started)
    tags = [RunTag(name, text) for name, text in record.tag_texts(run.tags).items()]
    for batch in _batches(tags, _TAGS_PER_CALL):
        yield _Part(
            f"tags {_names(tag.key for tag in batch)}",
            partial(client.log_batch, run_id, tags=batch),
        )
    given = [Param(name, text) for name, text in parameters.items()]
    for batch in _batches(given, _PARAMETERS_PER_CALL):
        yield _Part(
            f"parameters {_names(param.key for param in batch)}",
            partial(client.log_batch, run_id, params=batch),
        )
    measured = [Metric(name, value, time, 0) for name, value in record.finite(run.metrics).items()]
    for batch in _batches(measured, _METRICS_PER_CALL):
        yield _Part(
            f"metrics {_names(metric.key for metric in batch)}",
            partial(client.log_batch, run_id, metrics=batch),
        )
    for curve in run.curves:
        name = record.metric_name(curve.name)
        points = [Metric(name, value, time + step, step) for step, value in curve.points]
        for batch in _batches(points, _METRICS_PER_CALL):
            yield _Part(
                f"curve {name}, steps {batch[0].step} to {batch[-1].step}",
                partial(client.log_batch, run_id, metrics=batch),
            )


def _log(client: "MlflowClient", run_id: str, name: str, path: Path, folder: Path) -> None:
    """Send a file under the name that it has in the store."""
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, target)
    parent = Path(name).parent
    client.log_artifact(run_id, str(target), None if parent == Path() else parent.as_posix())


def _children(client: "MlflowClient", experiment: str, run_id: str) -> dict[str, str]:
    found: dict[str, str] = {}
    token = None
    while True:
        page = client.search_runs(
            [experiment], f"tags.`{_PARENT_TAG}` = '{run_id}'", page_token=token
        )
        found.update({run.data.tags.get(KEY_TAG, ""): run.info.run_id for run in page})
        token = page.token
        if not token:
            return found


def _trial_key(run: RunToRecord, trial: Trial) -> str:
    return f"{_quoted(run.key)}/trial-{trial.number}"


def _log_trial(
    client: "MlflowClient", known: Mapping[str, str], run: RunToRecord, trial: Trial
) -> None:
    from mlflow.entities import Metric, Param

    run_id, time = known[_trial_key(run, trial)], _milliseconds(run.started)
    client.log_batch(
        run_id,
        metrics=[
            Metric(name, value, time, 0) for name, value in record.finite(trial.metrics).items()
        ],
        params=[Param(name, text) for name, text in record.texts(trial.parameters).items()],
    )
    client.set_terminated(run_id, trial.status, _milliseconds(run.ended or run.started))


def _batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch


def _names(names: Iterable[str]) -> str:
    listed: Sequence[str] = list(names)
    more = len(listed) - _MOST_NAMES
    return ", ".join(listed[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
