"""The `atoma` command as a whole: its help, and which commands it has."""

from __future__ import annotations

import typer

from . import _commands
from ._findings import StrictCommand
from ._receipts import receipt
from ._trust import trust

__all__ = ["cli"]

cli = typer.Typer(
    name="atoma",
    help="Ask your documents, and let nobody on the way read them.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # plain help leaves more room for words
    context_settings={"max_content_width": 100},
    pretty_exceptions_enable=False,  # they would print prompts as local variables
)
cli.add_typer(trust, name="trust")
cli.add_typer(receipt, name="receipt")

for _command in (
    _commands.ask,
    _commands.chat,
    _commands.explain,
    _commands.models,
    _commands.local,
    _commands.proxy,
):
    cli.command()(_command)
for _strict in (_commands.doctor, _commands.verify):
    cli.command(cls=StrictCommand)(_strict)
