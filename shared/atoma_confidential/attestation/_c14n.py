"""Canonical XML 1.1 of a whole document, for documents that need little of XML.

What the files read here have no use for is refused rather than handled: document
types, and with them entities; comments and processing instructions, which a signature
would not cover; declarations; `xml:` attributes; depth. Expat then has nothing left
to expand, and no two documents of one size class cost very differently.
"""

from __future__ import annotations

import re
from typing import NoReturn
from xml.parsers import expat

from atoma_confidential.errors import EvidenceFormatError

__all__ = ["canonicalize", "elements"]

_MAX_DEPTH = 16
_IN_TEXT = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#xD;"})
_IN_VALUE = str.maketrans(
    {"&": "&amp;", "<": "&lt;", '"': "&quot;"}
    | {"\t": "&#x9;", "\n": "&#xA;", "\r": "&#xD;"}
)
_QUALIFIED = re.compile(r"[^:]+(:[^:]+)?").fullmatch
_Attributes = list[str]  # names and values in turn, as expat gives them


def canonicalize(document: bytes) -> bytes:
    """Return the canonical form of a UTF-8 document (Canonical XML 1.1, section 2).

    Raises:
        EvidenceFormatError: It is not well-formed, or needs more of XML.
    """
    writer = _Writer()
    parser = _strict_parser()
    parser.StartElementHandler = writer.start
    parser.EndElementHandler = writer.end
    parser.CharacterDataHandler = writer.text
    _feed(parser, document)
    return "".join(writer.parts).encode()


def elements(document: bytes) -> list[tuple[str, dict[str, str]]]:
    """Return names and attributes of all elements, in the document's order.

    Names keep their prefixes: what those stand for is for whoever signed.
    """
    found: list[tuple[str, dict[str, str]]] = []

    def start(name: str, attributes: _Attributes) -> None:
        found.append((name, dict(_pairs(attributes))))

    parser = _strict_parser()
    parser.StartElementHandler = start
    _feed(parser, document)
    return found


class _Writer:
    """Writes what the parser reports."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self._scopes: list[dict[str, str]] = [{"": ""}]  # prefix to namespace

    def start(self, name: str, attributes: _Attributes) -> None:
        if len(self._scopes) > _MAX_DEPTH:
            raise _broken()
        # Expat reads without namespaces, so it allows colons anywhere.
        if not all(map(_QUALIFIED, [name, *attributes[::2]])):
            raise _broken()
        outer = self._scopes[-1]
        declared, plain = {}, []
        for key, value in _pairs(attributes):
            head, colon, tail = key.partition(":")
            if head == "xmlns":
                declared[tail] = value
            else:
                plain.append((head if colon else "", tail or head, value))
        # A prefix cannot be undeclared, and that of XML itself has its own meaning.
        if "xml" in declared or any(p and not uri for p, uri in declared.items()):
            raise _broken()
        scope = outer | declared
        self._scopes.append(scope)
        _namespace(scope, name.partition(":")[0] if ":" in name else "")
        self.parts.append(f"<{name}")
        for prefix, uri in sorted(declared.items()):
            if outer.get(prefix) != uri:
                self._attribute(f"xmlns:{prefix}" if prefix else "xmlns", uri)
        keyed = {
            (_namespace(scope, prefix) if prefix else "", local): (prefix, value)
            for prefix, local, value in plain
        }
        if len(keyed) < len(plain):
            raise _broken()  # one attribute under two prefixes
        for (_, local), (prefix, value) in sorted(keyed.items()):
            self._attribute(f"{prefix}:{local}" if prefix else local, value)
        self.parts.append(">")

    def end(self, name: str) -> None:
        self._scopes.pop()
        self.parts.append(f"</{name}>")

    def text(self, data: str) -> None:
        self.parts.append(data.translate(_IN_TEXT))

    def _attribute(self, name: str, value: str) -> None:
        self.parts.append(f' {name}="{value.translate(_IN_VALUE)}"')


def _strict_parser() -> expat.XMLParserType:
    parser = expat.ParserCreate("utf-8")
    parser.ordered_attributes = True
    parser.XmlDeclHandler = _refuse
    parser.StartDoctypeDeclHandler = _refuse
    parser.CommentHandler = _refuse
    parser.ProcessingInstructionHandler = _refuse
    parser.StartCdataSectionHandler = _refuse
    return parser


def _feed(parser: expat.XMLParserType, document: bytes) -> None:
    try:
        parser.Parse(document, True)  # noqa: FBT003 - it takes no names
    except expat.ExpatError:
        pass
    else:
        return
    raise _broken()


def _pairs(attributes: _Attributes) -> zip[tuple[str, str]]:
    return zip(attributes[::2], attributes[1::2], strict=True)


def _namespace(scope: dict[str, str], prefix: str) -> str:
    if prefix not in scope:
        raise _broken()
    return scope[prefix]


def _refuse(*_: object) -> NoReturn:
    raise _broken()


def _broken() -> EvidenceFormatError:
    return EvidenceFormatError("The reference values are not the XML that is expected.")
