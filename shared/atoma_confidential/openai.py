"""Clients of the OpenAI SDK whose every request is sealed.

    client = openai_client()
    client.chat.completions.create(model="…", messages=[…])

For SDKs 2.x and 3.x. What else takes an `http_client` takes those of
`atoma_confidential.httpx`. See docs/openai-sdk.md.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING, Any, Unpack

try:
    import openai
except ModuleNotFoundError:
    raise ModuleNotFoundError(
        "openai is not installed. Run: pip install 'atoma-confidential[openai]'",
        name="openai",
    ) from None

import httpx

from ._openai_wire import SEALED_BASE_URL
from ._settings import ClientSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SEALED_BASE_URL", "async_openai_client", "openai_client"]

_NOT_SENT = "not-sent"
"""What the SDK has for a key: ours stays in the transport."""


def openai_client(
    *,
    inner: httpx.Client | httpx.BaseTransport | None = None,
    **settings: Unpack[ClientSettings],
) -> openai.OpenAI:
    """Return a client whose chat completions, embeddings and models are sealed.

    It repeats nothing: what is safe to repeat has been repeated below it.

    Args:
        inner: As for `ConfidentialTransport`.
        **settings: See `ClientSettings`.

    Raises:
        MissingCredentialsError: There is no API key.
        InvalidInputError: A setting cannot be used.
    """
    library, ours = _flavour()
    transport = ours.ConfidentialTransport(inner=inner, **settings)
    http_client = library.Client(transport=transport)
    return openai.OpenAI(http_client=http_client, **_options(settings))


def async_openai_client(
    *,
    inner: httpx.AsyncClient | httpx.AsyncBaseTransport | None = None,
    **settings: Unpack[ClientSettings],
) -> openai.AsyncOpenAI:
    """Return an asynchronous client; see `openai_client`."""
    library, ours = _flavour()
    transport = ours.AsyncConfidentialTransport(inner=inner, **settings)
    http_client = library.AsyncClient(transport=transport)
    return openai.AsyncOpenAI(http_client=http_client, **_options(settings))


def _flavour() -> tuple[ModuleType, ModuleType]:
    """Return the SDK's HTTP library, and our transports for it."""
    name = "httpx" if issubclass(openai.DefaultHttpxClient, httpx.Client) else "httpx2"
    return importlib.import_module(name), importlib.import_module(
        f"{__package__}.{name}"
    )


def _options(settings: Mapping[str, Any]) -> dict[str, Any]:
    options = {"api_key": _NOT_SENT, "base_url": SEALED_BASE_URL, "max_retries": 0}
    if settings.get("timeout") is not None:
        options["timeout"] = settings["timeout"]  # the SDK's own would replace it
    return options
