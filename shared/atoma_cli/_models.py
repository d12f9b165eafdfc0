"""`atoma models`: what the network offers."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from atoma_confidential import Client

from ._console import CommandError, err, out, printable

__all__ = ["list_models"]


def list_models() -> None:
    """Print the models of the network, one a line when the output is piped."""
    with Client() as client:
        models = sorted(client.models(), key=lambda model: model.id)
    if not models:
        raise CommandError(
            "The network lists no models.", "Check ATOMA_BASE_URL, or try again later."
        )
    if not out.is_terminal:
        for model in models:
            out.print(printable(model.id), soft_wrap=True, markup=False)
        return
    table = Table("Model", "Served by")
    for model in models:
        table.add_row(Text(printable(model.id)), Text(printable(model.owned_by)))
    out.print(table)
    err.print("The list does not say which models have confidential nodes.")
