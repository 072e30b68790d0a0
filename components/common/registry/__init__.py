"""The registry of models: versions, aliases, and the order in which aliases move.

A version points to a model's directory by URI and digest; the bytes stay where they are. `resolve`
turns `models:/NAME@champion` into that URI, `opened` into a directory whose bytes are verified, and
`verify` checks a directory. `open_registry` opens the store: MLflow's, or Kubeflow's.
"""

from kfp_tabular.components.common.registry.model_bytes import verify, verify_listed
from kfp_tabular.components.common.registry.opening import open_registry
from kfp_tabular.components.common.registry.port import (
    ModelVersion,
    NoChampionError,
    Registry,
    VersionDraft,
)
from kfp_tabular.components.common.registry.resolving import ResolvedModel, opened, resolve

__all__ = [
    "ModelVersion",
    "NoChampionError",
    "Registry",
    "ResolvedModel",
    "VersionDraft",
    "open_registry",
    "opened",
    "resolve",
    "verify",
    "verify_listed",
]
