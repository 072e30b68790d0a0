"""Forks the Python processes of an executor, as `pyspark.daemon` does.

What tasks import is imported here, once, before the first fork.
"""

import gc
import importlib
import os

import numpy  # noqa: F401
import pyarrow.compute
import pyarrow.parquet  # noqa: F401

from kfp_tabular.components.common.process.tensorflow import import_tensorflow
from kfp_tabular.components.common.processing.spark.executor_settings import MODULES, TENSORFLOW


def main() -> None:
    """Import what the environment names, and fork for each task that Spark asks for."""
    from pyspark import daemon

    if os.environ.get(TENSORFLOW):
        import_tensorflow()
    for module in os.environ.get(MODULES, "").split():
        importlib.import_module(module)
    # Shared by all processes, so collecting garbage in one must not copy it.
    gc.freeze()
    daemon.manager()


if __name__ == "__main__":
    main()
