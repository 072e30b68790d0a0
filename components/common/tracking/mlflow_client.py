"""Loads MLflow's client: late, since it takes seconds, and without its telemetry."""

import logging
import os
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowClient

VARIABLES = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # MLflow reads these for each request. It would retry for minutes: this package retries itself.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    # No progress bars, and no upload threads for a few small pages.
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
"""What MLflow is told by environment variables, where the user does not set them."""


def load() -> None:
    """Import MLflow's client and its SQLite store."""
    for name, value in VARIABLES.items():
        os.environ.setdefault(name, value)
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow.store.tracking.sqlalchemy_store
        import mlflow.tracking  # noqa: F401
    # It reports each migration and, with its traceback, each locked database.
    for part in ("mlflow", "alembic"):
        logging.getLogger(part).setLevel(logging.CRITICAL)


def connect(uri: str) -> "MlflowClient":
    """Return a client of the store or server at a tracking URI."""
    load()
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri, registry_uri=uri)
