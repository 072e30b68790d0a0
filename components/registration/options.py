"""The options of `register_model`."""

from dataclasses import dataclass

from kfp_tabular.components.common.options import option
from kfp_tabular.components.common.registry import model_uri
from kfp_tabular.components.common.registry.address import TRACKING_URI


@dataclass(frozen=True)
class RegistrationOptions:
    """The arguments of `register_model` that are not artifacts.

    Example:
        >>> RegistrationOptions(model_name="taxi").blessed
        True
    """

    blessed: bool = option(
        True, "Whether evaluation has blessed the model. A model that is not is not registered."
    )
    model_name: str = option(
        "model", "The name of the registered model.", check=model_uri.check_name
    )
    tracking_uri: str = option("", TRACKING_URI)
    run_id: str = option(
        "",
        """Name of the pipeline run, under which it is recorded in the tracking store. It becomes
        part of the cache key.""",
    )
