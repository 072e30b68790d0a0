"""Records runs and what they measured, in MLflow's embedded store or on a server."""

from kfp_tabular.components.common.tracking.address import Address, resolve
from kfp_tabular.components.common.tracking.opening import open_tracker
from kfp_tabular.components.common.tracking.record import Curve, RunToRecord, Trial
from kfp_tabular.components.common.tracking.tracker import Recorded, Tracker

__all__ = [
    "Address",
    "Curve",
    "Recorded",
    "RunToRecord",
    "Tracker",
    "Trial",
    "open_tracker",
    "resolve",
]
