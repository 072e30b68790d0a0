"""Signatures of models, verified in the environment that can: `serving`."""

import importlib.util
from pathlib import Path

from kfp_tabular.components.common import images
from kfp_tabular.components.common.artifacts import model_signature
from kfp_tabular.pipelines.environments.location import Environments
from kfp_tabular.pipelines.environments.module_run import run_module

_LIBRARY = "model_signing"
_MODULE = "kfp_tabular.components.common.artifacts.model_signature"


def verify(directory: Path, public_key: Path) -> None:
    """Check that a model is signed with a key, and is as it was signed.

    Where model-signing is not installed, as beside the command line, the environment `serving`
    checks it.

    Args:
        directory: The model's directory.
        public_key: The public key in PEM.

    Raises:
        UserError: If it is not, or there is no such environment.
        ModuleFailedError: If verifying failed in another way.
    """
    if importlib.util.find_spec(_LIBRARY) is not None:
        model_signature.verify(directory, public_key)
        return
    python = Environments.find().python(images.SERVING)
    run_module(python, _MODULE, [str(directory.absolute()), str(public_key.absolute())])
