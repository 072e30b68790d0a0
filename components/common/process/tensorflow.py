"""The import of TensorFlow, late and with the same settings everywhere."""

import os
from typing import Any

ENVIRONMENT = {
    # Keras 3 cannot fit under MultiWorkerMirroredStrategy; tf_keras can.
    "TF_USE_LEGACY_KERAS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "GRPC_VERBOSITY": "ERROR",
}
"""Variables that must be set before TensorFlow is imported."""


def import_tensorflow() -> Any:
    """Import TensorFlow with tf_keras as its Keras, and return the module."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import tensorflow

    return tensorflow
