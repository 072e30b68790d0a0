"""What a server can be told."""

from dataclasses import dataclass

MEBIBYTE = 2**20


@dataclass(frozen=True)
class Limits:
    """The largest request that is answered.

    Attributes:
        rows: Rows in one request.
        body: Bytes in one request's body.
    """

    rows: int = 10_000
    body: int = 32 * MEBIBYTE


@dataclass(frozen=True)
class Settings:
    """Where and how to serve.

    Attributes:
        host: The address to listen on.
        port: The port to listen on; 0 takes a free one.
        limits: The largest request that is answered.
        grace_seconds: How long requests that are under way may take to end after SIGTERM.
        access_log: Whether to log a line per request (method, path and status).
    """

    host: str = "127.0.0.1"
    port: int = 8080
    limits: Limits = Limits()
    grace_seconds: int = 25
    access_log: bool = False
