"""`kfp-tabular completion`."""

import click
from click.shell_completion import get_completion_class

_PROGRAM = "kfp-tabular"
_VARIABLE = "_KFP_TABULAR_COMPLETE"


_HELP = """Print the script that makes a shell complete this command.

\b
bash: kfp-tabular completion bash > ~/.local/share/bash-completion/completions/kfp-tabular
zsh:  kfp-tabular completion zsh > ~/.zfunc/_kfp-tabular   (a folder of your fpath)
fish: kfp-tabular completion fish > ~/.config/fish/completions/kfp-tabular.fish
"""


@click.command("completion", help=_HELP)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion_command(context: click.Context, shell: str) -> None:
    """Print the completion script of a shell."""
    kind = get_completion_class(shell)
    if kind is None:
        raise click.ClickException(f"click does not support {shell}.")
    click.echo(kind(context.find_root().command, {}, _PROGRAM, _VARIABLE).source())
