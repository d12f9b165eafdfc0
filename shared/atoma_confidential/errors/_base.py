"""What every error of this package has."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import ClassVar

__all__ = [
    "ConfidentialError",
    "ConfidentialityWarning",
    "Exposure",
    "PlaintextEgressWarning",
    "greater",
]


class Exposure(enum.Enum):
    """What had left the process when an error was raised."""

    NOTHING = "nothing"
    LOCK = "a lock request (model name and size), not the content"
    SEALED = "the request, sealed to the node's key"
    PLAIN = "the request, in clear, as confidential=False asks"

    @classmethod
    def of_request(cls, *, sealed: bool) -> Exposure:
        """Return what has left once a request has been sent."""
        return cls.SEALED if sealed else cls.PLAIN

    @classmethod
    def of_answer(cls, verdict: object) -> Exposure:
        """Return what has left for an answer, by what a framework kept of its verdict.

        Args:
            verdict: `Verdict.as_dict()`, or what became of it. Nothing but `sealed:
                True` is taken for sealed.
        """
        told = verdict.get("sealed") if isinstance(verdict, Mapping) else None
        return cls.of_request(sealed=told is True)


def greater(one: Exposure, other: Exposure) -> Exposure:
    """Return the exposure of two that lets more out."""
    return max(one, other, key=list(Exposure).index)


class ConfidentialityWarning(UserWarning):
    """Something works, with less protection than it could have."""


class PlaintextEgressWarning(UserWarning):
    """The framework is set up to write plaintext somewhere else than to the node."""


class ConfidentialError(Exception):
    """Base of every error of this package.

    Attributes:
        exposure: What had left the process when this was raised.
        indices: The texts of an embedding call that failed, where that is known.
        advice: What to do next, in one sentence.
    """

    advice: ClassVar[str] = ""

    def __init__(self, message: str, exposure: Exposure = Exposure.NOTHING) -> None:
        super().__init__(message, exposure)
        self.message = message
        self.exposure = exposure
        self.indices: range | None = None

    @property
    def headline(self) -> str:
        """What happened, and to which texts of an embedding call."""
        if self.indices is None:
            return self.message
        return f"Texts {self.indices.start} to {self.indices.stop - 1}: {self.message}"

    def __str__(self) -> str:
        left = f"Left the process: {self.exposure.value}."
        return " ".join(filter(None, [self.headline, left, self.advice]))
