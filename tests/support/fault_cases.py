"""Which faults are run with which numbers, on which requests, in which calls."""

from fault_outcomes import CALLS, ON, STREAMS, Outcome, rows
from fault_runs import RIGHT, judged, measure

from atoma_local import list_faults

# The numbers that a fault is tried with; 3 where none stand here.
NUMBERS = {
    "lock-429-retry-after": (3, 3600),
    "lock-503-retry-after": (3, 3600),
    "lock-deep": (100_000,),
    "lock-huge": (2,),
    "post-429-retry-after": (3, 3600),
    "post-429-retry-date": (30, 3600),
    "reply-deep": (100_000,),
    "reply-huge": (2,),
    "answer-deep": (500,),
    "stream-deep": (500,),
    "stream-resplit": (7,),
    "stream-huge": (1, 9),
    "request-cut": (100,),
    "request-reset": (100,),
    "request-stalled": (100,),
    "request-split": (7,),
    "request-dripped": (200,),
    "reply-cut": (0, 60, 400),
    "reply-reset": (0, 400),
    "reply-half-closed": (400,),
    "reply-stalled": (0, 400),
    "reply-split": (1,),
    "reply-dripped": (200, 2),
}
# A lock's reply is shorter than this number, in the middle of an answer.
IN_ANSWER, IN_LOCK = ":400", ":120"
# Not noticed in a live stream; there is a mode that they do not hit.
UNNOTICED = ("stream-dropped", "stream-reordered", "event-dropped", "event-reordered")
# Where bytes of UTF-8 can be torn, and statuses that only plain endpoints send.
PLAIN_STREAMS = ("stream-resplit", "reply-split", "events-", "event-torn")
PLAIN = ("post-400-fiat",)


def cases():
    """Yield each fault with its number, the requests that are hit, and the calls."""
    for row in list_faults():
        name, _, numbered = row.name.partition(":")
        for number in NUMBERS.get(name, (3,)) if numbered else (None,):
            fault = name if number is None else f"{name}:{number}"
            yield from _of(fault, name, row.place)


def _of(fault, name, place):
    if name == "connection-refused":  # by whom, cannot be chosen
        yield fault, "", CALLS["network"]
    elif place == "network" and not name.startswith("event"):
        if fault != "reply-dripped:2":  # that of a short reply is soon over
            yield fault.replace(IN_ANSWER, IN_LOCK), "lock", ("answer",)
        yield fault, "request", CALLS["network"]
        if calls := _plain(name):
            yield fault, "", calls
    else:
        yield fault, "", _calls(name, place)


# The calls that a fault can hit, where its place does not tell.
_CALLS = {
    "stack-unindexed": ("answer", "live", "first", "vectors"),  # with what they buy
    "stack-unknown": ("answer", "live", "first", "vectors"),
    "post-400-concurrent": ("plain", "plain-live"),  # elsewhere it is the lock's
    "reply-gzip": ("answer", "vectors"),  # nobody compresses a stream
    "reply-huge": ("answer", "vectors"),  # a stream is never whole
    "engine-error-object": ("answer", "vectors"),
    "answer-deep": ("answer", "vectors"),
    "answer-no-choices": ("answer",),
    "answer-not-an-answer": ("answer", "vectors"),
}
_STREAMED = ("event", "stream", "nonces", "key-rotated-in-stream")


def _calls(name, place):
    if name in _CALLS:
        return _CALLS[name]
    if name.startswith("tool-calls"):
        return ("calls-live",)
    if name.startswith("embeddings"):
        return ("vectors",)
    calls = STREAMS if name.startswith(_STREAMED) else CALLS[place]
    return calls + _plain(name) + (("buffered",) if name in UNNOTICED else ())


def _plain(name):
    live = ("plain-live",) if name.startswith(PLAIN_STREAMS) else ()
    return live + (("plain",) if name in PLAIN else ())


_right = {}


def right(call):
    """What each way of a call says without a fault."""
    if call not in _right:
        runs = measure("", call)
        assert {run.end.end for run in runs} == {RIGHT}
        _right[call] = [run.value for run in runs]
    return _right[call]


def outcomes():
    """Make every call, and yield how it ended.

    Raises:
        AssertionError: It ended in different ways in the frameworks.
    """
    for fault, on, calls in cases():
        for call in calls:
            runs = measure(fault, call, on=ON[on])
            pairs = zip(runs, right(call), strict=True)
            ends = {judged(run, fault, value) for run, value in pairs}
            assert len(ends) == 1, f"{fault}, {call}: {ends}"
            missed = call != "buffered" and not all(run.hit for run in runs)
            assert not missed, f"{fault} does not hit {call}"
            yield Outcome(fault, on, call, *ends)


def measured():
    """Return the text of a new file of outcomes."""
    parts = ["# How each fault ends: see tests/reliability/page.py.\n"]
    for fault, on, calls, end in rows(outcomes()):
        lines = [f'fault = "{fault}"', *([f'on = "{on}"'] if on else [])]
        names = ", ".join(f'"{call}"' for call in calls)
        lines += [f"calls = [{names}]", f'end = "{end.end}"']
        lines += [f"locks = {end.locks}", f"requests = {end.requests}"]
        lines += [f"repeats = {end.repeats}"]
        lines += [f'left = "{end.left}"', *(["warned = true"] if end.warned else [])]
        parts.append("\n".join(["\n[[outcome]]", *lines]) + "\n")
    return "".join(parts)
