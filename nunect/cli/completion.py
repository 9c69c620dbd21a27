"""The script that teaches a shell to complete `nunect`."""

from __future__ import annotations

import sys

import click
from click.shell_completion import get_completion_class

WHERE = {
    "bash": 'eval "$(nunect completion bash)" in ~/.bashrc',
    "zsh": 'eval "$(nunect completion zsh)" in ~/.zshrc',
    "fish": "nunect completion fish > ~/.config/fish/completions/nunect.fish",
}


@click.command(short_help="Print what makes bash, zsh or fish complete commands.")
@click.argument("shell", type=click.Choice(tuple(WHERE)))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    \b
    bash: eval "$(nunect completion bash)" in ~/.bashrc
    zsh:  eval "$(nunect completion zsh)" in ~/.zshrc
    fish: nunect completion fish > ~/.config/fish/completions/nunect.fish
    """
    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"This click knows no completion for {shell}.")
    program = found(ctx.find_root().command, {}, "nunect", "_NUNECT_COMPLETE")
    click.echo(program.source())
    if ctx.obj is not None and sys.stdout.isatty():
        click.echo(f"nunect: this is for the shell: {WHERE[shell]}", err=True)
