"""What an observer of the wire can tell, from a recording of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ._http_trace import HttpMessage

__all__ = ["ClearField", "WireView"]

_SEALED = "ciphertext"
# Random or derived bytes: in clear, but their values tell a reader nothing.
_OPAQUE = {
    "nonce",
    "salt",
    "client_dh_public_key",
    "node_dh_public_key",
    "plaintext_body_hash",
    "public_key",
    "response_hash",
    "signature",
}
_SHOWN = {
    "code",
    "completion_tokens",
    "max_num_tokens",
    "model",
    "model_name",
    "node_small_id",
    "num_compute_units",
    "object",
    "prompt_tokens",
    "stack_entry_digest",
    "stack_small_id",
    "stream",
    "timeout",
    "total_tokens",
}


@dataclass(frozen=True, slots=True)
class ClearField:
    """A JSON field that crossed in clear; the example is None where it may be secret.

    `direction` is `request` or `response`.
    """

    path: str
    direction: str
    name: str
    example: str | None


@dataclass(frozen=True, slots=True)
class WireView:
    """A recording summed up.

    `requests` counts (method, path) pairs; `sealed_bytes_*` count ciphertext.
    """

    requests: dict[tuple[str, str], int] = field(default_factory=dict)
    sealed_bytes_sent: int = 0
    sealed_bytes_received: int = 0
    header_names: tuple[str, ...] = ()
    clear_fields: tuple[ClearField, ...] = ()

    @classmethod
    def of(
        cls, pairs: Iterable[tuple[HttpMessage | None, HttpMessage | None]]
    ) -> WireView:
        """Sum up requests, each with its response; either may be missing."""
        counts: dict[tuple[str, str], int] = {}
        fields: dict[tuple[str, str, str], ClearField] = {}
        headers: set[str] = set()
        sealed_sent = sealed_received = 0
        for request, response in pairs:
            path = ""
            if request is not None:
                method, path = request.start_line.split(" ")[:2]
                counts[method, path] = counts.get((method, path), 0) + 1
                headers |= request.headers.keys()
                sealed_sent += _note(fields, path, "request", request.json())
            if response is not None:
                for payload in (response.json(), *response.events()):
                    sealed_received += _note(fields, path, "response", payload)
        return cls(
            counts,
            sealed_sent,
            sealed_received,
            tuple(sorted(headers)),
            tuple(fields.values()),
        )

    def field_names(self, path: str) -> tuple[str, ...]:
        """Name the fields of requests to a path that crossed in clear."""
        return tuple(
            sorted(
                f.name
                for f in self.clear_fields
                if f.path == path and f.direction == "request"
            )
        )


def _note(
    fields: dict[tuple[str, str, str], ClearField],
    path: str,
    direction: str,
    payload: Any,
) -> int:
    """Add a payload's clear fields, and return how many bytes of it are sealed."""
    sealed = 0
    for name, value in _leaves(payload):
        last = name.rpartition(".")[2]
        if last == _SEALED and isinstance(value, str):
            sealed += len(value) * 3 // 4 - value.count("=")
            continue
        example = None
        if last in _OPAQUE:
            example = "(random or derived)"
        elif last in _SHOWN:
            example = str(value)
        key = (path, direction, name)
        fields.setdefault(key, ClearField(path, direction, name, example))
    return sealed


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner, f"{name}[]")
    elif name:
        yield name, value
