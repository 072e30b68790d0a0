"""The tests of the Spark engine are skipped where Spark cannot run."""

import pytest

from tests import spark_cluster


@pytest.fixture(scope="session", autouse=True)
def spark_here() -> None:
    """Skip where Spark cannot run."""
    spark_cluster.require()
