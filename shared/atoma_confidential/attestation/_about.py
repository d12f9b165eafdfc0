"""Naming what an error is about, where the one who raises it does not know."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from atoma_confidential.errors import AttestationError

__all__ = ["about"]


@contextlib.contextmanager
def about(subject: str) -> Iterator[None]:
    """Put the subject in front of the message of an error raised in here."""
    try:
        yield
    except AttestationError as error:
        error.message = f"{subject}: {error.message}"
        raise
