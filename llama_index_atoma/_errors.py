"""Errors of answers that came, authenticated, and still cannot be used."""

from __future__ import annotations

from atoma_confidential.errors import ConfidentialError, Exposure, InvalidInputError

__all__ = [
    "RefusedAnswerError",
    "StructuredOutputError",
    "TruncatedAnswerError",
    "exposure_of",
    "invalid_input",
]


class TruncatedAnswerError(ConfidentialError):
    """An answer met its token limit inside a tool call or a structured output."""

    advice = "Raise max_tokens, or shorten what is asked for."


class RefusedAnswerError(ConfidentialError):
    """The model refused, or a filter withheld, the output that was to be parsed."""

    advice = "Without structured output the refusal itself can be read."


class StructuredOutputError(ConfidentialError, ValueError):
    """An answer does not fit the output class; only names of its fields are told."""

    advice = "Ask again, describe the fields, or choose another structured mode."


def invalid_input(message: str) -> InvalidInputError:
    """Return the error for a request that is refused before anything is sent."""
    return InvalidInputError(message)


def exposure_of(*, sealed: bool) -> Exposure:
    """Return what had left the process when an answer has come."""
    return Exposure.SEALED if sealed else Exposure.PLAIN
