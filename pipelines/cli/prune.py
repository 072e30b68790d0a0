"""`kfp-tabular prune`."""

from datetime import timedelta

import click


@click.command("prune")
@click.argument("location")
@click.option(
    "--older-than",
    "days",
    type=click.FloatRange(min=0),
    default=7.0,
    show_default=True,
    metavar="DAYS",
    help="Leave attempts that began, and predictions that were written, more recently: they may "
    "still run.",
)
@click.option("--yes", is_flag=True, help="Remove. Without it, only list.")
def prune_command(location: str, days: float, yes: bool) -> None:
    """Remove shards that failed attempts left, and which no reader takes.

    LOCATION is the directory of examples or transformed examples, or the shards_uri of runs, in
    which each attempt has a folder: a local path, or a URI such as s3://, gs:// or minio://. A
    folder of predictions counts as abandoned once nothing is written there any more, because a
    later attempt goes on with it.
    """
    from kfp_tabular.pipelines.artifacts import abandoned_shards

    found = abandoned_shards.find(location, timedelta(days=days))
    sizes = found.sizes
    for name, size in sorted(sizes.items()):
        click.echo(f"{name}  {size / 1e6:.1f} MB")
    if found.shards_uri:
        parent = found.shards_uri.rpartition("/")[0]
        click.echo(
            f"note: the shards are elsewhere; for their attempts: kfp-tabular prune {parent}"
        )
    if not sizes:
        click.echo(f"{found.files.location}: nothing to remove")
        return
    total = sum(sizes.values()) / 1e6
    if yes:
        found.remove()
        click.echo(f"{found.files.location}: removed {total:.1f} MB")
    else:
        click.echo(f"{found.files.location}: {total:.1f} MB to remove; add --yes to do it")
