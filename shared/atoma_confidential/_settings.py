"""What both clients are configured with, checked once and before anything is sent."""

from __future__ import annotations

import logging
import os
import time
from typing import TypedDict, Unpack, get_args

from ._http import Limits
from ._observed import Operation
from ._session import Session
from ._watch import Watch, watch
from .attestation import TrustPolicy
from .credentials import (
    resolve_api_key,
    resolve_attestation_url,
    resolve_base_url,
)
from .errors import InvalidInputError
from .parameters import SignatureMode, StreamMode
from .retry import RetryPolicy

__all__ = ["ClientSettings", "Connection", "connection_of"]

_logger = logging.getLogger("atoma_confidential")


class ClientSettings(TypedDict, total=False):
    """The settings of `Client` and `AsyncClient`.

    Attributes:
        api_key: By default `ATOMA_API_KEY`, then `ATOMASDK_BEARER_AUTH`.
        base_url: By default `ATOMA_BASE_URL`, then `ATOMA_API_BASE`, then the public
            network; https, or http on this machine.
        confidential: False uses the plain endpoints, where everything travels in clear.
        stream_mode: `auto` streams live only toward a node that has shown fresh nonces;
            `buffered` never does; `live` always does and warns.
        trust: Which node keys may be sealed to.
        attestation_url: Where the nodes' attestation records are: by default
            `ATOMA_ATTESTATION_URL`, then the public network's place if `base_url` is
            the public network's. The API key is never sent there.
        signatures: Which signatures of nodes are checked: `whole` those of whole
            answers, `all` also that of each event of a stream, `off` none. By default
            `whole`, and `all` if the policy knows signers, where nothing else is taken.
        lock_ahead: Whether the lock for a further chat request is taken while one is
            being answered: for requests one after another over a slow line. The last
            one waits in vain; what that costs is in docs/langchain.md.
        max_retries: Repetitions where the network is busy; 0 turns all repetitions off.
        timeout: Seconds for an answer, and of silence in a stream.
        stream_idle_timeout: Seconds between two events of a stream.
        max_reply_bytes: Size of a whole answer as it travels; by default 64 MiB.
    """

    api_key: str | None
    base_url: str | None
    confidential: bool
    stream_mode: StreamMode
    trust: TrustPolicy | None
    attestation_url: str | None
    signatures: SignatureMode | None
    lock_ahead: bool
    max_retries: int
    timeout: float | None
    stream_idle_timeout: float
    max_reply_bytes: int | None


class Connection:
    """A client's session, base URL and limits; shows no key."""

    def __init__(self, session: Session, base_url: str, limits: Limits) -> None:
        self.session = session
        self.base_url = base_url
        self.limits = limits

    def watch(
        self, operation: Operation, model: str = "", *, stream: bool = False
    ) -> Watch:
        """Return what a call is to tell what it does, and leave at its end."""
        return watch(self.base_url, operation, model, stream=stream)


def connection_of(**settings: Unpack[ClientSettings]) -> Connection:
    """Return the checked settings.

    Raises:
        InvalidInputError: One of them cannot be used.
        TypeError: One of them does not exist.
    """
    if unknown := sorted(settings.keys() - ClientSettings.__annotations__.keys()):
        raise TypeError(f"Not settings of a client: {', '.join(unknown)}.")
    mode = settings.get("stream_mode", "auto")
    if mode not in get_args(StreamMode):
        raise InvalidInputError("stream_mode is 'auto', 'live' or 'buffered'.")
    trust = settings.get("trust")
    if trust is None:
        trust = TrustPolicy.proxy_asserted()
    elif not isinstance(trust, TrustPolicy):
        raise InvalidInputError("trust is a TrustPolicy.")
    confidential = _switch(settings.get("confidential", True), "confidential")
    base_url = resolve_base_url(settings.get("base_url"))
    session = Session(
        api_key=resolve_api_key(settings.get("api_key")),
        now=time.time,
        confidential=confidential,
        stream_mode=mode,
        trust=trust,
        attestation_url=resolve_attestation_url(
            settings.get("attestation_url"), base_url=base_url
        ),
        signatures=_signatures(settings.get("signatures"), trust),
        retry=RetryPolicy(settings.get("max_retries", 2)),
        process=os.getpid,
        lock_ahead=_switch(settings.get("lock_ahead", False), "lock_ahead"),
    )
    limits = Limits.of(
        timeout=settings.get("timeout"),
        idle=settings.get("stream_idle_timeout", Limits().idle),
        reply_bytes=settings.get("max_reply_bytes"),
    )
    if not confidential:
        _logger.warning("confidential=False: requests and answers travel in clear.")
    return Connection(session, base_url, limits)


def _switch(given: object, name: str) -> bool:
    if not isinstance(given, bool):
        raise InvalidInputError(f"{name} is True or False.")
    return given


def _signatures(given: SignatureMode | None, trust: TrustPolicy) -> SignatureMode:
    """Return which are checked: no fewer than the policy needs."""
    if given not in (None, "off", "whole", "all"):
        raise InvalidInputError("signatures is 'off', 'whole' or 'all'.")
    if not trust.knows_signers:
        return given or "whole"
    if given in ("off", "whole"):
        raise InvalidInputError(
            f"signatures={given!r} would accept answers that the policy {trust.name} "
            "never saw the signer of: leave it out, or pass 'all'."
        )
    return "all"
