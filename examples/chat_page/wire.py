"""What whoever stands between this machine and the node can tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from atoma_local import Wiretap, WireView

# A shorter text may be part of what travels in clear for good reason.
_SHORTEST = 16
_SHOWN = 96
_SEALED = "/v1/confidential/"


class Wire:
    """A wiretap, told in values for the page.

    Args:
        tap: What stands before the proxy and records every byte.
    """

    def __init__(self, tap: Wiretap) -> None:
        self._tap = tap

    def seen(self, texts: Iterable[str]) -> dict[str, Any]:
        """Sum up all that was recorded, and search it for texts."""
        view = self._tap.view()
        searched = [text for text in texts if len(text) >= _SHORTEST]
        findings = self._tap.find(searched)
        return {
            "requests": [
                {"method": method, "path": path, "count": count}
                for (method, path), count in view.requests.items()
            ],
            "sealed_sent": view.sealed_bytes_sent,
            "sealed_received": view.sealed_bytes_received,
            "recorded": len(self._tap.sent) + len(self._tap.received),
            "searched": len(searched),
            "found": len({finding.text for finding in findings}),
            "clear": _in_clear(view),
            "last": self._last(),
        }

    def _last(self) -> list[tuple[str, str]]:
        """Return the fields of a sealed request; long values are cut."""
        for request in reversed(self._tap.requests):
            fields = request.json()  # None while it is still on its way
            if _SEALED in request.start_line and fields:
                return [(name, _cut(str(value))) for name, value in fields.items()]
        return []


def _in_clear(view: WireView) -> dict[str, list[str]]:
    """Name what else can be read, and its values where they tell something."""
    found: dict[str, list[str]] = {}
    for seen in view.clear_fields:
        if _SEALED in seen.path and seen.direction == "request":
            continue  # those of one request are shown whole
        last = seen.path.rpartition("/")[2]
        told = f"{seen.name} {seen.example}" if seen.example else seen.name
        found.setdefault(f"{last}, {seen.direction}", []).append(told)
    return found


def _cut(value: str) -> str:
    if len(value) <= _SHOWN:
        return value
    return f"{value[:_SHOWN]}… and {len(value) - _SHOWN:,} more characters"
