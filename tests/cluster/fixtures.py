"""Fixtures of a cluster: `from tests.cluster.fixtures import cluster  # noqa: F401`."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import clusters

KUBECONFIG = "KFP_TABULAR_TEST_KUBECONFIG"
"""Names a kubeconfig: tests run against that API server instead, as far as they can."""


@pytest.fixture
def cluster() -> Iterator[clusters.Cluster]:
    """An empty cluster with a service account for launchers."""
    kubeconfig = os.environ.get(KUBECONFIG)
    with clusters.real(Path(kubeconfig)) if kubeconfig else clusters.simulated() as made:
        yield made
