"""The options of `deploy_model`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kfp_tabular.components.common.documents import one_of
from kfp_tabular.components.common.options import option
from kfp_tabular.components.common.registry.address import TRACKING_URI

LOCAL = "local"
KSERVE = "kserve"

LONGEST_MODEL_NAME = 50

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")


def check_model_name(name: str) -> None:
    """Check a model's name, which becomes a directory, a URL path and a Kubernetes name.

    Raises:
        ValueError: Where it does not fit.

    Example:
        >>> check_model_name("taxi-tips")
        >>> check_model_name("Taxi")
        Traceback (most recent call last):
        ...
        ValueError: expected at most 50 lower-case letters, digits and inner hyphens
    """
    if len(name) > LONGEST_MODEL_NAME or not _NAME.fullmatch(name):
        raise ValueError(
            f"expected at most {LONGEST_MODEL_NAME} lower-case letters, digits and inner hyphens"
        )


@dataclass(frozen=True)
class DeploymentOptions:
    """The arguments of `deploy_model` that are not artifacts.

    Example:
        >>> DeploymentOptions(model_name="taxi").backend
        'local'
    """

    model_repository: str = option(
        "",
        """Directory of the model repository. For `local` a path or `file://`, created if it does
        not exist. For `kserve` also `s3://`, `minio://` or `gs://`; empty serves the model artifact
        where it is.""",
    )
    model_name: str = option(
        "model",
        """Name of the model and of its endpoint: at most 50 lower-case letters, digits and
        hyphens. For `kserve` at most 46, the first one a letter.""",
        check=check_model_name,
    )
    backend: str = option(
        LOCAL,
        "`local` publishes to a model repository; `kserve` rolls out to a KServe endpoint.",
        check=one_of(LOCAL, KSERVE),
    )
    service: Mapping[str, Any] = option(
        {},
        """For `kserve`: resources of the endpoint and the rollout strategy, such as
        `{"strategy": "canary", "steps": [10, 50, 100], "soak_seconds": 120}`. The deployment guide
        lists all keys.""",
    )
    registered_version: str = option(
        "",
        """Number of the registered version of `model_name` that this is, from `register_model`. It
        becomes champion once its rollout is verified. Empty: the registry is not used.""",
    )
    signing_key: str = option(
        "",
        """File of a private key (PEM, an elliptic curve) to sign the model with: a mounted secret.
        The endpoint verifies the signature if it has the public key. Empty: not signed.""",
    )
    tracking_uri: str = option("", TRACKING_URI)
    run_id: str = option(
        "",
        """For `kserve`: ID of the pipeline run, for the endpoint's labels. It becomes part of the
        task's cache key.""",
    )
