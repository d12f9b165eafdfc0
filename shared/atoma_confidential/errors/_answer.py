"""Errors of answers that came, authenticated, and still cannot be used."""

from __future__ import annotations

from ._base import ConfidentialError

__all__ = [
    "RefusedAnswerError",
    "TruncatedAnswerError",
    "UnparsableAnswerError",
    "VectorMismatchError",
]


class RefusedAnswerError(ConfidentialError):
    """The model refused, or a filter withheld, the output that was to be parsed."""

    advice = "Without structured output the refusal itself can be read."


class TruncatedAnswerError(ConfidentialError):
    """An answer met its token limit inside a tool call or a structured output."""

    advice = "Raise max_tokens, or shorten what is asked for."


class UnparsableAnswerError(ConfidentialError, ValueError):
    """An answer does not fit the schema it was asked for; only its name is told."""

    advice = (
        "Ask again, describe the fields, or choose another way to ask for the schema."
    )


class VectorMismatchError(ConfidentialError, ValueError):
    """A vector store was built with another model than it is opened with."""

    advice = (
        "Open the store with the model, dimensions and text_instruction that it was "
        "built with, or index again into a new one."
    )
