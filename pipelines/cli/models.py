"""`kfp-tabular models`."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.tracking.address import without_credentials
from kfp_tabular.pipelines.cli.options import FILE
from kfp_tabular.pipelines.cli.tracking_options import store_option

if TYPE_CHECKING:
    from kfp_tabular.components.common.registry import ModelVersion, Registry
    from kfp_tabular.pipelines.registered_models.redeployment import DeployedVersion

Command = Callable[..., None]

_name_argument = click.argument("name", metavar="NAME")
_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")


class _Models(click.Group):
    """The group, in which a registry that does not answer is one line."""

    def invoke(self, context: click.Context) -> Any:
        from kfp_tabular.components.common.registry.port import RegistryAwayError

        try:
            return super().invoke(context)
        except RegistryAwayError as error:
            raise UserError(f"{error}. Try again later, or name another --tracking-uri.") from error


@click.group("models", cls=_Models)
def models_command() -> None:
    """List, compare, promote and roll back registered models."""


@models_command.command("list")
@click.argument("name", required=False, default="", metavar="[NAME]")
@store_option
@_json_option
def list_command(name: str, tracking_uri: str, as_json: bool) -> None:
    """List the versions of all models, or of NAME, the newest first."""
    registry = _open(tracking_uri)
    names = [name] if name else registry.names()
    found = [
        (version, _aliases(registry, version)) for it in names for version in registry.versions(it)
    ]
    if as_json:
        _print_json([_document(version, aliases) for version, aliases in found])
        return
    if not found:
        click.echo(f"{without_credentials(registry.address)}: no registered models", err=True)
        return
    rows = [("model", "version", "alias", "metric", "task", "registered", "digest")]
    for version, aliases in found:
        rows.append(
            (
                version.name,
                version.version,
                ", ".join(aliases),
                _key_metric(version),
                version.facts.get("task", ""),
                _time(version.created),
                _short(version.digest),
            )
        )
    _print_columns(rows)


@models_command.command("show")
@click.argument("model", metavar="NAME|NAME@ALIAS|NAME/VERSION")
@store_option
@_json_option
def show_command(model: str, tracking_uri: str, as_json: bool) -> None:
    """Show a version: digests, metrics, where it is. NAME alone is its champion, or the newest."""
    registry = _open(tracking_uri)
    version = _version(registry, model)
    aliases = _aliases(registry, version)
    if as_json:
        _print_json(_document(version, aliases))
        return
    click.echo(f"{version.uri}  {', '.join(aliases) or 'no alias'}")
    rows = [("digest", version.digest), ("registered", _time(version.created))]
    rows += [("at", uri) for uri in version.locations]
    shown = {key: value for key, value in version.facts.items() if key != "metrics" and value}
    rows += sorted((key.replace("_", " "), value) for key, value in shown.items())
    rows += [(metric, _estimate(entry)) for metric, entry in sorted(_metrics(version).items())]
    _print_columns(rows)


@models_command.command("compare")
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@store_option
@_json_option
def compare_command(first: str, second: str, tracking_uri: str, as_json: bool) -> None:
    """Compare two versions, such as taxi@champion and taxi/3.

    Shows the metrics of both, their difference, and whether chance explains it.
    """
    from kfp_tabular.pipelines.registered_models import comparison, evaluations

    registry = _open(tracking_uri)
    one, other = _version(registry, first), _version(registry, second)
    compared = comparison.compare(
        evaluations.of(registry, one), evaluations.of(registry, other), (one.digest, other.digest)
    )
    if as_json:
        changes = [{**vars(change), "difference": change.difference} for change in compared.changes]
        _print_json(
            {
                "versions": [one.uri, other.uri],
                "paired": compared.paired,
                "basis": compared.basis,
                "metrics": changes,
            }
        )
        return
    rows = [("", f"{one.name}/{one.version}", f"{other.name}/{other.version}", "difference", "")]
    for change in compared.changes:
        span = "" if change.interval is None else "[{:+.4f}, {:+.4f}]".format(*change.interval)
        moved = "" if change.difference is None else f"{change.difference:+.4f} {span}"
        rows.append(
            (change.metric, _number(change.first), _number(change.second), moved, change.verdict)
        )
    _print_columns(rows)
    click.echo(f"note: {compared.basis}", err=True)


@models_command.command("history")
@_name_argument
@store_option
@_json_option
def history_command(name: str, tracking_uri: str, as_json: bool) -> None:
    """Show which version was champion when, and rollouts that failed or came too late."""
    from kfp_tabular.pipelines.registered_models import history

    registry = _open(tracking_uri)
    registry.aliases(name)
    events = history.of(registry.records(name))
    if as_json:
        _print_json([vars(event) for event in events])
        return
    if not events:
        click.echo(f"{name}: no rollout yet", err=True)
    rows = [(_time(event.time), event.what, event.by, event.why) for event in events]
    if rows:
        _print_columns([("when", "what", "by", "why"), *rows])


@models_command.command("verify")
@click.argument("model", metavar="NAME|NAME@ALIAS|NAME/VERSION")
@click.option("--public-key", type=FILE, metavar="FILE", help="Also verify the signature with it.")
@store_option
def verify_command(model: str, public_key: Path | None, tracking_uri: str) -> None:
    """Check that the bytes of a version are those that were registered, everywhere it is."""
    from kfp_tabular.components.common.artifacts import model_signature
    from kfp_tabular.components.common.registry import ResolvedModel, opened
    from kfp_tabular.components.common.registry.places import first_there, is_there
    from kfp_tabular.pipelines.registered_models import signatures

    registry = _open(tracking_uri)
    version = _version(registry, model)
    newest = first_there(version.locations, version.uri)
    for uri in version.locations:
        if not is_there(uri):
            click.echo(f"note: nothing is at {uri}", err=True)
            continue
        resolved = ResolvedModel(uri, version.name, version.version, version.digest)
        with opened(resolved) as path:
            signed = ""
            # A rollout signs what it publishes, not the artifact of the training.
            if public_key is not None and (uri == newest or model_signature.is_signed(path)):
                signatures.verify(path, public_key)
                signed = ", and its signature is valid"
            elif public_key is not None:
                signed = ", not signed"
        click.echo(f"{version.uri}: {uri} holds {_short(version.digest)}{signed}")


def _deployment_options(command: Command) -> Command:
    for option in (
        click.option("--model-repository", default="", metavar="URI", help="Where to publish it."),
        click.option("--backend", type=click.Choice(["local", "kserve"]), help="What serves it."),
        click.option("--service", default="", metavar="JSON", help="Settings of the endpoint."),
        _json_option,
        store_option,
    ):
        command = option(command)
    return command


@models_command.command("promote")
@_name_argument
@click.argument("version", metavar="VERSION")
@_deployment_options
def promote_command(
    name: str,
    version: str,
    tracking_uri: str,
    as_json: bool,
    service: str,
    backend: str | None,
    model_repository: str,
) -> None:
    """Deploy a version through the verified rollout, and make it champion.

    It is deployed as the champion was; the options change that.
    """
    from kfp_tabular.pipelines.registered_models import redeployment

    registry = _open(tracking_uri)
    number = registry.version(name, version).version
    changes = _changes(model_repository, backend, service)
    given = redeployment.deployment_of(registry, name, changes)
    _tell(name, redeployment.deploy(registry, name, number, "promote", given), as_json)


@models_command.command("rollback")
@_name_argument
@click.option("--to", "version", default="", metavar="VERSION", help="By default, the previous.")
@_deployment_options
def rollback_command(
    name: str,
    version: str,
    tracking_uri: str,
    as_json: bool,
    service: str,
    backend: str | None,
    model_repository: str,
) -> None:
    """Bring the previous champion back through the verified rollout."""
    from kfp_tabular.pipelines.registered_models import redeployment

    registry = _open(tracking_uri)
    number = (
        registry.version(name, version).version
        if version
        else (redeployment.rollback_target(registry, name))
    )
    changes = _changes(model_repository, backend, service)
    given = redeployment.deployment_of(registry, name, changes)
    _tell(name, redeployment.deploy(registry, name, number, "rollback", given), as_json)


def _open(tracking_uri: str) -> "Registry":
    from kfp_tabular.components.common.registry import open_registry

    registry = open_registry(tracking_uri, by_default=True)
    if registry is None:
        raise UserError("--tracking-uri none: no registry is in use. Name one.")
    return registry


def _version(registry: "Registry", text: str) -> "ModelVersion":
    """Return the version that `NAME`, `NAME@ALIAS` or `NAME/VERSION` names."""
    from kfp_tabular.components.common.registry import model_uri, promotion
    from kfp_tabular.components.common.registry.resolving import version_of

    given = text.removeprefix(model_uri.SCHEME)
    if "@" in given or "/" in given:
        return version_of(model_uri.parse(f"{model_uri.SCHEME}{given}"), registry)
    number = promotion.standing(registry, given).champion
    return registry.version(given, number) if number else registry.versions(given)[0]


def _aliases(registry: "Registry", version: "ModelVersion") -> list[str]:
    aliases = registry.aliases(version.name)
    return sorted(alias for alias, number in aliases.items() if number == version.version)


def _changes(model_repository: str, backend: str | None, service: str) -> dict[str, Any]:
    try:
        settings = json.loads(service) if service else {}
        if not isinstance(settings, dict):
            raise ValueError("not an object")
    except ValueError as error:
        raise UserError(f"--service: expected a JSON object: {error}.") from error
    repository = model_repository
    if repository and "://" not in repository:
        repository = str(Path(repository).absolute())
    return {"model_repository": repository, "backend": backend, "service": settings}


def _tell(name: str, deployed: "DeployedVersion", as_json: bool) -> None:
    if as_json:
        _print_json(vars(deployed))
        return
    before = f", instead of version {deployed.replaced}" if deployed.replaced else ""
    click.echo(f"models:/{name}@champion is version {deployed.version}{before}")
    click.echo(f"deployed: {deployed.endpoint or deployed.model_uri}")


def _document(version: "ModelVersion", aliases: Sequence[str]) -> dict[str, Any]:
    return {
        "name": version.name,
        "version": version.version,
        "aliases": list(aliases),
        "digest": version.digest,
        "locations": list(version.locations),
        "registered": version.created,
        "metrics": _metrics(version),
        **{key: value for key, value in version.facts.items() if key != "metrics"},
    }


def _metrics(version: "ModelVersion") -> Mapping[str, Sequence[float]]:
    metrics: Mapping[str, Sequence[float]] = json.loads(version.facts.get("metrics") or "{}")
    return metrics


def _key_metric(version: "ModelVersion") -> str:
    metrics = _metrics(version)
    name = next((it for it in ("auc", "r2", "rmse", "accuracy") if it in metrics), "")
    return f"{name} {metrics[name][0]:.4f}" if name else ""


def _estimate(entry: Sequence[float]) -> str:
    value, *interval = entry
    return f"{value:.4f}" + (" [{:.4f}, {:.4f}]".format(*interval) if interval else "")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:12]


def _time(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC).astimezone():%Y-%m-%d %H:%M:%S}"


def _print_columns(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        # What a registry holds may be anyone's, and a terminal obeys control characters.
        cells = (_plain(cell).ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def _plain(text: str) -> str:
    return "".join(it if it.isprintable() else "\ufffd" for it in text)


def _print_json(document: Any) -> None:
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))
