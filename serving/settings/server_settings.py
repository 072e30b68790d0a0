"""Settings of the server, with their defaults. `command_line` reads them."""

from dataclasses import dataclass
from typing import Literal

MEBIBYTE = 2**20

Opening = Literal["health", "metrics", "metadata"]
"""What may need no key: the probes; the metrics; the models' names, inputs and outputs."""

ValuePolicy = Literal["reject", "count"]
"""What to do about a value outside of what the schema gives: refuse the request with status 400,
or answer it and count the value in a metric."""


@dataclass(frozen=True)
class RequestLimits:
    """The largest request that is answered.

    Attributes:
        rows: Rows in one request.
        body: Bytes in one request's body, or in one gRPC message.
    """

    rows: int = 10_000
    body: int = 32 * MEBIBYTE


@dataclass(frozen=True)
class ValuePolicies:
    """What to do about values outside of what the schema gives.

    Attributes:
        unseen: A value that is not among those the schema lists: a `string_domain`, a
            `bool_domain`, or a categorical `int_domain`. Production brings values that training
            has not seen and the model has an answer to them, so they are counted by default.
        out_of_range: A number beyond the ends of a `float_domain`, or of an `int_domain` that is
            not categorical. No such range is inferred, somebody wrote it down; so it is enforced
            by default.
    """

    unseen: ValuePolicy = "count"
    out_of_range: ValuePolicy = "reject"


@dataclass(frozen=True)
class BatchSettings:
    """How requests share calls of the model.

    Attributes:
        rows: Requests are combined up to this many rows; 1 combines none. A request with more rows
            is a call of its own.
        wait_seconds: While a call runs and another could start, how long the oldest request may
            wait for others. At 0, calls run side by side as soon as there are rows for them.
        queued_rows: How many rows may wait, not counting those of running calls. A request that
            finds the queue empty is always accepted.

    Raises:
        ValueError: If `rows` or `queued_rows` is below 1, or `wait_seconds` below 0.
    """

    rows: int = 1
    wait_seconds: float = 0.0
    queued_rows: int = 20_000

    def __post_init__(self) -> None:
        if self.rows < 1 or self.queued_rows < 1 or not self.wait_seconds >= 0:
            raise ValueError(f"invalid batch settings: {self}")


@dataclass(frozen=True)
class AuthenticationSettings:
    """Who may ask.

    Attributes:
        keys: A file or directory of named keys, such as a mounted secret; empty for no
            authentication. See `auth.keys.read`.
        open: What needs no key nevertheless.
    """

    keys: str = ""
    open: frozenset[Opening] = frozenset({"health"})


@dataclass(frozen=True)
class ServerSettings:
    """What to serve, where and how.

    Attributes:
        model: A model's directory, or `<repository>/<name>`, whose newest version is served.
        name: The name in the endpoint's paths; empty for the model's name in its repository.
        host: The address to listen on.
        port: The port of REST; 0 takes a free one.
        grpc_port: The port of gRPC; 0 takes a free one, None is no gRPC.
        workers: Processes that answer. More than one are watched over and started anew when they
            end.
        limits: The largest request that is answered.
        policies: What to do about values outside of what the schema gives.
        authentication: Who may ask.
        batches: How requests share calls of the model.
        reload_seconds: How often to look for a new version under `<repository>/<name>`; 0 is never.
        drain_seconds: How long to go on answering after SIGTERM, while the readiness probes say no.
        grace_seconds: How long requests that are under way may take to end after that.
        access_log: Whether to log a line per REST request (method, path and status).
    """

    model: str = ""
    name: str = ""
    host: str = "127.0.0.1"
    port: int = 8080
    grpc_port: int | None = None
    workers: int = 1
    limits: RequestLimits = RequestLimits()
    policies: ValuePolicies = ValuePolicies()
    authentication: AuthenticationSettings = AuthenticationSettings()
    batches: BatchSettings = BatchSettings()
    reload_seconds: float = 10.0
    drain_seconds: float = 0.0
    grace_seconds: float = 25.0
    access_log: bool = False
