"""Which failures are repeated, how often, after how long: protocol 8.4, row by row."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoma_confidential import errors
from atoma_confidential.errors import Exposure, InvalidInputError
from atoma_confidential.retry import MAX_WAIT, MAX_WAITS, Budget, RetryPolicy

NO_JITTER = {"jitter": lambda: 0.0}  # the shortest wait there is


def failure(kind, *, exposure=Exposure.LOCK, **options):
    if issubclass(kind, errors.StatusError):
        return kind("It failed.", exposure, 500, "", **options)
    return kind("It failed.", exposure)


def delays(kind, *, max_retries=2, times=20, exposure=Exposure.LOCK, **options):
    """Return the waits until no more are granted."""
    budget = Budget(RetryPolicy(max_retries), **(NO_JITTER | options))
    waits = [budget.delay(failure(kind, exposure=exposure)) for _ in range(times)]
    granted = [wait for wait in waits if wait is not None]
    assert waits[len(granted) :] == [None] * (times - len(granted))
    return granted


@pytest.mark.parametrize(
    ("kind", "waits"),
    [
        (errors.StackUnavailableError, [0, 0, 0]),
        (errors.StackLockedError, [0, 0, 0]),
        (errors.RateLimitError, [1, 2]),
        (errors.NodeUnavailableError, [2, 4]),
        (errors.ConcurrentPurchaseError, [0.5] * 5),
        (errors.StackNotIndexedError, [1]),
        (errors.NodeFailureError, [0]),
        (errors.OpenError, [0]),
        (errors.KeyNotBoundError, [0]),
        (errors.ConnectionFailedError, [0.5]),
        (errors.ConnectionLostError, [0.5]),
    ],
)
def test_a_row_of_the_matrix(kind, waits):
    assert delays(kind) == waits


@pytest.mark.parametrize("exposure", [Exposure.SEALED, Exposure.PLAIN])
def test_a_request_that_no_node_took_is_repeated_once(exposure):
    assert delays(errors.NodeUnavailableError, exposure=exposure) == [2]


LISTED = {
    *(errors.StackUnavailableError, errors.StackLockedError, errors.RateLimitError),
    *(errors.NodeUnavailableError, errors.ConcurrentPurchaseError, errors.OpenError),
    *(errors.StackNotIndexedError, errors.NodeFailureError, errors.KeyNotBoundError),
    *(errors.ConnectionFailedError, errors.ConnectionLostError),
}


def tree(kind):
    yield kind
    for child in kind.__subclasses__():
        yield from tree(child)


@pytest.mark.parametrize(
    "kind",
    sorted(
        {
            k
            for k in tree(errors.ConfidentialError)
            if k.__module__.startswith(errors.__name__)
        }
        - LISTED,
        key=lambda kind: kind.__name__,
    ),
)
def test_nothing_else_is_repeated(kind):
    assert delays(kind, max_retries=10) == []


@pytest.mark.parametrize("kind", sorted(LISTED, key=lambda kind: kind.__name__))
def test_a_policy_of_none_turns_each_row_off(kind):
    assert delays(kind, max_retries=0) == []


def test_the_policy_bounds_the_rows_that_have_no_limit_of_their_own():
    assert delays(errors.RateLimitError, max_retries=7) == [1, 2, 4, 8, 16, 30, 30]
    assert delays(errors.NodeUnavailableError, max_retries=5) == [2, 4, 8, 10, 10]
    assert delays(errors.NodeFailureError, max_retries=7) == [0]


def test_a_key_that_changed_has_one_repetition_however_it_shows():
    budget = Budget(RetryPolicy(2))
    assert budget.delay(failure(errors.NodeFailureError)) == 0
    assert budget.delay(failure(errors.OpenError)) is None


def test_rows_with_causes_of_their_own_have_budgets_of_their_own():
    budget = Budget(RetryPolicy(2), **NO_JITTER)
    assert budget.delay(failure(errors.OpenError)) == 0
    assert budget.delay(failure(errors.StackUnavailableError)) == 0
    assert budget.delay(failure(errors.RateLimitError)) == 1
    assert budget.delay(failure(errors.NodeUnavailableError)) == 2


def test_each_exchange_has_its_own_budget():
    policy = RetryPolicy(1)
    for _ in range(3):
        assert Budget(policy).delay(failure(errors.OpenError)) == 0


@given(st.floats(0, 1, exclude_max=True), st.integers(1, 6))
def test_jitter_adds_at_most_half(jitter, max_retries):
    shortest = delays(errors.RateLimitError, max_retries=max_retries, times=41)
    actual = delays(
        errors.RateLimitError, max_retries=max_retries, times=41, jitter=lambda: jitter
    )
    assert len(actual) == len(shortest) == max_retries
    for wait, least in zip(actual, shortest, strict=True):
        assert least <= wait <= least * 1.5


def test_all_waits_of_an_exchange_have_an_end():
    waits = delays(errors.RateLimitError, max_retries=1000, times=1001)
    assert sum(waits) <= MAX_WAITS < sum(waits) + 30
    budget = Budget(RetryPolicy(1000), **NO_JITTER)
    asked = failure(errors.RateLimitError, retry_after=MAX_WAIT)
    assert [budget.delay(asked) for _ in range(4)] == [MAX_WAIT] * 3 + [None]


def test_callers_that_fail_together_part():
    waits = {
        Budget(RetryPolicy(1)).delay(failure(errors.RateLimitError)) for _ in range(20)
    }
    assert len(waits) > 1


@given(st.floats(0, MAX_WAIT))
def test_a_server_that_names_a_time_is_believed(seconds):
    budget = Budget(RetryPolicy(2), **NO_JITTER)
    asked = failure(errors.RateLimitError, retry_after=seconds)
    assert budget.delay(asked) == seconds


@pytest.mark.parametrize("seconds", [math.nextafter(MAX_WAIT, 100), 3600.0, math.inf])
def test_a_server_that_asks_for_too_long_ends_it(seconds):
    budget = Budget(RetryPolicy(2))
    asked = failure(errors.RateLimitError, retry_after=seconds)
    assert budget.delay(asked) is None


@pytest.mark.parametrize("count", [-1, 1.0, True, None, "2"])
def test_a_policy_is_a_count(count):
    with pytest.raises(InvalidInputError, match="max_retries"):
        RetryPolicy(count)
