"""`kfp-tabular new`."""

import click


@click.group("new")
def new_command() -> None:
    """Add a component to a clone of the project."""


@new_command.command("component")
@click.argument("name")
@click.option(
    "--folder", default="", help="Its folder below components, a noun; by default from NAME."
)
@click.option(
    "--image",
    type=click.Choice(["tensorflow", "tfdv", "launcher", "serving"]),
    default="tensorflow",
    show_default=True,
    help="The image that it runs in.",
)
@click.option(
    "--category",
    type=click.Choice(["data", "feature engineering", "training", "evaluation", "deployment"]),
    default="data",
    show_default=True,
    help="Its category in the catalog.",
)
@click.option("--description", default="", help="One sentence about what it does.")
def component_command(name: str, folder: str, image: str, category: str, description: str) -> None:
    """Add a component: interface, options, logic, metadata, pages and tests.

    NAME is the function's, a verb and its object, such as count_rows. The component counts rows
    until you write its logic, and passes 'make check' from the start.
    """
    from kfp_tabular.pipelines.catalog import generate
    from kfp_tabular.pipelines.scaffold import component

    given = {"description": f"{description.rstrip('.')}."} if description else {}
    new = component.NewComponent(name, folder, image, category, **given)
    for path in component.create(new, generate.project_root()):
        click.echo(path)
    click.echo(f"Write its logic in components/{new.folder}, then run 'make check'.", err=True)
