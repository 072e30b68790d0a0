"""Records the run that made a model, from the artifacts that `register_model` gets."""

import logging
import os
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from kfp_tabular.components.common.artifacts import lineage
from kfp_tabular.components.common.registry.kubeflow_api import SCHEME as KUBEFLOW
from kfp_tabular.components.common.tracking import RunToRecord, open_tracker, run_artifacts
from kfp_tabular.components.registration.options import RegistrationOptions

_logger = logging.getLogger(__name__)

_SEARCH = "tune-hyperparameters"
_LOCAL_NAME = re.compile(r"-(\d{4}(?:-\d{2}){5}-\d{6})$")


def record_run(
    options: RegistrationOptions,
    model: Path,
    evaluation: Path,
    training_logs: Path | None = None,
    pages: Mapping[str, Path] | None = None,
) -> str:
    """Record the run of a model, or go on with the one that is recorded already.

    Args:
        options: The arguments of the component.
        model: The model.
        evaluation: Its evaluation.
        training_logs: The logs of its training; None for none.
        pages: Pages by the task that wrote them.

    Returns:
        The ID of the run in the tracking store; empty where there is none.
    """
    pages = pages or {}
    # Kubeflow's registry holds no runs: they go where the environment says.
    where = "" if options.tracking_uri.startswith(KUBEFLOW) else options.tracking_uri
    is_on_cluster = "KUBERNETES_SERVICE_HOST" in os.environ
    digest = lineage.read(model)["digest"]
    now = time.time()
    begun = RunToRecord(
        key=key(options.run_id, digest, is_on_cluster=is_on_cluster),
        experiment=options.model_name,
        name=options.run_id or digest,
        started=min(began(options.run_id) or now, now),
        # A local run goes on: the command line records its end.
        status="FINISHED" if is_on_cluster else "RUNNING",
        ended=now if is_on_cluster else None,
        tags={"blessed": "yes" if options.blessed else "no"},
        files={f"pages/{task}.html": page for task, page in pages.items()},
    )
    recorded = open_tracker(where).record(
        run_artifacts.gather(
            begun,
            evaluation=evaluation,
            training_logs=training_logs,
            model=model,
            search_page=pages.get(_SEARCH),
        )
    )
    for finding in recorded.findings():
        _logger.warning("%s", finding.log_line)
    return recorded.run_id


def key(run_id: str, digest: str, *, is_on_cluster: bool) -> str:
    """Return what identifies a run in the tracking store.

    A local run's name is its key, as for `kfp-tabular run`, so both record into one run. On a
    cluster two runs may have the same name; a retried task has the same model.

    Example:
        >>> key("taxi-2026-11-30-12-00-00-000001", "sha256:0a1b", is_on_cluster=False)
        'taxi-2026-11-30-12-00-00-000001'
        >>> key("taxi-x7k2p", "sha256:0a1b", is_on_cluster=True)
        'taxi-x7k2p 0a1b'
    """
    if is_on_cluster and run_id:
        return f"{run_id} {digest.rpartition(':')[2][:12]}"
    return run_id or digest


def began(run_id: str) -> float | None:
    """Return when a local run began, in seconds since the epoch, by the time in its name.

    Example:
        >>> began("taxi-2026-11-30-12-00-00-500000") % 60
        0.5
        >>> began("taxi-x7k2p") is None
        True
    """
    match = _LOCAL_NAME.search(run_id)
    if match is not None:
        with suppress(ValueError):
            return datetime.strptime(match[1], "%Y-%m-%d-%H-%M-%S-%f").astimezone().timestamp()
    return None
