"""Pins as bytes and back: JSON with a version, and nothing in it that is not known."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import Any, NoReturn, TypeVar

from .._json import once_each
from ..errors import PinFileError
from .pins import LoggedKey, NodePins, Pin, Pins, Seen, SeenKey, SeenSigner

__all__ = [
    "MAX_BYTES",
    "dump_key",
    "dump_pins",
    "is_address",
    "parse_key_log",
    "parse_pins",
]

MAX_BYTES = 4 << 20
"""Thousands of nodes; a file that is larger is not one of ours."""

_VERSION = 1
_ADDRESS = re.compile(r"0x[0-9a-f]{64}")
_FINGERPRINT = re.compile(r"[0-9a-f]{16}")
_CHIP = re.compile(r"[!-~]{1,64}")
_MAX_CHIPS = 64
_MAX_NODE = 2**64 - 1
_MAX_TIME = 253_402_300_799  # the last second of the year 9999, which has a date

T = TypeVar("T")


class _Wrong(Exception):  # noqa: N818 - it never leaves this module
    """What is wrong, in words of ours."""


def dump_pins(pins: Pins) -> bytes:
    """Return the document of these pins.

    Raises:
        PinFileError: It could not be read back: it is too large, or holds a name that
            is none. Better now than at the next start.
    """
    nodes = [_node_out(pins.nodes[node]) for node in sorted(pins.nodes)]
    document = {"version": _VERSION, "nodes": nodes}
    data = json.dumps(document, indent=1).encode() + b"\n"
    parse_pins(data, "what was to be pinned")
    return data


def parse_pins(data: bytes, what: str) -> Pins:
    """Return the pins in a document; `what` names it in errors.

    Raises:
        PinFileError: The document breaks its format or a limit, or is not whole.
    """
    return _reading(what, _pins_in, data)


def dump_key(key: LoggedKey) -> bytes:
    """Return a line of the log."""
    fields = {"at": key.at, "node": key.node, "key": key.fingerprint}
    return json.dumps(fields).encode() + b"\n"


def parse_key_log(data: bytes, what: str) -> tuple[LoggedKey, ...]:
    """Return the keys in a log; `what` names it in errors.

    What follows the last line break is a line that was never finished, and its key
    was not accepted either.

    Raises:
        PinFileError: A line is none of ours.
    """
    lines = data.split(b"\n")[:-1]
    return tuple(
        _reading(f"line {number} of {what}", _key_in, line)
        for number, line in enumerate(lines, start=1)
    )


def is_address(text: str) -> bool:
    """Tell whether this is a Sui address as `Signer.address` has it."""
    return _ADDRESS.fullmatch(text) is not None


def _reading(what: str, parse: Callable[[bytes], T], data: bytes) -> T:
    try:
        return parse(data)
    except _Wrong as error:
        why = str(error)
    # Outside, for the parser's errors hold what they failed on.
    raise PinFileError(f"Cannot use {what}: {why}.")


def _pins_in(data: bytes) -> Pins:
    if len(data) > MAX_BYTES:
        raise _Wrong(f"it is larger than {MAX_BYTES >> 20} MiB")
    if not data.endswith(b"}\n"):
        raise _Wrong("it is not whole")
    document = _load(data)
    version = document.get("version") if isinstance(document, dict) else None
    if type(version) is not int or version != _VERSION:
        raise _Wrong(f"it is not of version {_VERSION}")
    document = _members(document, "it", ("version", "nodes"))
    pins: dict[int, NodePins] = {}
    for value in _list(document["nodes"], "nodes"):
        node = _node_in(value)
        if pins.setdefault(node.node, node) is not node:
            raise _Wrong(f"node {node.node} stands there twice")
    return Pins(pins)


def _load(data: bytes) -> object:
    try:
        return _DECODER.decode(data.decode())
    except (ValueError, RecursionError):
        raise _Wrong("it is not JSON, or names a member twice") from None


def _node_out(pins: NodePins) -> dict[str, Any]:
    chips, refused = pins.chips, pins.refused
    members = {
        "node": pins.node,
        "key": pins.key and _pin_out(pins.key, pins.key.value),
        "chips": chips and _pin_out(chips, sorted(chips.value)),
        "signer": pins.signer and _pin_out(pins.signer, pins.signer.value),
        "refused": refused and _pin_out(refused, _seen_out(refused.value)),
    }
    return {name: value for name, value in members.items() if value is not None}


def _node_in(value: object) -> NodePins:
    members = _members(value, "a node", ("node",), tuple(_PINS))
    pins = {name: _pin_in(members, name) for name in members.keys() & _PINS.keys()}
    return NodePins(_number(members["node"], "a node's number", _MAX_NODE), **pins)


def _pin_out(pin: Pin[Any], value: object) -> dict[str, object]:
    return {"value": value, "since": pin.since}


def _pin_in(members: dict[str, Any], name: str) -> Pin[Any]:
    pin = _members(members[name], f"a {name}", ("value", "since"))
    return Pin(_PINS[name](pin["value"]), _time(pin["since"]))


def _seen_out(seen: Seen) -> dict[str, object]:
    if isinstance(seen, SeenSigner):
        return {"signer": seen.address}
    return {"key": seen.fingerprint, "chips": sorted(seen.chips)}


def _seen_in(value: object) -> Seen:
    if isinstance(value, dict) and "signer" in value:
        _members(value, "what was refused", ("signer",))
        return SeenSigner(_signer_in(value["signer"]))
    members = _members(value, "what was refused", ("key", "chips"))
    return SeenKey(_fingerprint_in(members["key"]), _chips_in(members["chips"]))


def _pinned_chips_in(value: object) -> frozenset[str]:
    chips = _chips_in(value)
    if not chips:
        raise _Wrong("a node's chips are none")
    return chips


def _chips_in(value: object) -> frozenset[str]:
    names = _list(value, "chips")
    chips = frozenset(_text(name, "a chip", _CHIP) for name in names)
    if len(chips) != len(names) or len(chips) > _MAX_CHIPS:
        raise _Wrong("a chip stands there twice, or there are too many")
    return chips


def _fingerprint_in(value: object) -> str:
    return _text(value, "a key", _FINGERPRINT)


def _signer_in(value: object) -> str:
    return _text(value, "a signer", _ADDRESS)


_PINS: dict[str, Callable[[object], Any]] = {
    "key": _fingerprint_in,
    "chips": _pinned_chips_in,
    "signer": _signer_in,
    "refused": _seen_in,
}


def _key_in(line: bytes) -> LoggedKey:
    members = _members(_load(line), "it", ("at", "node", "key"))
    return LoggedKey(
        at=_time(members["at"]),
        node=_number(members["node"], "its node", _MAX_NODE),
        fingerprint=_fingerprint_in(members["key"]),
    )


def _members(
    value: object, what: str, names: Iterable[str], optional: Iterable[str] = ()
) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _Wrong(f"{what} is not an object")
    if not {*names} <= value.keys() <= {*names, *optional}:
        raise _Wrong(f"{what} lacks a member, or has one that is not known")
    return value


def _list(value: object, what: str) -> list[object]:
    if not isinstance(value, list):
        raise _Wrong(f"{what} is not a list")
    return value


def _time(value: object) -> int:
    return _number(value, "a time", _MAX_TIME)


def _number(value: object, what: str, largest: int) -> int:
    if type(value) is not int or not 0 <= value <= largest:
        raise _Wrong(f"{what} is not a whole number in its range")
    return value


def _text(value: object, what: str, form: re.Pattern[str]) -> str:
    if not isinstance(value, str) or not form.fullmatch(value):
        raise _Wrong(f"{what} is not written as one")
    return value


def _refuse(_text: str) -> NoReturn:
    raise ValueError


_DECODER = json.JSONDecoder(
    object_pairs_hook=once_each, parse_constant=_refuse, parse_float=_refuse
)
