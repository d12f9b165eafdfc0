"""What chat and embeddings have in common: how they reach the network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from langchain_core.utils.utils import from_env, secret_from_env
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    SecretStr,
    ValidationError,
    model_validator,
)

from atoma_confidential.attestation import TrustPolicy
from atoma_confidential.clients import Clients
from atoma_confidential.credentials import (
    API_KEY_VARIABLES,
    BASE_URL_VARIABLES,
    default_tracing_policy,
)
from atoma_confidential.parameters import SignatureMode, check_model, misfit

from ._errors import invalid_input, model_errors
from ._tracing import TracingPolicy, guard

if TYPE_CHECKING:
    from atoma_confidential import ClientSettings

__all__ = ["AtomaConnection"]

_key_from_env = secret_from_env(API_KEY_VARIABLES, default=None)
_WRITTEN = "_serialized"
"""Where core keeps what a chat model was written as; copies may have other fields."""


class AtomaConnection(BaseModel):
    """How a model reaches the Atoma network.

    A pickled model holds neither key nor connections: the key is read from the
    environment again, where the model is loaded.

    Raises:
        MissingCredentialsError: There is no API key.
        InvalidInputError: A setting cannot be used.
        PlaintextEgressError: `tracing_policy` is `refuse`, and LangChain would write
            plaintext elsewhere.
    """

    model_config = ConfigDict(
        arbitrary_types_allowed=True,
        defer_build=True,  # nobody validates a base class; building one takes 10 ms
        hide_input_in_errors=True,  # an input may be the key
        populate_by_name=True,
        protected_namespaces=(),
    )

    atoma_api_key: SecretStr | None = Field(
        default_factory=_key_from_env, alias="api_key"
    )
    """By default `ATOMA_API_KEY`, then `ATOMASDK_BEARER_AUTH`."""

    atoma_api_base: str | None = Field(
        default_factory=from_env(BASE_URL_VARIABLES, default=None), alias="base_url"
    )
    """By default `ATOMA_BASE_URL`, then `ATOMA_API_BASE`, then the public network."""

    confidential: bool = True
    """False sends everything in clear, to the plain endpoints."""

    trust: TrustPolicy | None = Field(default=None, exclude=True, repr=False)
    """Which node keys may be sealed to; a chat model that has one is not serialised."""

    attestation_url: str | None = None
    """By default `ATOMA_ATTESTATION_URL`, then the public network's place."""

    signatures: SignatureMode | None = None
    """Which signatures of nodes are checked: none, those of whole answers, or of each
    event of a stream as well. By default `whole`, or `all` if `trust` knows signers."""

    max_retries: int = 2
    """Repetitions where the network is busy; 0 turns all repetitions off."""

    request_timeout: float | None = Field(default=None, alias="timeout")
    """Seconds for an answer, and of silence in a stream."""

    max_reply_bytes: int | None = None
    """Size of a whole answer as it travels; by default 64 MiB."""

    tracing_policy: TracingPolicy = Field(
        default_factory=default_tracing_policy, validate_default=True
    )
    """What to do where LangChain would write plaintext: to LangSmith, to a shared cache
    of answers, to the console. `suppress` keeps the model's own runs from LangSmith."""

    http_client: Any = Field(default=None, exclude=True, repr=False)
    """An `httpx.Client` that makes the connections; closing it stays with you."""

    http_async_client: Any = Field(default=None, exclude=True, repr=False)
    """An `httpx.AsyncClient`, likewise."""

    clients: Clients | None = Field(default=None, exclude=True, repr=False)
    """Internal: carried along by copies and by `configurable_fields`."""

    def __init__(self, **fields: Any) -> None:
        told = ""
        try:
            super().__init__(**fields)
        except ValidationError as error:
            told = misfit(error.title, error.errors(include_input=False))
        if told:  # not within `except`: the error's context would hold the inputs
            raise invalid_input(told)
        # Not in a validator: pydantic would wrap these errors in one of its own.
        with model_errors():
            check_model(self._engine_model)
        self._guard()
        self._clients()

    @model_validator(mode="wrap")  # "before" is too late where there is an __init__
    @classmethod
    def _hide_key(cls, values: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Hide the key from the errors of `model_validate`, which hold their input."""
        if isinstance(values, dict):
            keys = ((name, values.get(name)) for name in ("api_key", "atoma_api_key"))
            hidden = {name: SecretStr(key) for name, key in keys if type(key) is str}
            values = values | hidden
        return handler(values)

    def __getstate__(self) -> dict[Any, Any]:
        state = super().__getstate__()
        left_out = dict.fromkeys(
            ("atoma_api_key", "clients", "http_client", "http_async_client")
        )
        kept = {k: v for k, v in state["__dict__"].items() if k != _WRITTEN}
        return {**state, "__dict__": kept | left_out}

    def __setstate__(self, state: dict[Any, Any]) -> None:
        super().__setstate__(state)
        self.atoma_api_key = _key_from_env()

    def __copy__(self) -> Any:
        copied = super().__copy__()
        copied.__dict__.pop(_WRITTEN, None)
        return copied

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Any:
        # Clients hold locks, which cannot be copied, and are safe to share.
        shared = (self.clients, self.http_client, self.http_async_client)
        memo = {} if memo is None else memo
        memo.update({id(one): one for one in shared if one is not None})
        copied = super().__deepcopy__(memo)
        copied.__dict__.pop(_WRITTEN, None)
        return copied

    if TYPE_CHECKING:

        @property
        def _engine_model(self) -> str: ...

    def _guard(self) -> None:
        guard(self.tracing_policy)

    def _clients(self) -> Clients:
        with model_errors():
            self.clients = Clients.of(
                self._settings(),
                http_client=self.http_client,
                async_http_client=self.http_async_client,
                known=self.clients,
            )
        return self.clients

    def _settings(self) -> ClientSettings:
        key = self.atoma_api_key
        return {
            "api_key": None if key is None else key.get_secret_value(),
            "base_url": self.atoma_api_base,
            "confidential": self.confidential,
            "trust": self.trust,
            "attestation_url": self.attestation_url,
            "signatures": self.signatures,
            "max_retries": self.max_retries,
            "timeout": self.request_timeout,
            "max_reply_bytes": self.max_reply_bytes,
        }
