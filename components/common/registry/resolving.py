"""From the name of a registered model to its bytes, verified."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.components.common.registry import model_bytes, model_uri, promotion
from kfp_tabular.components.common.registry.opening import open_registry
from kfp_tabular.components.common.registry.places import first_there
from kfp_tabular.components.common.registry.port import (
    ALIASES,
    CHAMPION,
    ModelVersion,
    NoChampionError,
    Registry,
)
from kfp_tabular.components.common.storage import local_copy
from kfp_tabular.components.common.tracking.address import without_credentials


@dataclass(frozen=True)
class ResolvedModel:
    """A model, found by a URI.

    Attributes:
        uri: Where its directory is.
        name: The name of the registered model; empty for a path or a URI.
        version: The number of the version; empty for a path or a URI.
        digest: The digest that its content must have; empty for a path or a URI.
        elsewhere: URIs of further directories that hold it.
    """

    uri: str
    name: str = ""
    version: str = ""
    digest: str = ""
    elsewhere: tuple[str, ...] = ()


def resolve(uri: str, registry: Registry | None = None, registry_uri: str = "") -> ResolvedModel:
    """Find a model.

    Args:
        uri: `models:/NAME@champion`, another alias, `models:/NAME/3`, a path, or the URI of a
            directory, which is returned as it is.
        registry: The registry; None opens that of `registry_uri`.
        registry_uri: As `open_registry` takes it.

    Raises:
        NoChampionError: If the model has no champion yet.
        UserError: If the model, version or alias does not exist, there is no registry, or the alias
            was moved without a verified rollout.

    Example:
        >>> resolve("/srv/models/taxi").uri
        '/srv/models/taxi'
    """
    if not model_uri.is_registered(uri):
        return ResolvedModel(uri)
    named = model_uri.parse(uri)
    opened_registry = open_registry(registry_uri) if registry is None else registry
    if opened_registry is None:
        raise UserError(
            f"{uri}: no registry is in use here. Name one with --tracking-uri or "
            "MLFLOW_TRACKING_URI, or give the model's path."
        )
    return of_version(version_of(named, opened_registry))


def version_of(named: model_uri.ModelUri, registry: Registry) -> ModelVersion:
    """Return the registered version that a URI names.

    Raises:
        NoChampionError: If the model has no champion yet.
        UserError: If it does not exist, or the alias was moved without a verified rollout.
    """
    if named.version:
        return registry.version(named.name, named.version)
    if named.alias == CHAMPION:
        known = registry.names()
        if named.name not in known:
            where = without_credentials(registry.address)
            raise NoChampionError(
                f"{named}: {named.name} is not registered in {where}, so it has no champion yet."
                f"{closest(named.name, known)}"
            )
        return promotion.champion(registry, named.name)
    aliases = registry.aliases(named.name)
    if named.alias not in aliases:
        listed = ", ".join(sorted(aliases)) or "none"
        raise UserError(
            f"{named}: {named.name} has no alias {named.alias!r}; it has {listed}."
            f"{closest(named.alias, {*aliases, *ALIASES})}"
        )
    return registry.version(named.name, aliases[named.alias])


def of_version(version: ModelVersion) -> ResolvedModel:
    """Return where a registered version is: the first of its locations that still has one.

    Raises:
        UserError: If none has.
    """
    first = first_there(version.locations, version.uri)
    others = tuple(uri for uri in version.locations if uri != first)
    return ResolvedModel(first, version.name, version.version, version.digest, others)


@contextmanager
def opened(model: ResolvedModel) -> Iterator[Path]:
    """Make a model available as a local directory, verified.

    A registered one must have the digest of the registry, another one those of its own list.

    Args:
        model: What `resolve` returned.

    Yields:
        The directory, a copy if the model is on an object store. Do not write to it.

    Raises:
        UserError: If it does not exist, or its bytes are not those that were recorded; the message
            names the file.
    """
    with local_copy(model.uri) as path:
        if model.digest:
            model_bytes.verify(path, model.digest)
        else:
            model_bytes.verify_listed(path)
        yield path
