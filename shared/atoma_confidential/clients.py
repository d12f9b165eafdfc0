"""Both clients for one set of settings, as the model of a framework needs them.

Importing this imports neither: HTTP and cryptography come with the first model.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import httpx

    from ._settings import ClientSettings
    from .async_client import AsyncClient
    from .client import Client

__all__ = ["Clients"]


class Clients:
    """A blocking client, and an asynchronous one beside it that is made when used.

    Args:
        settings: Those of both.
        http_client: As for `Client`.
        async_http_client: As for `AsyncClient`.

    Raises:
        MissingCredentialsError: There is no API key.
        InvalidInputError: A setting cannot be used.

    Attributes:
        sync: The blocking client, made at once: it makes no connection, but refuses
            settings that cannot be used.
    """

    def __init__(
        self,
        settings: ClientSettings,
        *,
        http_client: httpx.Client | None = None,
        async_http_client: httpx.AsyncClient | None = None,
    ) -> None:
        from .client import Client  # noqa: PLC0415 - see above

        self._made_of = (settings, http_client, async_http_client)
        self.sync: Client = Client(http_client=http_client, **settings)

    @classmethod
    def of(
        cls,
        settings: ClientSettings,
        *,
        http_client: httpx.Client | None = None,
        async_http_client: httpx.AsyncClient | None = None,
        known: Self | None = None,
    ) -> Self:
        """Return the clients of some settings: the known ones, if theirs are equal."""
        if known is not None and known._made_of == (  # noqa: SLF001 - its own class
            settings,
            http_client,
            async_http_client,
        ):
            return known
        return cls(
            settings, http_client=http_client, async_http_client=async_http_client
        )

    @cached_property
    def asynchronous(self) -> AsyncClient:
        """The client for event loops, which knows what the other one knows."""
        from .async_client import AsyncClient  # noqa: PLC0415 - see above

        *_, async_http_client = self._made_of
        return AsyncClient.beside(self.sync, http_client=async_http_client)

    def close(self) -> None:
        """Close the blocking client's connections; a further call makes new ones."""
        self.sync.close()

    async def aclose(self) -> None:
        """Close those connections, and the running loop's."""
        self.close()
        if "asynchronous" in vars(self):
            await self.asynchronous.aclose()
