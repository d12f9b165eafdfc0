"""A local Atoma on a real port: as a context manager, or until interrupted."""

from __future__ import annotations

import contextlib
import secrets
import sys
import time
from typing import TYPE_CHECKING, Self

from ._threaded import Server, ThreadedServer, listen, url_of
from .app import build_app
from .backend import BuiltInBackend, Engine
from .fault_relay import FaultRelay
from .faults import Faults
from .node import Node
from .proxy import Proxy
from .serving import Serving
from .stacks import StackBook

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from types import TracebackType

    from .backend import Backend
    from .proxy import Exchange
    from .serving import NonceMode, Opened
    from .stacks import Stack

__all__ = ["LocalAtoma", "serve"]

NOT_A_TEE = (
    "Local Atoma: proxy and node in this one process, which can read every prompt.\n"
    "It is for development and tests. It is not a TEE and protects nothing."
)


class LocalAtoma:
    """The Atoma network on loopback: proxy, one node and an engine.

    Args:
        nonces: whether a stream's events have fresh nonces, or one for all as
            upstream does (protocol section 7.4).
        backend: the engine; the built-in one where absent.
        faults: misbehaviour in force; may be changed at run time.
        host: interface to listen on.
        port: TCP port; 0 for any free one.
        tokens: API tokens accepted besides `api_key`.
        api_key: the token to hand to clients; random where absent.
        strict: refuse bodies whose length upstream would get wrong.
        stack_size: units in a bought stack.
        owns_stack: whether the account starts with a stack for each model.
        evidence: compressed evidence for the attestation record; 404 where absent.
        node: key material, for tests that need it fixed.
        clock: what locks expire by, for tests that cannot wait.
        wiretap: put a `FaultRelay` in front; `base_url` is then the relay's.
    """

    def __init__(
        self,
        *,
        nonces: NonceMode = "fresh",
        backend: Backend | None = None,
        faults: Faults | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        tokens: Collection[str] = ("atoma-local",),
        api_key: str | None = None,
        strict: bool = True,
        stack_size: int = 1_000_000,
        owns_stack: bool = True,
        evidence: bytes | None = None,
        node: Node | None = None,
        clock: Callable[[], float] = time.monotonic,
        wiretap: bool = False,
    ) -> None:
        self._api_key = api_key or f"atoma-local-{secrets.token_hex(16)}"
        self._serving = Serving(
            node or Node(),
            Engine(backend or BuiltInBackend()),
            Faults() if faults is None else faults,
            nonces,
        )
        self._proxy = Proxy(
            self._serving,
            {self._api_key, *tokens},
            StackBook(size=stack_size, owned=owns_stack),
            strict=strict,
            evidence=evidence,
            clock=clock,
        )
        self._address = (host, port)
        self._wiretap = wiretap
        self._tap: FaultRelay | None = None
        self._server: ThreadedServer | None = None

    def __enter__(self) -> Self:
        self._server = ThreadedServer(build_app(self._proxy), self._address)
        self._server.start()
        if self._wiretap:
            self._tap = FaultRelay(self._server.url)
            self._tap.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._tap is not None:
            self._tap.__exit__(kind, error, trace)
        if self._server is not None:
            self._server.stop()

    @property
    def base_url(self) -> str:
        """Where clients connect, for example `http://127.0.0.1:41234`."""
        if self._tap is not None:
            return self._tap.base_url
        if self._server is None:
            raise RuntimeError("LocalAtoma has no address before it is entered")
        return self._server.url

    @property
    def api_key(self) -> str:
        """The token to hand to clients."""
        return self._api_key

    @api_key.setter
    def api_key(self, token: str) -> None:
        self._proxy.tokens -= {self._api_key}
        self._proxy.tokens |= {token}
        self._api_key = token

    @property
    def tap(self) -> FaultRelay:
        """The wiretap in front of it, if it was asked for; it has faults of its own."""
        if self._tap is None:
            raise RuntimeError("LocalAtoma was started without wiretap=True")
        return self._tap

    @property
    def faults(self) -> Faults:
        """The faults in force."""
        return self._serving.faults

    @property
    def node(self) -> Node:
        """The node, with its keys and its Sui address."""
        return self._serving.node

    @property
    def node_public_key(self) -> bytes:
        """The node's X25519 public key of now."""
        return self._serving.node.public_key

    @property
    def nonces(self) -> NonceMode:
        """How streams are sealed; may be set while it runs."""
        return self._serving.nonces

    @nonces.setter
    def nonces(self, mode: NonceMode) -> None:
        self._serving.nonces = mode

    @property
    def evidence(self) -> bytes | None:
        """What the node's attestation record holds; may be set while it runs."""
        return self._proxy.evidence

    @evidence.setter
    def evidence(self, compressed: bytes | None) -> None:
        self._proxy.evidence = compressed

    @property
    def opened(self) -> list[Opened]:
        """Plaintext bodies the node saw, in order, of plain requests too."""
        return self._serving.opened

    @property
    def exchanges(self) -> list[Exchange]:
        """Requests as they reached the proxy, in order."""
        return self._proxy.exchanges

    @property
    def violations(self) -> list[str]:
        """What strict mode found wrong, in words."""
        return self._proxy.violations

    @property
    def stacks(self) -> list[Stack]:
        """Every stack, with what is used and what is reserved."""
        return list(self._proxy.stacks.stacks.values())

    @property
    def purchases(self) -> int:
        """How many stacks locks have bought."""
        return self._proxy.stacks.purchases

    def rotate_key(self) -> None:
        """Give the node a new key, as a restart does; locks hand it out at once."""
        self._serving.node.rotate()


def serve(host: str = "127.0.0.1", port: int = 8080, *, atoma: LocalAtoma) -> None:
    """Serve until interrupted, after printing what a client needs to connect.

    The two lines on standard output can be put into an environment as they are; the
    warning that this is no TEE goes to standard error.
    """
    with listen((host, port)) as listener:
        sys.stderr.write(f"{NOT_A_TEE}\n")
        sys.stdout.write(f"ATOMA_BASE_URL={url_of(listener)}\n")
        sys.stdout.write(f"ATOMA_API_KEY={atoma.api_key}\n")
        sys.stdout.flush()
        server = Server(build_app(atoma._proxy))  # noqa: SLF001  (same module)
        with contextlib.suppress(KeyboardInterrupt):
            server.run(sockets=[listener])
