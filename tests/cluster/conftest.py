from tests.cluster.fixtures import cluster  # noqa: F401 - a fixture
