"""`atoma models` has no options."""

from __future__ import annotations

from .._console import failures

__all__ = ["models"]


def models() -> None:
    """List the models of the network."""
    with failures():
        from .._models import list_models  # noqa: PLC0415  httpx

        list_models()
