"""A standalone cluster for the tests of the Spark engine."""

from collections.abc import Iterator

import pytest

from tests import spark_cluster


@pytest.fixture(scope="session", autouse=True)
def spark_here() -> None:
    """Skip where Spark cannot run."""
    spark_cluster.require()


@pytest.fixture(scope="session")
def cluster(
    spark_here: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[spark_cluster.Cluster]:
    """One master and two workers, each a process of its own."""
    folder = tmp_path_factory.mktemp("cluster")
    with spark_cluster.running(folder) as found:
        yield found
    assert spark_cluster.leftover(folder) == []
