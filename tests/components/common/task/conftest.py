from tests.cluster.fixtures import cluster  # noqa: F401
from tests.components.evaluation.conftest import data, export  # noqa: F401
from tests.servers.stores import s3  # noqa: F401
