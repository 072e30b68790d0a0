"""Opens the tracker for an address."""

from kfp_tabular.components.common.tracking import address as addresses
from kfp_tabular.components.common.tracking.address import Address
from kfp_tabular.components.common.tracking.patience import SECONDS, Patience
from kfp_tabular.components.common.tracking.tracker import NoTracker, Tracker


def open_tracker(
    where: str | Address = "", *, by_default: bool = False, patience: float = SECONDS
) -> Tracker:
    """Return the tracker for an address; nothing is connected or loaded yet.

    Args:
        where: An address, or its text as `tracking_uri` gives it; see `address.resolve`.
        by_default: As in `address.resolve`.
        patience: The seconds to wait, in all, for a store that does not answer.

    Raises:
        UserError: For text that is no address.

    Example:
        >>> open_tracker("none").address.kind
        'none'
    """
    found = where if isinstance(where, Address) else addresses.resolve(where, by_default=by_default)
    if found.kind == addresses.NONE:
        return NoTracker()
    from kfp_tabular.components.common.tracking.mlflow_tracker import MlflowTracker

    return MlflowTracker(found, Patience(patience))
