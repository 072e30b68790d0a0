"""Settings of the server: the name, type, default, meaning and check of each, in one place.

`command_line` makes a flag and an environment variable of each field: `max_rows` is `--max-rows`
and `KFP_TABULAR_SERVING_MAX_ROWS`.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from kfp_tabular.serving.settings import text_values

Opening = Literal["health", "metrics", "metadata"]
"""What may need no key: the probes; the metrics; the models' names, inputs and outputs."""

ValuePolicy = Literal["reject", "count"]
"""What to do with a value outside of its domain in the schema: reject the request with status 400,
or predict and count the value in a metric."""

DigestPolicy = Literal["check", "require", "off"]
"""What to do about the digests of a version's files: check those that it has, also refuse a version
that has none, or check nothing."""

UnreadablePolicy = Literal["reject", "missing"]
"""What to do with text that the format of its column cannot be read from: reject the request with
status 400, or take the value as missing and count it in a metric."""

_POLICY = text_values.one_of(*get_args(ValuePolicy))


def _setting(
    default: Any,
    read: Callable[[str], Any],
    meaning: str,
    *,
    metavar: str | None = None,
    shown_default: str | None = None,
) -> Any:
    """Return a field for a setting.

    Args:
        default: The default value.
        read: Turns text into a value; raises `ValueError` with what was expected.
        meaning: What the setting does, as `--help` shows it.
        metavar: How `--help` names the value; None for the setting's own name.
        shown_default: How `--help` describes the default; None for the value itself.
    """
    metadata = {
        "meaning": meaning,
        "read": read,
        "metavar": metavar,
        "shown_default": shown_default,
    }
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True)
class RequestLimits:
    """The largest request that the server accepts."""

    max_rows: int = _setting(10_000, text_values.whole_number(1), "the most rows in a request")
    explain_rows: int = _setting(
        32,
        text_values.whole_number(0),
        "the most rows in a request to :explain; 0 turns explanations off, and saves the memory "
        "and the second of start-up that they take",
        metavar="ROWS",
    )
    max_body_mib: int = _setting(
        32,
        # gRPC holds a message's size in an int32.
        text_values.whole_number(1, 2047),
        "the largest request body or gRPC message, in MiB",
        metavar="MIB",
    )
    max_values: int = _setting(
        1_000_000,
        text_values.whole_number(1),
        "the most JSON values in a request; it may have fewer where --max-rows rows of the model "
        "need fewer",
        metavar="VALUES",
    )
    max_pending_mib: int = _setting(
        64,
        text_values.whole_number(1),
        "bodies and responses that are in memory over all requests, beyond the first 64 KiB of "
        "each, in MiB; workers share it evenly, but each holds a body of the largest size; further "
        "requests are rejected with 503",
        metavar="MIB",
    )

    grpc_calls: int = _setting(
        500,
        text_values.whole_number(1),
        "the most gRPC calls at a time in a process, health checks apart; further ones are "
        "rejected with RESOURCE_EXHAUSTED",
        metavar="CALLS",
    )
    grpc_message_seconds: float = _setting(
        30.0,
        text_values.amount("seconds"),
        "how long the message of a gRPC call may take to come; much less while other calls wait",
        metavar="SECONDS",
    )

    @property
    def max_body_bytes(self) -> int:
        """`max_body_mib` in bytes."""
        return int(self.max_body_mib * 2**20)

    def max_pending_bytes(self, workers: int) -> int:
        """Return the share of `max_pending_mib` of one of several workers, in bytes.

        Example:
            >>> RequestLimits(max_pending_mib=100).max_pending_bytes(2) // 2**20
            50
        """
        return max(int(self.max_pending_mib * 2**20) // workers, self.max_body_bytes)


@dataclass(frozen=True)
class ValuePolicies:
    """What to do with values outside of their domain in the schema, and with unreadable ones.

    Production brings categories that training has not seen, and the model has an answer to them, so
    these are counted by default. Ranges are not inferred from data: a person wrote them into the
    schema, so they are enforced by default.
    """

    unseen_values: ValuePolicy = _setting(  # noqa: RUF009  frozen
        "count",
        _POLICY,
        "values that the schema does not list: of a string_domain, a bool_domain or a categorical "
        "int_domain",
        metavar="reject|count",
    )
    out_of_range: ValuePolicy = _setting(  # noqa: RUF009  frozen
        "reject",
        _POLICY,
        "numbers beyond the range of a float_domain or int_domain in the schema",
        metavar="reject|count",
    )
    unreadable_values: UnreadablePolicy = _setting(  # noqa: RUF009  frozen
        "reject",
        text_values.one_of(*get_args(UnreadablePolicy)),
        "text where a number, a time or a list is expected that cannot be read as one",
        metavar="reject|missing",
    )
    lenient: bool = _setting(
        False,
        text_values.yes_or_no,
        "take values of v1 requests as CSV readers and pandas give them: text for numbers, NaN "
        "for missing, numbers for text",
    )


@dataclass(frozen=True)
class AuthenticationSettings:
    """Which clients may use the server."""

    auth_keys: str = _setting(
        "",
        text_values.text,
        "the named keys, one of which clients must send: a mounted secret",
        metavar="FILE|DIR",
        shown_default="none, no key is needed",
    )
    auth_open: frozenset[Opening] = _setting(
        frozenset({"health"}),
        text_values.some_of(*get_args(Opening)),
        f"what needs no key: some of {', '.join(get_args(Opening))}, or none",
        metavar="LIST",
    )


@dataclass(frozen=True)
class BatchSettings:
    """How requests share calls of the model.

    Raises:
        ValueError: If a number of rows is below 1 or `batch_wait_ms` is negative.
    """

    batch_rows: int = _setting(
        128,
        text_values.whole_number(1),
        "combine concurrent requests up to this many rows; 1 combines none, and gives answers that "
        "are equal to the last bit; a request with more rows is a separate call",
        metavar="ROWS",
    )
    batch_wait_ms: float = _setting(
        0.0,
        text_values.amount("milliseconds"),
        "how long a request may wait for others while the model is busy; 0 runs calls side by side",
        metavar="MILLISECONDS",
    )
    queued_rows: int = _setting(
        20_000,
        text_values.whole_number(1),
        "rows that may wait for the model; further requests are rejected with 503",
        metavar="ROWS",
    )

    def __post_init__(self) -> None:
        if self.batch_rows < 1 or self.queued_rows < 1 or not self.batch_wait_ms >= 0:
            raise ValueError(f"invalid batch settings: {self}")

    @property
    def wait_seconds(self) -> float:
        """`batch_wait_ms` in seconds."""
        return self.batch_wait_ms / 1000


@dataclass(frozen=True)
class ModelSettings:
    """What is checked before a version is served."""

    digests: DigestPolicy = _setting(  # noqa: RUF009  frozen
        "check",
        text_values.one_of(*get_args(DigestPolicy)),
        "check a version's files against its recorded digests, where it has some; require them; or "
        "check none",
        metavar="check|require|off",
    )
    public_key: str = _setting(
        "",
        text_values.text,
        "the public key (PEM) that a version must be signed with; others are not loaded",
        metavar="FILE",
        shown_default="none, signatures are not verified",
    )
    max_model_mib: int = _setting(
        4096,
        text_values.whole_number(1),
        "the largest version that is loaded, all files together, in MiB",
        metavar="MIB",
    )
    load_seconds: float = _setting(
        600.0,
        text_values.amount("seconds"),
        "how long checking, loading and warming up a version may take; 0 is forever",
        metavar="SECONDS",
    )


@dataclass(frozen=True)
class ServerSettings:
    """What to serve, where and how."""

    model: str = _setting(
        "",
        text_values.text,
        "a model's directory, or <repository>/<name>, whose newest version is served",
        metavar="DIR",
        shown_default="none, required",
    )
    name: str = _setting(
        "",
        text_values.text,
        "the model's name in URL paths",
        shown_default="its name in the repository",
    )
    host: str = _setting("127.0.0.1", text_values.text, "the address to listen on")
    port: int = _setting(8080, text_values.port, "the HTTP port; 0 takes a free one")
    grpc_port: int | None = _setting(
        None,
        text_values.port_or_off,
        "the gRPC port, 8081 in KServe; 0 takes a free one",
        metavar="PORT|off",
    )
    workers: int = _setting(
        1,
        text_values.whole_number(1),
        "worker processes; from 2, a supervisor restarts those that end",
    )
    worker_timeout_seconds: float = _setting(
        30.0,
        text_values.amount("seconds"),
        "how long a worker may be stopped or hang before the supervisor replaces it; 0 is forever",
        metavar="SECONDS",
    )
    max_connections: int = _setting(
        1000,
        text_values.whole_number(1),
        "the most HTTP connections of a process; beyond, those that wait longest for their clients "
        "are closed",
        metavar="CONNECTIONS",
    )
    allowed_hosts: frozenset[str] = _setting(
        frozenset(),
        text_values.host_names,
        "the host names that requests may use; *.NAME allows all names below; probes and requests "
        "to the server's own address need none",
        metavar="LIST",
        shown_default="any",
    )
    limits: RequestLimits = RequestLimits()
    policies: ValuePolicies = ValuePolicies()
    authentication: AuthenticationSettings = AuthenticationSettings()
    batches: BatchSettings = BatchSettings()
    models: ModelSettings = ModelSettings()
    reload_seconds: float = _setting(
        10.0,
        text_values.amount("seconds"),
        "how often to look for a new version under <repository>/<name>; 0 is never",
        metavar="SECONDS",
    )
    drain_seconds: float = _setting(
        0.0,
        text_values.amount("seconds"),
        "how long to continue answering after SIGTERM while the readiness probes fail",
        metavar="SECONDS",
    )
    grace_seconds: float = _setting(
        25.0,
        text_values.amount("seconds"),
        "how long running requests may take to finish after that",
        metavar="SECONDS",
    )
    access_log: bool = _setting(
        False, text_values.yes_or_no, "log method, path and status of every HTTP request"
    )
