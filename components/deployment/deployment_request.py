"""What a deployment takes and returns, for every backend alike."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from kfp_tabular.components.deployment.options import DeploymentOptions

Tell = Callable[[str], None]
"""Takes the URI of the model's directory once it is in place, before an endpoint loads it."""


def tell_nothing(_uri: str) -> None:
    """Ignore where a model is."""


@dataclass(frozen=True)
class DeploymentRequest:
    """A model to deploy.

    Attributes:
        model: Directory of the model artifact.
        golden_examples: Directory of the golden examples of its evaluation.
        summary: The Markdown page to write.
        model_uri: URI of the model artifact, for backends that serve it where it is.
        options: The arguments of the component.
    """

    model: Path
    golden_examples: Path
    summary: Path
    model_uri: str = ""
    options: DeploymentOptions = field(default_factory=DeploymentOptions)


@dataclass(frozen=True)
class Deployment:
    """A deployed model.

    Attributes:
        model_uri: What a server loads.
        version: The model's version.
        is_new: Whether anything was changed; False if the model was deployed already.
        endpoint: URL of the endpoint; empty for `local`.
        revision: The Knative revision or InferenceService that serves it; empty for `local`.
    """

    model_uri: str
    version: str
    is_new: bool
    endpoint: str = ""
    revision: str = ""
