"""What the commands talk to, and how; no framework is needed to say it."""

from __future__ import annotations

import enum
import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atoma_confidential.known_models import CHAT_MODEL, EMBEDDING_MODEL

if TYPE_CHECKING:
    from atoma_confidential import TrustPolicy

__all__ = [
    "STANDS_IN_FOR_A_KEY",
    "TEXTS_A_REQUEST",
    "Endpoint",
    "Framework",
    "Nonces",
    "StreamMode",
    "is_loopback",
]

STANDS_IN_FOR_A_KEY = "not-a-key"
"""For clients that send no request which would carry one."""

TEXTS_A_REQUEST = 64
"""A batch of the index then takes a few requests, side by side."""


class Framework(enum.StrEnum):
    """Whose models, index and store answer."""

    LANGCHAIN = "langchain"
    LLAMA_INDEX = "llama-index"


class StreamMode(enum.StrEnum):
    """How an answer travels; docs/langchain.md says what each protects."""

    AUTO = "auto"
    LIVE = "live"
    BUFFERED = "buffered"


class Nonces(enum.StrEnum):
    """Whether the pieces of a stream have a nonce each, or share one."""

    FRESH = "fresh"
    REUSED = "reused"


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can connect to `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Which models to use, and how; address and key come from the environment."""

    chat_model: str = CHAT_MODEL
    embedding_model: str = EMBEDDING_MODEL
    stream_mode: StreamMode = StreamMode.AUTO
    confidential: bool = True
    base_url: str | None = None
    api_key: str | None = None
    pins: Path | None = None

    @property
    def trust(self) -> TrustPolicy | None:
        """With a file of pins, nodes have to stay as they were first met."""
        if self.pins is None:
            return None
        from atoma_confidential import PinFile, TrustPolicy  # noqa: PLC0415  heavy

        known = PinFile(self.pins)
        return TrustPolicy.on_first_use(known, TrustPolicy.proxy_asserted())

    def connection(self) -> dict[str, Any]:
        """Return what the models of both frameworks are told about the network."""
        # The commands call the models themselves, so nothing around them is traced
        # either: with this, tracers get nothing, whatever the environment says.
        settings: dict[str, Any] = {
            "confidential": self.confidential,
            "tracing_policy": "suppress",
            "base_url": self.base_url,
            "api_key": self.api_key,
            "trust": self.trust,
        }
        return {name: value for name, value in settings.items() if value is not None}
