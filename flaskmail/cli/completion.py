"""``flaskmail completion``: the shell fills in names of commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

FILES = {
    "bash": "~/.bashrc",
    "zsh": "~/.zshrc",
    "fish": "~/.config/fish/completions/flaskmail.fish",
}
"""Where each shell looks for it."""

FIRST = {"zsh": "(( $+functions[compdef] )) || { autoload -Uz compinit && compinit -i }\n"}
"""What goes before the script. A zsh that nobody has set up knows no ``compdef``, which the script calls."""


@click.command(short_help="Let the shell fill in commands and options.")
@click.argument("shell", type=click.Choice(sorted(FILES)))
def completion(shell: str) -> None:
    """Write what SHELL has to read, so that the Tab key fills in commands and options.

    \b
    bash:  echo 'eval "$(flaskmail completion bash)"' >> ~/.bashrc
    zsh:   echo 'eval "$(flaskmail completion zsh)"' >> ~/.zshrc
    fish:  mkdir -p ~/.config/fish/completions; flaskmail completion fish > ~/.config/fish/completions/flaskmail.fish
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise click.ClickException(f"nothing is known of {shell}")
    root = click.get_current_context().find_root().command
    script = kind(root, {}, "flaskmail", "_FLASKMAIL_COMPLETE").source()
    # zsh takes a file of completions for what its first line names, so that one stays the first.
    first, rest = script.split("\n", 1)
    click.echo(f"{first}\n{FIRST.get(shell, '')}{rest}")
