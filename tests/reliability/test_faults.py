"""Each fault ends as the table says, in both frameworks, blocking and not."""

import pytest
from fault_cases import UNNOTICED, right
from fault_outcomes import load
from fault_runs import (
    EXCEEDED,
    RIGHT,
    WRONG,
    is_ours,
    is_partial,
    judged,
    measure,
)

# What these send, or are sent, in clear is asked for.
CLEAR = pytest.mark.clear_text


def _param(outcome):
    is_clear = outcome.call.startswith("plain") or outcome.fault == "reply-clear"
    return pytest.param(outcome, id=outcome.name, marks=[CLEAR] * is_clear)


@pytest.mark.parametrize("outcome", [_param(outcome) for outcome in load()])
def test_a_fault_ends_as_the_table_says(outcome):
    runs = measure(outcome.fault, outcome.call, on=outcome.path)
    name = outcome.fault.partition(":")[0]
    for run, expected in zip(runs, right(outcome.call), strict=True):
        end = judged(run, outcome.fault, expected)
        assert end == outcome.end
        # The rest holds whatever the table says.
        assert run.hit is (outcome.call != "buffered")
        assert run.error is None or is_ours(run.error)
        assert run.error is None or EXCEEDED.get(outcome.fault, "") in str(run.error)
        assert run.told_truly
        assert run.leaked == []
        assert run.busy == 0
        if name not in UNNOTICED or outcome.call == "buffered":
            assert end.end != WRONG
            assert not is_partial(run, outcome.fault, expected)


def _passing():
    """The failures that are repeated, for which one may hope that they pass."""
    for outcome in load():
        repeated = outcome.end.repeats and outcome.end.end != RIGHT
        counted = outcome.fault != "connection-refused"  # of which nobody is told
        if repeated and counted and outcome.call in ("answer", "live", "vectors"):
            yield _param(outcome)


@pytest.mark.parametrize("outcome", [*_passing()])
def test_a_repeated_failure_is_overcome_if_it_passes(outcome):
    runs = measure(outcome.fault, outcome.call, on=outcome.path, once=True)
    for run, expected in zip(runs, right(outcome.call), strict=True):
        assert judged(run, outcome.fault, expected).end == RIGHT
        assert run.end.repeats == 1
        assert run.hit
        assert run.busy == 0
