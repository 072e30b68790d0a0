"""`kfp-tabular cache`."""

import click

from kfp_tabular.components.common.errors import UserError


@click.command("cache")
@click.option("--clear", is_flag=True, help="Remove everything.")
def cache_command(clear: bool) -> None:
    """Show where outputs of finished tasks are kept for later runs, and how much."""
    from kfp_tabular.pipelines.local.cache import store

    folder = store.default_folder()
    if folder is None:
        click.echo(f"off, by {store.VARIABLE}")
        return
    cache = store.CacheStore(folder, store.limit_bytes())
    try:
        held = cache.clear() if clear else cache.size()
    except OSError as error:
        raise UserError(f"{folder}: cannot be cleared: {error.strerror or error}.") from error
    size = f"{held.entries} {'task' if held.entries == 1 else 'tasks'}, {held.bytes / 1e9:.2f} GB"
    if clear:
        click.echo(f"{folder}: removed {size}")
    else:
        click.echo(f"{folder}: {size} of {store.limit_bytes() / 1e9:g} GB")
