"""KServe's data plane over models of this project, and what both protocols say of a model."""

import importlib.metadata
from typing import Any

from kserve.protocol.dataplane import DataPlane

from kfp_tabular.serving.model.served_model import ServedModel
from kfp_tabular.serving.protocol import v2_tensors
from kfp_tabular.serving.protocol.request_error import RequestError


class ReadyDataPlane(DataPlane):  # type: ignore[misc]  # kserve has no types
    """KServe's data plane, ready only while every model is."""

    def metadata(self) -> dict[str, Any]:
        """Describes the server. KServe's lists an extension that is closed here."""
        version = importlib.metadata.version("kfp-tabular")
        return {"name": "kfp-tabular", "version": version, "extensions": ["binary_tensor_data"]}

    async def ready(self) -> bool:
        """Says whether all models are ready. KServe's says yes whatever their state."""
        return all([await model.healthy() for model in self.model_registry.get_models().values()])


def served(data_plane: DataPlane, name: str) -> ServedModel:
    """Gives a model by its name, ready or not.

    Raises:
        RequestError: Where there is none.
    """
    model = data_plane.model_registry.get_model(name)
    if not isinstance(model, ServedModel):
        raise RequestError(
            "no such model here; GET /v1/models lists those there are.", status=404, reason=None
        )
    return model


def description(model: ServedModel, version: str | None = None) -> dict[str, Any]:
    """Gives a model's v2 metadata.

    Args:
        model: The model.
        version: The version that is asked for; None for whichever it is.

    Raises:
        RequestError: Where it has no release, or one of another version.
    """
    release = model.current(version)
    return {
        "name": model.name,
        "versions": [release.version],
        "platform": "tensorflow_savedmodel",
        "inputs": v2_tensors.inputs(release.predictor.interface),
        "outputs": v2_tensors.outputs(release.predictor.interface),
    }
