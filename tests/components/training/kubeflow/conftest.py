"""Object stores, from the suite's own servers."""

from tests.servers.stores import s3

__all__ = ["s3"]
