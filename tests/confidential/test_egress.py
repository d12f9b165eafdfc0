"""What each policy does about a place that would get plaintext."""

import subprocess
import sys
import warnings

import pytest

from atoma_confidential import errors
from atoma_confidential.credentials import default_tracing_policy
from atoma_confidential.egress import (
    Sink,
    act_on,
    assert_none,
    handler_sink,
    vendor_of,
)

TRACER = Sink("tracer", "prompts", "unset TRACING", suppressible=True)
CACHE = Sink("cache", "answers", "cache=False")
HIDING = Sink("hiding", "errors", "unset TRACING", reduced=True, suppressible=True)
ALL = [TRACER, CACHE, HIDING]


def warned(policy, sinks):
    """Return what `act_on` does: what it answers, and the sinks it warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        silent = act_on(policy, sinks)
    assert {one.category for one in caught} <= {errors.PlaintextEgressWarning}
    return silent, [str(one.message).split()[0] for one in caught]


def handler_of(module):
    return type("Handler", (), {"__module__": module})()


@pytest.mark.parametrize(
    ("policy", "silent", "names"),
    [
        ("warn", False, ["tracer", "cache", "hiding"]),
        ("suppress", True, ["cache"]),
        ("allow", False, []),
    ],
)
def test_what_a_policy_does(policy, silent, names):
    assert warned(policy, ALL) == (silent, names)


def test_one_that_is_on_twice_is_one_sink():
    assert warned("warn", [CACHE, CACHE]) == (False, ["cache"])
    assert assert_none([CACHE, CACHE], ignore=["cache"]) == [CACHE]


def test_refusing_names_each_sink_and_its_switch():
    with pytest.raises(errors.PlaintextEgressError) as caught:
        act_on("refuse", iter(ALL))
    text = str(caught.value)
    assert text.startswith("Refused: tracer receives prompts. To turn it off: unset")
    assert "cache receives answers. To turn it off: cache=False." in text
    assert "hiding" not in text
    assert caught.value.exposure is errors.Exposure.NOTHING
    assert errors.PlaintextEgressError.advice in text


def test_refusing_comes_before_any_warning():
    # Warnings are errors here: the first one would have been raised instead.
    with pytest.raises(errors.PlaintextEgressError):
        act_on("refuse", [HIDING, CACHE])


def test_refusing_warns_of_what_gets_no_content():
    assert warned("refuse", [HIDING]) == (False, ["hiding"])


def test_suppressing_is_offered_where_it_helps():
    assert "or choose tracing_policy='suppress'" in str(TRACER)
    assert "suppress" not in str(CACHE)


@pytest.mark.parametrize("policy", ["warn", "refuse", "suppress", "allow"])
def test_without_a_sink_nothing_happens(policy):
    assert warned(policy, []) == (False, [])


def test_suppressing_is_asked_of_nobody_whose_sinks_it_does_not_reach():
    assert warned("suppress", [CACHE]) == (False, ["cache"])


def test_allowing_looks_at_nothing():
    def sinks():
        raise AssertionError
        yield

    assert act_on("allow", sinks()) is False


@pytest.mark.parametrize("policy", ["Refuse", "off", "", None])
def test_a_policy_that_is_none_is_refused(policy):
    with pytest.raises(errors.InvalidInputError, match="'suppress' or 'allow'"):
        act_on(policy, [])


def test_warned_of_once_whatever_the_filters():
    assert warned("warn", [CACHE]) == (False, ["cache"])
    with warnings.catch_warnings():
        warnings.simplefilter("always")  # Python's own "once" is forgotten with this
        assert warned("warn", [CACHE, TRACER]) == (False, ["tracer"])
    assert warned("suppress", [CACHE, TRACER]) == (True, [])


def test_where_warnings_are_errors_nothing_goes_through():
    for _ in range(2):
        with pytest.raises(errors.PlaintextEgressWarning, match="cache"):
            act_on("warn", [CACHE])


def test_a_process_of_its_own_warns_of_its_own():
    program = (
        "from atoma_confidential.egress import *\n"
        "for _ in range(3): act_on('warn', [Sink('one', 'a', 'b')])\n"
        "act_on('warn', [Sink('two', 'a', 'b')])\n"
    )
    ran = subprocess.run(  # noqa: S603 - a program of our own
        [sys.executable, "-W", "always", "-c", program],
        capture_output=True,
        check=True,
        text=True,
    )
    assert ran.stderr.count("PlaintextEgressWarning: one receives a.") == 1
    assert ran.stderr.count("PlaintextEgressWarning: two receives a.") == 1


def test_a_check_names_all_that_is_not_acceptable():
    assert assert_none([]) == []
    with pytest.raises(errors.PlaintextEgressError, match=r"^tracer .* hiding receive"):
        assert_none(ALL, ignore=["cache"])
    # A name, and not the letters of one.
    assert assert_none([CACHE], ignore="cache") == [CACHE]
    with pytest.raises(errors.PlaintextEgressError):
        assert_none([CACHE], ignore="cache, and more")


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("agentops", "agentops"),
        ("langfuse.langchain.CallbackHandler", "langfuse"),
        ("llama_index.observability.otel.base", "opentelemetry"),
        ("mlflow.langchain.langchain_tracer", "mlflow"),
        ("openinference.instrumentation.langchain._tracer", "openinference"),
        ("opentelemetry.instrumentation.langchain", "opentelemetry"),
        ("phoenix.trace", "openinference"),
        ("traceloop.sdk", "opentelemetry"),
        ("openinference_lookalike", None),
        ("app.langfuse", None),
    ],
)
def test_tracing_packages_are_known_by_their_handlers(module, name):
    handler = handler_of(module)
    assert vendor_of(handler) == name
    sink = handler_sink(handler, "handler", switch="take it out", suppressible=True)
    assert sink.name == (name or "handler")
    assert (f"through {module}.Handler." in str(sink)) is (name is None)
    assert ". To turn it off: take it out, or choose" in str(sink)
    assert not handler_sink(handler, "handler", switch="").suppressible


@pytest.mark.parametrize(
    ("value", "policy"), [(None, "warn"), ("", "warn"), ("refuse", "refuse")]
)
def test_the_policy_of_the_environment(monkeypatch, value, policy):
    if value is not None:
        monkeypatch.setenv("ATOMA_TRACING_POLICY", value)
    assert default_tracing_policy() == policy
