"""The import of TensorFlow: late, with the same settings everywhere, and only what is needed."""

import ast
import importlib
import importlib.util
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kfp_tabular.components.common.process import lean_imports

ENVIRONMENT = {
    # Keras 3 cannot fit under MultiWorkerMirroredStrategy; tf_keras can.
    "TF_USE_LEGACY_KERAS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "GRPC_VERBOSITY": "ERROR",
}
"""Variables that must be set before TensorFlow is imported."""

_OPTIONAL = (
    "googleapiclient",  # for TPUs and clusters on Google's Compute Engine
    "oauth2client",
    "pandas",  # for data frames as a Keras model's input
)
"""What TensorFlow and tf_keras import where it is installed, a fifth of their import's time."""

_PLUGINS = "tensorflow-plugins"


def import_tensorflow() -> Any:
    """Import TensorFlow with tf_keras as its Keras, and return the module."""
    _set_environment()
    with lean_imports.without(*_OPTIONAL):
        import tensorflow

        # Runs `__init__.py` if only a part has been imported so far.
        tensorflow.__version__  # noqa: B018
    return tensorflow


def import_tensorflow_runtime() -> Any:
    """Import the part of TensorFlow that loads and calls a SavedModel, and return the module.

    It takes half the time of the whole, since nothing of Keras, of TensorFlow 1's interface or of
    training is loaded. Each name is imported when it is first used, by the same statement that
    TensorFlow's `__init__.py` has for it. A name that has no such statement, such as `tf.keras`,
    runs `__init__.py`.

    Example:
        >>> tf = import_tensorflow_runtime()
        >>> tf.constant([1.5, 2.5]).numpy().sum()
        np.float32(4.0)
    """
    _set_environment()
    loaded = sys.modules.get("tensorflow")
    if loaded is not None:
        return loaded
    spec = importlib.util.find_spec("tensorflow")
    if spec is None or spec.origin is None or _has_plugins():
        return import_tensorflow()
    source = Path(spec.origin)
    statements: dict[str, tuple[str, str]] = {}

    def attribute(name: str) -> Any:
        with lean_imports.without(*_OPTIONAL):
            if not statements:
                statements.update(_import_statements(source))
                # As __init__.py does before anything that depends on it.
                importlib.import_module("tensorflow.python.compat.v2_compat").enable_v2_behavior()
            if name not in statements:
                raise AttributeError(name)
            module, original = statements[name]
            found = importlib.import_module(module)
            if not hasattr(found, original):
                return importlib.import_module(f"{module}.{original}")
            return getattr(found, original)

    return lean_imports.defer("tensorflow", attribute=attribute)


def use_one_thread_per_operation() -> None:
    """Let each operation run in one thread, where work is divided among threads otherwise.

    Two threads for an operation cost more than they save then. And the last bits of a product of
    matrices depend on how many there are, so machines with 1, 2 and 4 processors would differ.
    Without effect once TensorFlow has run an operation.
    """
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")


def _set_environment() -> None:
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)


def _import_statements(source: Path) -> Mapping[str, tuple[str, str]]:
    """Return the module and the name in it for each `from MODULE import NAME` of a source file."""
    return {
        alias.asname or alias.name: (statement.module, alias.name)
        for statement in ast.parse(source.read_bytes()).body
        if isinstance(statement, ast.ImportFrom) and statement.module
        for alias in statement.names
    }


def _has_plugins() -> bool:
    """Return whether `__init__.py` would load devices that are not part of TensorFlow."""
    return bool(os.environ.get("TF_PLUGGABLE_DEVICE_LIBRARY_PATH")) or any(
        Path(entry, _PLUGINS).exists() for entry in sys.path
    )
