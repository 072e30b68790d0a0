"""KServe's data plane, and the model metadata that both protocols return."""

import importlib.metadata
from typing import Any

from kserve.protocol.dataplane import DataPlane

from kfp_tabular.serving.model.large_requests import LargeRequests
from kfp_tabular.serving.model.served_model import ServedModel
from kfp_tabular.serving.protocol import v2_tensors
from kfp_tabular.serving.protocol.request_error import RequestError
from kfp_tabular.serving.settings.server_settings import RequestLimits


class ReadyDataPlane(DataPlane):  # type: ignore[misc]  # kserve has no types
    """KServe's data plane, ready only while every model is.

    Args:
        model_registry: Holds the models.
        large: The bound of what requests hold in memory; by default that of the settings' defaults.
    """

    def __init__(self, model_registry: Any, large: LargeRequests | None = None) -> None:
        super().__init__(model_registry=model_registry)
        self.large = large or LargeRequests(RequestLimits().max_pending_bytes(workers=1))

    def metadata(self) -> dict[str, Any]:
        """Return the server's metadata. KServe's own lists an extension that is closed here."""
        version = importlib.metadata.version("kfp-tabular")
        return {"name": "kfp-tabular", "version": version, "extensions": ["binary_tensor_data"]}

    async def ready(self) -> bool:
        """Return whether all models are ready. KServe's own returns True in any case."""
        return all([await model.healthy() for model in self.model_registry.get_models().values()])


def find_model(data_plane: DataPlane, name: str) -> ServedModel:
    """Return a model by its name, ready or not.

    Raises:
        RequestError: If there is no model with this name.

    Example:
        >>> from kserve import ModelRepository
        >>> find_model(DataPlane(ModelRepository()), "taxi")
        Traceback (most recent call last):
        kfp_tabular.serving.protocol.request_error.RequestError: no model has this name;
        GET /v1/models lists the models.
    """
    model = data_plane.model_registry.get_model(name)
    if not isinstance(model, ServedModel):
        raise RequestError(
            "no model has this name; GET /v1/models lists the models.", status=404, reason=None
        )
    return model


def model_metadata(model: ServedModel, version: str | None = None) -> dict[str, Any]:
    """Return a model's v2 metadata.

    Args:
        model: The model.
        version: The requested version; None for the current one.

    Raises:
        RequestError: If no version is loaded, or another one.
    """
    loaded = model.current_version(version)
    return {
        "name": model.name,
        "versions": [loaded.version],
        "platform": "tensorflow_savedmodel",
        "inputs": v2_tensors.input_metadata(loaded.predictor.interface),
        "outputs": v2_tensors.output_metadata(loaded.predictor.interface),
        **({"parameters": {"digest": loaded.digest}} if loaded.digest else {}),
    }
