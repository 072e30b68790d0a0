from tests.servers.stores import gcs, s3  # noqa: F401 - fixtures
