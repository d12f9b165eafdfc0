"""What chat and embeddings have in common: how they reach the network."""

from __future__ import annotations

import copy
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from llama_index.core.schema import BaseComponent
from pydantic import ConfigDict, Field, PrivateAttr, ValidationError

from atoma_confidential import ClientSettings
from atoma_confidential.attestation import TrustPolicy
from atoma_confidential.clients import Clients
from atoma_confidential.credentials import default_tracing_policy
from atoma_confidential.errors import InvalidInputError
from atoma_confidential.parameters import SignatureMode, check_model, misfit

from ._tracing import TracingPolicy, guard

__all__ = ["AtomaConnection"]

_NOT_PICKLED = ("api_key", "http_client", "async_http_client")
# Not to be copied: they hold locks, connections or other people's state.
_SHARED = (
    "async_http_client",
    "callback_manager",
    "embeddings_cache",
    "http_client",
    "rate_limiter",
)


class AtomaConnection(BaseComponent):
    """How a model reaches the Atoma network.

    A pickled model holds neither key nor connections: the key is read from the
    environment again, where the model is loaded.

    Raises:
        MissingCredentialsError: There is no API key.
        InvalidInputError: A setting cannot be used.
        PlaintextEgressError: `tracing_policy` is `refuse`, and LlamaIndex would write
            plaintext elsewhere.
    """

    model_config = ConfigDict(
        arbitrary_types_allowed=True,
        extra="forbid",  # a misspelt setting would be a setting that is not there
        hide_input_in_errors=True,  # an input may be the key
        populate_by_name=True,
        protected_namespaces=(),
    )

    api_key: str | None = Field(default=None, exclude=True, repr=False)
    """By default `ATOMA_API_KEY`, then `ATOMASDK_BEARER_AUTH`."""

    base_url: str | None = Field(default=None, exclude=True)
    """By default `ATOMA_BASE_URL`, then `ATOMA_API_BASE`, then the public network."""

    confidential: bool = Field(default=True, exclude=True)
    """False sends everything in clear, to the plain endpoints."""

    trust: TrustPolicy | None = Field(default=None, exclude=True, repr=False)
    """Which node keys may be sealed to; not serialised but for its name, so that it has
    to be given again on load."""

    attestation_url: str | None = Field(default=None, exclude=True)
    """By default `ATOMA_ATTESTATION_URL`, then the public network's place."""

    signatures: SignatureMode | None = Field(default=None, exclude=True)
    """Which signatures of nodes are checked: none, those of whole answers, or of each
    event of a stream as well. By default `whole`, or `all` if `trust` knows signers."""

    max_retries: int = Field(default=2, exclude=True)
    """Repetitions where the network is busy; 0 turns all repetitions off."""

    timeout: float | None = Field(default=None, exclude=True)
    """Seconds for an answer, and of silence in a stream."""

    max_reply_bytes: int | None = Field(default=None, exclude=True)
    """Size of a whole answer as it travels; by default 64 MiB."""

    tracing_policy: TracingPolicy = Field(
        default_factory=default_tracing_policy, validate_default=True, exclude=True
    )
    """What to do where LlamaIndex would write plaintext to a handler. `suppress` keeps
    the model's own events and spans from all handlers."""

    http_client: Any = Field(default=None, exclude=True, repr=False)
    """An `httpx.Client` that makes the connections; closing it stays with you."""

    async_http_client: Any = Field(default=None, exclude=True, repr=False)
    """An `httpx.AsyncClient`, likewise; it serves one event loop only."""

    _made: Clients | None = PrivateAttr(default=None)

    def __init__(self, **fields: Any) -> None:
        told = ""
        try:
            super().__init__(**fields)
        except ValidationError as error:
            told = misfit(error.title, error.errors(include_input=False))
        if told:  # not within `except`: the error's context would hold the inputs
            raise InvalidInputError(told)
        # Not in a validator: pydantic would wrap these errors in one of its own.
        check_model(self._engine_model)
        self._guard()
        self._clients()

    def close(self) -> None:
        """Close the connections; a further call would make new ones."""
        if self._made is not None:
            self._made.close()

    async def aclose(self) -> None:
        """Close the connections of the running loop, and those of `close`."""
        if self._made is not None:
            await self._made.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def to_dict(self, **kwargs: Any) -> dict[str, Any]:
        """Return the model for `from_dict`, without its key.

        A trust policy is there by name, which cannot be loaded: `from_dict` wants the
        policy itself, as `trust=`. Left out, a loaded model would accept any key.
        """
        data = super().to_dict(**kwargs)
        if self.trust is not None:
            data["trust"] = self.trust.name
        if self.signatures is not None:
            data["signatures"] = self.signatures
        if self.tracing_policy in ("refuse", "suppress"):
            data["tracing_policy"] = self.tracing_policy
        return data

    def __getstate__(self) -> dict[str, Any]:
        # Of a copy: core deletes from the state what it cannot pickle, and the state
        # is the live object's.
        bare = self.__copy__()
        bare.__dict__.update(dict.fromkeys(_NOT_PICKLED))
        object.__setattr__(bare, "__pydantic_private__", None)
        state = super(AtomaConnection, bare).__getstate__()
        if self.trust is not None and "trust" not in state["__dict__"]:
            # Core leaves out what cannot be pickled: it would accept any key then.
            raise InvalidInputError("The model's trust policy cannot be pickled.")
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Without the checks of our `__init__`: a key may be set later. Core would take
        # a failure for a reason to leave the object half made.
        super().__init__(**state["__dict__"])

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        twin = self.__copy__()
        for name, value in self.__dict__.items():
            if name not in _SHARED:
                twin.__dict__[name] = copy.deepcopy(value, memo)
        return twin

    if TYPE_CHECKING:

        @property
        def _engine_model(self) -> str: ...

    def _guard(self) -> bool:
        manager = getattr(self, "callback_manager", None)
        return guard(self.tracing_policy, getattr(manager, "handlers", ()))

    def _clients(self) -> Clients:
        self._made = Clients.of(
            self._settings(),
            http_client=self.http_client,
            async_http_client=self.async_http_client,
            known=self._made,
        )
        return self._made

    def _settings(self) -> ClientSettings:
        return {
            "api_key": self.api_key,
            "base_url": self.base_url,
            "confidential": self.confidential,
            "trust": self.trust,
            "attestation_url": self.attestation_url,
            "signatures": self.signatures,
            "max_retries": self.max_retries,
            "timeout": self.timeout,
            "max_reply_bytes": self.max_reply_bytes,
        }
