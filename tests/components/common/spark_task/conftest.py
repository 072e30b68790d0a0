from tests.cluster.fixtures import cluster  # noqa: F401
from tests.servers.stores import s3  # noqa: F401
