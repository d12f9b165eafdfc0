"""The hot paths of our own, as cases; there is no server in it."""

from __future__ import annotations

from ..hot_paths import PATHS


class Transport:
    def path(self, name: str, count: int) -> int:
        return PATHS[name](count)


def make(url: str, key: str, kind: str) -> Transport:
    del url, key, kind
    return Transport()
