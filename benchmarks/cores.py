"""Client and server stay off each other's core, where the system allows it."""

from __future__ import annotations

import os

__all__ = ["available", "stay_on"]


def available() -> list[int]:
    """Return the cores of this process; empty where that cannot be asked."""
    affinity = getattr(os, "sched_getaffinity", None)
    return sorted(affinity(0)) if affinity else []


def stay_on(which: int) -> None:
    """Keep this process to the first (0) or the last (-1) core, if there are two."""
    if len(cores := available()) > 1:
        os.sched_setaffinity(0, {cores[which]})
