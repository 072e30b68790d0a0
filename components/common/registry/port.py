"""What a registry of models can do, whoever keeps it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from kfp_tabular.components.common.errors import UserError

CHAMPION = "champion"
"""The version whose rollout was verified last."""

CHALLENGER = "challenger"
"""The version that was registered last and is not the champion."""

PREVIOUS = "previous"
"""The champion before this one."""

ALIASES = (CHAMPION, CHALLENGER, PREVIOUS)

PROMOTIONS_SUFFIX = ".promotions"
"""The log of a model's promotions is kept under its name and this. No model has such a name."""


class NoChampionError(UserError):
    """A model has no champion yet."""


class NotRegisteredError(UserError):
    """No model of this name is registered."""


class RegistryAwayError(Exception):
    """The registry does not answer. It may do so later."""


@dataclass(frozen=True)
class ModelVersion:
    """A registered version.

    Attributes:
        name: The model's name.
        version: Its number, as text.
        digest: Digest of the model's content, `sha256:<hex>`.
        locations: URIs of directories that hold the model, the newest first.
        documents: URI of the directory with `MLmodel`, the input example and the golden examples.
        facts: What else is known: schema and lineage digests, task, label, `run`, `expects`.
        created: When it was registered, in seconds since the epoch.
    """

    name: str
    version: str
    digest: str
    locations: tuple[str, ...]
    documents: str = ""
    facts: Mapping[str, str] = field(default_factory=dict, hash=False)
    created: float = 0.0

    @property
    def uri(self) -> str:
        """How the version is named: `models:/NAME/VERSION`."""
        return f"models:/{self.name}/{self.version}"


@dataclass(frozen=True)
class VersionDraft:
    """A version that is to be registered.

    Attributes:
        digest: Digest of the model's content.
        location: URI of the model's directory.
        documents: A local directory with the documents of the version, to be kept by the registry.
        facts: Further facts; values of at most 5,000 characters.
        run: ID of the run in the tracking store that made it; empty for none.
    """

    digest: str
    location: str
    documents: Path
    facts: Mapping[str, str] = field(default_factory=dict, hash=False)
    run: str = ""


@dataclass(frozen=True)
class LogRecord:
    """A record of the log of promotions.

    Attributes:
        number: Its place in the log, from 1 on, without holes.
        time: When it was written, in seconds since the epoch, by the clock of the store.
        facts: Its content.
    """

    number: int
    time: float
    facts: Mapping[str, str]


class Registry(Protocol):
    """A registry. Its methods raise `UserError` for names and versions that do not exist."""

    @property
    def address(self) -> str:
        """Where it is, for messages and for `open_registry`."""

    def names(self) -> Sequence[str]:
        """Return the names of the registered models."""

    def versions(self, name: str) -> Sequence[ModelVersion]:
        """Return the versions of a model, the newest first."""

    def version(self, name: str, number: str) -> ModelVersion:
        """Return a version."""

    def aliases(self, name: str) -> Mapping[str, str]:
        """Return the version of each alias of a model."""

    def add(self, name: str, draft: VersionDraft) -> ModelVersion:
        """Add a version to a model, which is created if it does not exist."""

    def locate(self, version: ModelVersion, uri: str) -> None:
        """Record that a directory holds a version, too; it becomes the first of its locations."""

    def documents(self, version: ModelVersion, folder: Path) -> Path:
        """Return a local directory with the documents of a version.

        Args:
            version: The version.
            folder: Where to copy them, if they are elsewhere.
        """

    def point(self, name: str, alias: str, number: str) -> None:
        """Move an alias to a version; create it if needed."""

    def drop(self, name: str, alias: str) -> None:
        """Remove an alias; do nothing if it does not exist."""

    def append(self, name: str, facts: Mapping[str, str]) -> int:
        """Append a record to the log of a model's promotions, and return its number.

        Records are ordered, and a record is visible to all before the next one gets its number.
        All that is said of promotions rests on this; nothing else needs to be atomic.
        """

    def records(self, name: str) -> Sequence[LogRecord]:
        """Return the log of a model's promotions in order."""

    def mark(self, name: str, number: int, key: str, value: str) -> None:
        """Add a fact to a record of the log that takes no part in its meaning."""
