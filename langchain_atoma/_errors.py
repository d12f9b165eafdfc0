"""The core's errors, each also an error of langchain-core's `ModelError` family.

Frameworks act on that family: `ModelRetryMiddleware` reads `is_retryable`, and
`SummarizationMiddleware` shortens a conversation on `ContextOverflowError`.
"""

from __future__ import annotations

import functools
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar, cast

from langchain_core import exceptions as lc

from atoma_confidential import errors as core

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "as_model_error",
    "invalid_input",
    "model_errors",
]

_E = TypeVar("_E", bound=core.ConfidentialError)


# A core error takes the row of its nearest base class. What must not be repeated
# blindly is a plain ModelError: its `is_retryable` is False.
_FAMILY: dict[type[core.ConfidentialError], type[lc.LangChainException]] = {
    core.ConfidentialError: lc.ModelError,
    core.InvalidInputError: lc.ModelInvalidRequestError,
    core.MissingCredentialsError: lc.ModelAuthenticationError,
    # A shorter conversation is what helps against each of these three.
    core.RequestTooLargeError: lc.ContextOverflowError,
    core.ContextLengthError: lc.ContextOverflowError,
    core.PayloadTooLargeError: lc.ContextOverflowError,
    core.StatusError: lc.ModelAPIError,
    core.InvalidRequestError: lc.ModelInvalidRequestError,
    core.StackNotIndexedError: lc.ModelAPIError,
    core.AuthenticationError: lc.ModelAuthenticationError,
    core.PermissionDeniedError: lc.ModelPermissionDeniedError,
    core.BalanceError: lc.ModelPermissionDeniedError,
    core.NotFoundError: lc.ModelNotFoundError,
    core.RateLimitError: lc.ModelRateLimitError,
    # Each attempt may buy another stack (protocol 4.5).
    core.NodeKeyMissingError: lc.ModelError,
    core.ConnectionFailedError: lc.ModelConnectionError,
    core.ConnectionLostError: lc.ModelConnectionError,
    core.StreamTruncatedError: lc.ModelConnectionError,
    core.ReplyTimeoutError: lc.ModelTimeoutError,
    core.EngineError: lc.ModelAPIError,
    core.UnparsableAnswerError: lc.OutputParserException,
    # Since core 1.7.5; an older one has no class for a refusal.
    core.RefusedAnswerError: getattr(lc, "ModelRefusalError", lc.ModelError),
}

# What frameworks read from an error of a family; ours hold no answer and no refusal.
_OF_FAMILY: dict[type[core.ConfidentialError], dict[str, Any]] = {
    core.UnparsableAnswerError: {
        "llm_output": None,
        "observation": None,
        "send_to_llm": False,
    },
    core.RefusedAnswerError: {"raw_message": None},  # since core 1.7.5
}


def as_model_error(error: _E) -> _E:
    """Return the error as an instance of its own class and of one of core's."""
    if isinstance(error, lc.LangChainException):
        return error
    return _rebuilt(type(error), error.args, vars(error))


def invalid_input(message: str) -> core.InvalidInputError:
    """Return the error for a request that is refused before anything is sent."""
    return as_model_error(core.InvalidInputError(message))


@contextmanager
def model_errors() -> Iterator[None]:
    """Raise the core's errors of this block as members of both families."""
    try:
        yield
    except core.ConfidentialError as error:
        twin = as_model_error(error).with_traceback(error.__traceback__)
        cause = error.__cause__
    else:
        return
    try:
        raise twin from cause
    finally:
        # Python chains to what the `with` block raised, and what that came from may
        # hold the HTTP request.
        twin.__context__ = None


def _rebuilt(kind: type[_E], args: tuple[Any, ...], state: dict[str, Any]) -> _E:
    twin = cast("type[_E]", _twin_of(cast("type", kind)))
    error = twin.__new__(twin)
    error.args = args
    vars(error).update(state)
    return error


@functools.cache
def _twin_of(kind: type) -> type:
    family = next(_FAMILY[base] for base in kind.__mro__ if base in _FAMILY)

    def reduce(self: core.ConfidentialError) -> tuple[Any, ...]:
        # A class made at run time has no name that pickle could look up.
        return _rebuilt, (kind, self.args, vars(self))

    body = _OF_FAMILY.get(kind, {}) | {
        "__doc__": kind.__doc__,
        "__module__": kind.__module__,
        "__qualname__": kind.__qualname__,
        "__reduce__": reduce,
    }
    return type(kind.__name__, (kind, family), body)
