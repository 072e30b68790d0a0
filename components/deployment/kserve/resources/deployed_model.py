"""The model that an endpoint should serve, read from its artifact without loading it."""

from dataclasses import dataclass
from pathlib import Path

from kfp_tabular.components.common.artifacts import lineage
from kfp_tabular.components.common.artifacts.model_document import ModelSpec
from kfp_tabular.components.common.errors import UserError


@dataclass(frozen=True)
class DeployedModel:
    """What a rollout must know of a model.

    Attributes:
        digest: Digest of its content, `sha256:<hex>`.
        spec: Its `model.json`.
    """

    digest: str
    spec: ModelSpec

    @classmethod
    def load(cls, directory: Path) -> "DeployedModel":
        """Read a model artifact, without the libraries that running it needs.

        Raises:
            UserError: If the directory holds no model.
        """
        if not (directory / "saved_model.pb").is_file():
            raise UserError(f"{directory}: no saved_model.pb here; train_model writes it.")
        spec = ModelSpec.load(directory)
        return cls(lineage.digest(directory), spec)
