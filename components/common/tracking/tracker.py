"""The port to a tracking store, and what a recording lost where the store was away."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from kfp_tabular.components.common.artifacts.findings import Finding
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.tracking import address as addresses
from kfp_tabular.components.common.tracking.address import Address
from kfp_tabular.components.common.tracking.record import RunToRecord

if TYPE_CHECKING:
    from mlflow import MlflowClient

_OPTION = "tracking_uri"
_MOST_LISTED = 5


@dataclass(frozen=True)
class Recorded:
    """What became of a run that was recorded.

    Attributes:
        run_id: The run's ID in the store; empty where none was made.
        lost: What is not in the store, one entry each, such as `metrics auc, log_loss`.
        reason: Why, in one line; empty where nothing was lost.
        address: Where it was recorded, without credentials.
    """

    run_id: str = ""
    lost: tuple[str, ...] = ()
    reason: str = ""
    address: str = ""

    def findings(self) -> list[Finding]:
        """Return what a person should know of it.

        Example:
            >>> lost = Recorded("1f", ("page train-model.html",), "timed out", "http://mlflow:5000")
            >>> print(lost.findings()[0].message)
            Tracking at http://mlflow:5000 lost 1 item: page train-model.html. Reason: timed out.
        """
        if not self.lost:
            return []
        more = len(self.lost) - _MOST_LISTED
        listed = ", ".join(self.lost[:_MOST_LISTED]) + (f" and {more} more" if more > 0 else "")
        items = f"{len(self.lost)} item{'' if len(self.lost) == 1 else 's'}"
        return [
            Finding(
                "warning",
                "tracking-lost",
                f"Tracking at {self.address} lost {items}: {listed}. "
                f"Reason: {self.reason.rstrip('.')}.",
                option=_OPTION,
            )
        ]


class Tracker(Protocol):
    """Records runs.

    Attributes:
        address: Where.
    """

    address: Address

    def record(self, run: RunToRecord) -> Recorded:
        """Record a run, or go on with that of the same key; a store that is away is no error."""

    def client(self) -> "MlflowClient":
        """Return MLflow's own client of the store.

        Raises:
            UserError: Tracking is off.
        """


class NoTracker:
    """A `Tracker` that records nothing."""

    def __init__(self) -> None:
        self.address = Address("none")

    def record(self, run: RunToRecord) -> Recorded:
        """Do nothing."""
        del run
        return Recorded(address=addresses.NONE)

    def client(self) -> "MlflowClient":
        """Refuse: there is no store."""
        raise UserError(
            "tracking is off (tracking_uri none), and models are registered where runs are "
            "recorded. Name a server in tracking_uri or MLFLOW_TRACKING_URI."
        )
