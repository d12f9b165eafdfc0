"""Our errors as errors of an HTTP library or an SDK, too. Pure.

The OpenAI SDK 2.x repeats whatever a transport raises, and then hides it behind an
error of its own; what is an `OpenAIError` it lets through. For timeouts and connections
that failed HTTP libraries have classes of their own, which SDKs and programs know.
"""

from __future__ import annotations

import functools
import sys
from types import ModuleType
from typing import Any, cast

from . import errors
from .errors import ConfidentialError

__all__ = ["twin_of"]

_OF_LIBRARIES = (
    (errors.ReplyTimeoutError, "ReadTimeout"),
    (errors.ConnectionFailedError, "ConnectError"),
    (errors.ConnectionLostError, "ReadError"),
)


def twin_of(error: ConfidentialError, library: ModuleType) -> ConfidentialError:
    """Return an error as one of its own class that is also one of another family.

    That is the HTTP library's for timeouts and connections; for all others the OpenAI
    SDK's, where that has been imported.
    """
    for kind, name in _OF_LIBRARIES:
        if isinstance(error, kind):
            return _rebuilt(error, getattr(library, name))
    family = getattr(sys.modules.get("openai"), "OpenAIError", None)
    return error if family is None else _rebuilt(error, family)


def _rebuilt(error: ConfidentialError, family: type) -> ConfidentialError:
    kind = _twin(cast("type", type(error)), family)
    twin = kind.__new__(kind)
    twin.args = error.args
    vars(twin).update(vars(error))
    return twin.with_traceback(error.__traceback__)


@functools.cache
def _twin(kind: type, family: type) -> type[ConfidentialError]:
    def reduce(self: ConfidentialError) -> tuple[Any, ...]:
        # A class made at run time has no name that pickle could look up.
        return _plain, (kind, self.args, {**vars(self), "_request": None})

    body = {
        "__doc__": kind.__doc__,
        "__module__": kind.__module__,
        "__qualname__": kind.__qualname__,
        "__reduce__": reduce,
        "request": property(_request, _keep_address),
    }
    return cast("type[ConfidentialError]", type(kind.__name__, (kind, family), body))


def _plain(
    kind: type[ConfidentialError], args: tuple[Any, ...], state: dict[str, Any]
) -> ConfidentialError:
    error = kind.__new__(kind)
    error.args = args
    vars(error).update(state)
    return error


def _request(self: ConfidentialError) -> Any:
    return vars(self).get("_request")


def _keep_address(self: ConfidentialError, request: Any) -> None:
    """Keep of the request that a library hangs on its errors no header and no body."""
    vars(self)["_request"] = type(request)(request.method, request.url)
