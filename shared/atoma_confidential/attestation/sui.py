"""Reading the contract: its nonce, and which key a node has committed to.

Request builders and parsers for Sui's JSON-RPC; the node that answers is whoever the
user configured, and is believed. Names of fields and events, with their spelling, are
those of the contract (protocol 10.1); which package and object are the network's is
not published in one place, so that both are configuration.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from atoma_confidential._json import dump
from atoma_confidential.errors import (
    EvidenceFormatError,
    EvidenceUnavailableError,
    InvalidInputError,
)

from ._document import byte_array, check_address, host_of, json_object
from .policy import Fetch, Fetched

__all__ = ["Commitment", "Rotation", "SuiContract", "read_commitment", "read_rotation"]

_T = TypeVar("_T")
Reading = Generator[Fetch, Fetched, _T]

_OK = 200
_GPU_SUBMISSION = 300
_EVENTS_PER_PAGE = 8  # of up to 16 KB of evidence, as numbers and again in base64
_MAX_PAGES = 32
_ROTATION = "NewKeyRotationEvent"
_COMMITMENT = "NodePublicKeyCommittmentEvent"


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiContract:
    """Where a policy reads the contract.

    Attributes:
        rpc_url: A Sui JSON-RPC endpoint that you trust; not shown, since providers
            put keys into it.
        atoma_db: Id of the `AtomaDb` object, which holds the nonce. Where it is not
            given, the latest rotation event says the nonce.
        package: Id of the package that defines the events. Where it is given, key
            and evidence are taken from the node's own commitment.

    Raises:
        InvalidInputError: The URL is neither https nor on this machine, an id is
            none, or both are missing.
    """

    rpc_url: str = field(repr=False)
    atoma_db: str | None = None
    package: str | None = None

    @property
    def host(self) -> str:
        """The host of the endpoint, without what a provider may put behind it."""
        return host_of(self.rpc_url)

    def __post_init__(self) -> None:
        check_address(self.rpc_url, "rpc_url")
        if self.atoma_db is None and self.package is None:
            raise InvalidInputError("SuiContract needs atoma_db, package, or both.")
        for name in ("atoma_db", "package"):
            value = getattr(self, name)
            if value is not None:
                # Frozen: the one form that ids are compared in replaces what was given.
                object.__setattr__(self, name, _address(value, name))


@dataclass(frozen=True, slots=True)
class Rotation:
    """The rotation of keys that the network is in."""

    counter: int
    nonce: int


@dataclass(frozen=True, slots=True, repr=False)
class Commitment:
    """What a node last committed to on chain."""

    counter: int
    public_key: bytes
    evidence: bytes


def read_rotation(contract: SuiContract) -> Reading[Rotation]:
    """Read the contract's nonce.

    Raises:
        EvidenceUnavailableError: The endpoint refuses, or knows no such contract.
        EvidenceFormatError: It answers off its format, or about something else.
    """
    if contract.atoma_db is not None:
        fields = yield from _object(contract.rpc_url, contract.atoma_db)
        return _rotation(fields)
    events, _ = yield from _page(contract, _ROTATION, cursor=None, limit=1)
    for fields in events:
        return _rotation(fields)
    raise EvidenceUnavailableError("The contract has not announced a nonce yet.")


def read_commitment(contract: SuiContract, node: int) -> Reading[Commitment]:
    """Read the key and the evidence that a node last committed to.

    Its latest event decides, and not the node's entry in the contract, which a later
    commitment in the same rotation does not change (protocol 10.1).

    Raises:
        EvidenceUnavailableError: The endpoint refuses, or none was found among the
            latest commitments of the network, or it is not about GPUs.
        EvidenceFormatError: It answers off its format.
    """
    cursor = None
    for _ in range(_MAX_PAGES):
        events, cursor = yield from _page(
            contract, _COMMITMENT, cursor=cursor, limit=_EVENTS_PER_PAGE
        )
        for fields in events:
            if _unsigned(_member(fields, "node_id"), "inner") == node:
                return _commitment(fields)
        if cursor is None:
            break
    raise EvidenceUnavailableError("It has not committed to a key on chain lately.")


def _object(url: str, object_id: str) -> Reading[dict[str, Any]]:
    result = yield from _call(url, "sui_getObject", object_id, {"showContent": True})
    match result:
        case {"error": _}:
            raise EvidenceUnavailableError("There is no such AtomaDb object.")
        case {
            "data": {
                "objectId": str(found),
                "content": {
                    "dataType": "moveObject",
                    "type": str(kind),
                    "fields": dict(fields),
                },
            }
        } if _is_same(found, object_id) and kind.endswith("::db::AtomaDb"):
            return fields
    raise EvidenceFormatError("The Sui endpoint did not answer with the AtomaDb.")


def _page(
    contract: SuiContract, name: str, *, cursor: object, limit: int
) -> Reading[tuple[list[dict[str, Any]], object]]:
    """Return the fields of some events, latest first, and where to go on."""
    kind = f"{contract.package}::db::{name}"
    result = yield from _call(
        contract.rpc_url,
        "suix_queryEvents",
        {"MoveEventType": kind},
        cursor,
        limit,
        True,  # noqa: FBT003 - descending; the parameters of the call have no names
    )
    match result:
        case {"data": list(events), "hasNextPage": bool(more)} if len(events) <= limit:
            following = result.get("nextCursor") if more and events else None
            return [*_events(events, kind)], following
    raise EvidenceFormatError("The Sui endpoint did not answer with events.")


def _events(events: list[Any], kind: str) -> Iterator[dict[str, Any]]:
    address, _, name = kind.partition("::")
    for event in events:
        match event:
            case {"type": str(found), "parsedJson": dict(fields)}:
                package, _, rest = found.partition("::")
                if _is_same(package, address) and rest == name:
                    yield fields
                    continue
        raise EvidenceFormatError("The Sui endpoint answered with another event.")


def _call(url: str, method: str, *params: object) -> Reading[dict[str, Any]]:
    call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    answer = yield Fetch(url, dump(call))
    if answer.status != _OK:
        raise EvidenceUnavailableError(f"The Sui endpoint answered {answer.status}.")
    match json_object(answer.body, "The answer of the Sui endpoint"):
        case {"jsonrpc": "2.0", "id": 1, "result": dict(result), **rest} if (
            "error" not in rest
        ):
            return result
        case {"jsonrpc": "2.0", "error": {"code": int(code)}}:
            raise EvidenceUnavailableError(f"The Sui endpoint refused ({code}).")
    raise EvidenceFormatError("The Sui endpoint does not speak JSON-RPC.")


def _rotation(fields: Mapping[str, Any]) -> Rotation:
    return Rotation(
        counter=_unsigned(fields, "key_rotation_counter"),
        nonce=_unsigned(fields, "nonce"),
    )


def _commitment(fields: Mapping[str, Any]) -> Commitment:
    public_key = byte_array(fields.get("new_public_key"))
    evidence = byte_array(fields.get("evidence_bytes"))
    if public_key is None or evidence is None:
        raise EvidenceFormatError("A commitment on chain has no key or no evidence.")
    if fields.get("device_type") != _GPU_SUBMISSION:
        raise EvidenceUnavailableError("It has committed to no evidence of GPUs.")
    counter = _unsigned(fields, "key_rotation_counter")
    return Commitment(counter, public_key, evidence)


def _member(fields: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = fields.get(name)
    return value if isinstance(value, dict) else {}


def _unsigned(fields: Mapping[str, Any], name: str) -> int:
    """Return a u64, which Sui writes as text."""
    text = fields.get(name)
    if isinstance(text, str) and re.fullmatch(r"0|[1-9]\d{0,19}", text, re.ASCII):
        value = int(text)
        if value < 1 << 64:
            return value
    raise EvidenceFormatError(f"The contract's {name} is not an unsigned number.")


def _address(text: object, what: str) -> str:
    """Return a Sui address in its full length and lower case."""
    if not isinstance(text, str) or not re.fullmatch(r"0x[0-9A-Fa-f]{1,64}", text):
        raise InvalidInputError(f"{what} is not a Sui id: 0x and up to 64 hex digits.")
    return f"0x{text[2:].lower():0>64}"


def _is_same(text: str, address: str) -> bool:
    return bool(re.fullmatch(r"0x[0-9A-Fa-f]{1,64}", text)) and (
        _address(text, "") == address
    )
