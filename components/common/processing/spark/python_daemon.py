"""Forks the Python processes of an executor, as `pyspark.daemon` does.

What every fold imports is imported here, once, before the first fork.
"""

import numpy  # noqa: F401
import pyarrow.compute
import pyarrow.parquet  # noqa: F401

if __name__ == "__main__":
    from pyspark import daemon

    daemon.manager()
