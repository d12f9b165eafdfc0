"""Where the API key comes from, which servers may be asked, and the tracing policy."""

from __future__ import annotations

import ipaddress
import os
import re
from typing import cast

import httpx

from .egress import TracingPolicy
from .errors import InvalidInputError, MissingCredentialsError

__all__ = [
    "API_KEY_VARIABLES",
    "ATTESTATION_URL_VARIABLES",
    "BASE_URL_VARIABLES",
    "DEFAULT_ATTESTATION_URL",
    "DEFAULT_BASE_URL",
    "TRACING_POLICY_VARIABLES",
    "check_url",
    "default_tracing_policy",
    "resolve_api_key",
    "resolve_attestation_url",
    "resolve_base_url",
]

API_KEY_VARIABLES = ("ATOMA_API_KEY", "ATOMASDK_BEARER_AUTH")
"""Read in this order; the second is the official SDK's."""

BASE_URL_VARIABLES = ("ATOMA_BASE_URL", "ATOMA_API_BASE")

DEFAULT_BASE_URL = "https://api.atoma.network"

ATTESTATION_URL_VARIABLES = ("ATOMA_ATTESTATION_URL",)

DEFAULT_ATTESTATION_URL = "https://credentials.atoma.network"
"""Where the public network keeps the nodes' attestation records (protocol 2.2)."""
TRACING_POLICY_VARIABLES = ("ATOMA_TRACING_POLICY",)


def resolve_api_key(api_key: str | None = None) -> str:
    """Return the key given, or else the one in the environment.

    Raises:
        MissingCredentialsError: There is none.
        InvalidInputError: It cannot be sent as a header; it is not shown.
    """
    key = api_key or _from_environment(API_KEY_VARIABLES)
    if not key:
        raise MissingCredentialsError("There is no API key.")
    if not re.fullmatch(r"[!-~]+", key):
        raise InvalidInputError("The API key holds a character that no API key has.")
    return key


def resolve_base_url(base_url: str | None = None) -> str:
    """Return the origin and path prefix that all requests go to, without `/v1`.

    Raises:
        InvalidInputError: It is not an https URL, nor http on this machine: over http
            anyone on the way could read the API key and replace the node's key.
    """
    text = base_url or _from_environment(BASE_URL_VARIABLES) or DEFAULT_BASE_URL
    return _origin(text, "base_url")


def resolve_attestation_url(
    attestation_url: str | None = None, *, base_url: str
) -> str:
    """Return where the nodes' attestation records are; empty where nobody says so.

    Only the public network's place is known: records of another network would be about
    other nodes.

    Raises:
        InvalidInputError: It is not an https URL, nor http on this machine.
    """
    text = attestation_url or _from_environment(ATTESTATION_URL_VARIABLES)
    if text:
        return _origin(text, "attestation_url")
    return DEFAULT_ATTESTATION_URL if base_url == DEFAULT_BASE_URL else ""


def check_url(text: str, name: str) -> httpx.URL:
    """Return a URL that may be asked for something.

    Raises:
        InvalidInputError: It is not an https URL, nor http on this machine.
    """
    url = _parsed(text)
    if url is None or url.scheme not in ("http", "https"):
        raise InvalidInputError(f"{name} is not an http or https URL.")
    if url.userinfo:
        raise InvalidInputError(f"{name} holds more than an origin and a path.")
    if url.scheme == "http" and not _is_loopback(url.host):
        raise InvalidInputError(f"{name} is http on another machine; use https.")
    return url


def _origin(text: str, name: str) -> str:
    """Return an origin and path prefix, without `/v1`."""
    url = check_url(text.strip(), name)
    if "?" in text or "#" in text:
        raise InvalidInputError(f"{name} holds more than an origin and a path.")
    return str(url).rstrip("/").removesuffix("/v1")


def default_tracing_policy() -> TracingPolicy:
    """Return what the environment says, and else `warn`.

    Whether there is such a policy, the fields of the plugins check.
    """
    policy = _from_environment(TRACING_POLICY_VARIABLES)
    return cast("TracingPolicy", policy or "warn")


def _parsed(text: str) -> httpx.URL | None:
    """Return a URL whose host a resolver can take; httpx is satisfied with less."""
    try:
        url = httpx.URL(text)
        url.host.encode("idna")
    except (httpx.InvalidURL, ValueError):
        return None
    return url if re.fullmatch(rb"[\w.:-]+", url.raw_host, re.ASCII) else None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _from_environment(names: tuple[str, ...]) -> str | None:
    return next(filter(None, map(os.environ.get, names)), None)
