"""TensorFlow, imported late and the same way everywhere."""

import os
from typing import Any

ENVIRONMENT = {
    # Keras 3 cannot fit under MultiWorkerMirroredStrategy; tf_keras can.
    "TF_USE_LEGACY_KERAS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "GRPC_VERBOSITY": "ERROR",
}
"""What must be in the environment before TensorFlow is imported."""


def import_tensorflow() -> Any:
    """Imports TensorFlow with tf_keras as its Keras, and returns the module."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import tensorflow

    return tensorflow
