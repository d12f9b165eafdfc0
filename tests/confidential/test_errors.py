import pickle
import re
from pathlib import Path

import pytest

import atoma_confidential
from atoma_confidential import (
    ConfidentialError,
    Exposure,
    RateLimitError,
    StatusError,
    errors,
)

CLASSES = [
    value
    for value in vars(errors).values()
    if isinstance(value, type) and issubclass(value, ConfidentialError)
]


def test_all_public_names_are_exported_and_sorted():
    assert atoma_confidential.__all__ == sorted(atoma_confidential.__all__)
    for name in atoma_confidential.__all__:
        assert hasattr(atoma_confidential, name)
    assert dir(atoma_confidential) == atoma_confidential.__all__
    assert errors.__all__ == sorted(errors.__all__)
    assert {kind.__name__ for kind in CLASSES} <= set(atoma_confidential.__all__)


def test_the_tree_is_drawn_in_the_docstring():
    for kind in CLASSES:
        assert kind.__name__ in errors.__doc__


def test_each_error_that_is_exported_is_raised_somewhere():
    packages = ("shared/atoma_confidential", "langchain_atoma", "llama_index_atoma")
    sources = [
        path.read_text()
        for package in packages
        for path in (Path(__file__).parents[2] / package).rglob("*.py")
        if path.parent.name != "errors" and path.name != "__init__.py"
    ]
    for kind in CLASSES:
        named = re.compile(rf"\b{kind.__name__}\b")
        assert kind.__subclasses__() or any(map(named.search, sources)), kind


@pytest.mark.parametrize("kind", CLASSES)
def test_an_error_says_what_left_and_what_to_do(kind):
    error = kind("Something happened.", Exposure.SEALED)
    assert str(error).startswith(
        "Something happened. Left the process: the request, sealed to the node's key."
    )
    if kind is not ConfidentialError and kind is not StatusError:
        assert kind.advice
        assert str(error).endswith(kind.advice)


@pytest.mark.parametrize("kind", CLASSES)
def test_an_error_survives_pickling_whole(kind):
    error = kind("Something happened.", Exposure.LOCK)
    error.indices = range(3, 5)
    error.exposure = Exposure.SEALED
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert str(copy) == str(error)
    assert copy.indices == range(3, 5)
    assert copy.exposure is Exposure.SEALED


def test_a_status_error_keeps_its_facts_when_pickled():
    error = RateLimitError("Busy.", Exposure.SEALED, 429, "TOO_MANY_REQUESTS", 2.5)
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.status, copy.code, copy.retry_after) == (
        429,
        "TOO_MANY_REQUESTS",
        2.5,
    )
    assert copy.status_code == 429  # the name that frameworks look for


@pytest.mark.parametrize("verdict", [{"sealed": True}, {"sealed": True, "node": 1}])
def test_an_answer_that_was_sealed_left_nothing_in_clear(verdict):
    assert errors.Exposure.of_answer(verdict) is errors.Exposure.SEALED


@pytest.mark.parametrize(
    "verdict", [None, {}, {"sealed": None}, {"sealed": False}, {"sealed": "true"}, "x"]
)
def test_an_answer_of_which_that_is_not_known_counts_as_clear(verdict):
    assert errors.Exposure.of_answer(verdict) is errors.Exposure.PLAIN


def test_failed_texts_are_named_by_index():
    error = ConfidentialError("Refused.")
    error.indices = range(200, 300)
    assert str(error).startswith("Texts 200 to 299: Refused.")
