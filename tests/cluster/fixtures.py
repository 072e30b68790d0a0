"""Fixtures of a cluster: `from tests.cluster.fixtures import cluster  # noqa: F401`."""

from collections.abc import Iterator

import pytest

from tests.cluster import clusters


@pytest.fixture
def cluster() -> Iterator[clusters.Cluster]:
    """An empty cluster with a service account for launchers."""
    with clusters.simulated() as made:
        yield made
