"""Every row of the fault table does something, once or always, where it says."""

import base64
import contextlib
import json

import httpx
import pytest
from cryptography.exceptions import InvalidTag

from atoma_local import Fault, Faults
from atoma_local._fault_table import FAULTS

MODEL = "meta-llama/Llama-3.3-70B-Instruct"
QUESTION = "The heliotrope meadow is blue. Which colour has the heliotrope meadow?"
CHAT = {"model": MODEL, "messages": [{"role": "user", "content": QUESTION}]}
EMBED = {"model": MODEL, "input": ["violet heath", "noon in June", "and the rest"]}


@pytest.fixture(autouse=True)
def _sealed(no_plaintext):
    no_plaintext(QUESTION, "Which colour has", *EMBED["input"])


def observe_lock(wire):
    reply = wire.http.post("/v1/nodes/lock", json={"model": MODEL})
    if reply.status_code != 200 or "json" not in reply.headers["content-type"]:
        return reply.status_code, reply.headers.get("retry-after")
    if len(reply.content) > 1000 or "content-encoding" in reply.headers:
        return 200, reply.content[:1], reply.headers.get("content-encoding")
    try:
        lock = reply.json()
    except ValueError:
        return 200, reply.content
    if "stack_small_id" not in lock:
        return 200, reply.content
    known = lock["public_key"] == base64.b64encode(wire.atoma.node_public_key).decode()
    return 200, known, lock["stack_small_id"] is None


def observe_reply(wire, body, endpoint):
    try:
        sealed, reply = wire.ask(body, endpoint)
        if reply.status_code != 200:
            return reply.status_code, reply.text, reply.headers.get("retry-after")
        fields = reply.json()
        answer = sealed.open(fields)
    except httpx.HTTPError as error:
        return type(error)
    except Exception as error:  # noqa: BLE001  whatever it is, it is not an answer
        return type(error), str(error)
    public = {k: v for k, v in fields.items() if k == "usage"}
    digest = base64.b64decode(fields["response_hash"])
    signed = fields.get("signature") == wire.atoma.node.sign(digest)
    encoded = reply.headers.get("content-encoding")
    reflected = fields["nonce"] == sealed.envelope["nonce"]
    shape = encoded, reflected, "signature" in fields, reply.content.endswith(b"}")
    return stable(answer), public, signed, *shape


def stable(answer):
    if not isinstance(answer, dict):
        return answer
    text = json.dumps({k: v for k, v in answer.items() if k not in {"id", "created"}})
    return text if answer.get("id") != "chatcmpl-other" else f"{text} other"


def observe_stream(wire):
    sealed = wire.seal(CHAT | {"stream": True}, stream=True)
    frames = []
    try:
        with wire.streaming(sealed) as reply:
            # Frames as they arrive, as faults may only change how they are cut.
            frames.extend(reply.iter_raw())
        end = "ended"
    except httpx.HTTPError as error:
        end = type(error)
    body = b"".join(frames).replace(b": keep-alive\n\n", b"")
    events, ids, nonces = [], set(), set()
    for block in body.decode().split("\n\n"):
        try:
            event = json.loads(block.removeprefix("data: "))
            chunk = sealed.open(event)
        except Exception:  # noqa: BLE001  whatever it is, it is no sealed event
            events.append(block)
        else:
            ids.add(chunk.get("id"))
            nonces.add(event["nonce"])
            events.append(stable(chunk))
    whole = all(frame.endswith(b"\n\n") for frame in frames)
    return events, end, len(ids), len(nonces) == 1, whole, len(frames) > 3


def names(*stages):
    for name, row in FAULTS.items():
        fault = row if isinstance(row, Fault) else row(2)
        if fault.stage in stages:
            yield name if isinstance(row, Fault) else f"{name}:2"


HANGING = {"post-silent", "stream-silent:2", "stream-stalled:2"}
# These show only together with another cause; each has a test of its own.
NEEDS_MORE = {
    *("lock-key-stale", "stack-unindexed", "nonces-fresh", "key-rotated-after"),
    *(name for name in FAULTS if name.startswith("tool-calls-")),
}


@pytest.mark.parametrize(
    "name", [n for n in names("lock", "lock-reply") if n not in NEEDS_MORE]
)
def test_a_lock_fault_hits_one_lock(wire, name):
    before = observe_lock(wire)
    wire.atoma.faults.once(name)

    assert observe_lock(wire) != before
    assert wire.atoma.faults.pending == []
    assert observe_lock(wire) == before


@pytest.mark.parametrize(
    "name",
    [
        n
        for n in names("locks", "post", "open", "seal", "sealed", "response", "answer")
        if n not in HANGING | NEEDS_MORE
    ],
)
def test_a_reply_fault_hits_one_reply(wire, name):
    endpoint = "embeddings" if name.startswith("embeddings") else "chat/completions"
    body = EMBED if endpoint == "embeddings" else CHAT
    before = observe_reply(wire, body, endpoint)
    wire.atoma.faults.once(name)

    assert observe_reply(wire, body, endpoint) != before
    assert wire.atoma.faults.pending == []
    assert observe_reply(wire, body, endpoint) == before


@pytest.mark.parametrize(
    "name",
    [n for n in names("chunks", "frames", "nonces") if n not in HANGING | NEEDS_MORE],
)
def test_a_stream_fault_hits_one_stream(wire, name):
    before = observe_stream(wire)
    wire.atoma.faults.once(name)

    assert observe_stream(wire) != before
    assert wire.atoma.faults.pending == []
    assert observe_stream(wire) == before


@pytest.mark.parametrize("name", sorted(HANGING))
def test_a_hanging_fault_hangs(wire, name):
    wire.atoma.faults.once(name)
    wire.http.timeout = httpx.Timeout(0.2)
    stream = name != "post-silent"
    sealed = wire.seal(CHAT | {"stream": stream}, stream=stream)

    if name == "stream-stalled:2":  # bytes come all the time, but no event
        with wire.streaming(sealed) as reply:
            lines = [
                line for line, _ in zip(reply.iter_lines(), range(40), strict=False)
            ]
        assert sum(line.startswith("data:") for line in lines) == 2
        assert sum(line.startswith(":") for line in lines) > 10
    else:
        with pytest.raises(httpx.ReadTimeout), wire.streaming(sealed) as reply:
            reply.read()


def test_every_row_is_covered():
    stages = {
        (row if isinstance(row, Fault) else row(2)).stage for row in FAULTS.values()
    }
    assert stages == {
        *("lock", "lock-reply", "locks", "post", "open", "seal", "sealed"),
        *("response", "answer", "chunks", "frames", "nonces"),
    }
    assert all((r if isinstance(r, Fault) else r(1)).about for r in FAULTS.values())


def test_a_proxy_may_lag_behind_a_rotation(wire):
    old = base64.b64encode(wire.atoma.node_public_key).decode()
    wire.atoma.rotate_key()
    wire.atoma.faults.once("lock-key-stale")

    assert wire.lock()["public_key"] == old
    assert wire.lock()["public_key"] != old


def test_a_reply_may_be_sealed_under_the_next_key(wire):
    wire.atoma.faults.once("key-rotated-before-seal")
    sealed, reply = wire.ask(CHAT)

    answer = sealed.open(reply.json(), node_key=wire.atoma.node_public_key)

    assert answer["object"] == "chat.completion"


def test_a_key_may_be_rotated_after_the_answer(wire):
    before = wire.atoma.node_public_key
    wire.atoma.faults.once("key-rotated-after")

    assert wire.answer(CHAT)["object"] == "chat.completion"
    assert wire.atoma.node_public_key != before


WEATHER = {
    "name": "get_weather",
    "description": "Get the weather for a location.",
    "parameters": {"type": "object", "properties": {"location": {"type": "string"}}},
}
TOOLS = {
    "model": MODEL,
    "messages": [
        {"role": "user", "content": "What is the weather in Paris and in Tokyo?"}
    ],
    "tools": [{"type": "function", "function": WEATHER}],
}


def fragments(wire):
    """The fragments of the tool calls of a stream, those of each delta."""
    sealed, events = wire.stream(TOOLS)
    deltas = [
        choice["delta"].get("tool_calls", [])
        for event in events
        for choice in sealed.open(event)["choices"]
    ]
    return [delta for delta in deltas if delta]


def test_fragments_of_tool_calls_come_in_other_ways(wire):
    def indices(deltas):
        return [fragment.get("index") for delta in deltas for fragment in delta]

    plain = fragments(wire)
    assert indices(plain) == sorted(indices(plain))
    assert {*indices(plain)} == {0, 1}

    wire.atoma.faults.once("tool-calls-joined")
    joined = fragments(wire)
    assert len(joined) == 1 < len(plain)
    assert indices(joined) == indices(plain)

    wire.atoma.faults.once("tool-calls-interleaved")
    assert indices(fragments(wire))[:4] == [0, 1, 0, 1]

    wire.atoma.faults.once("tool-calls-unnumbered")
    assert {*indices(fragments(wire))} == {None}

    wire.atoma.faults.once("tool-calls-one-index")
    one, other = fragments(wire)
    assert indices([one, other]) == [0, 0]
    assert one[0]["id"] != other[0]["id"]
    assert json.loads(other[0]["function"]["arguments"])

    wire.atoma.faults.once("tool-calls-repeated")
    repeated = [fragment for delta in fragments(wire) for fragment in delta]
    assert len(repeated) == sum(map(len, plain))
    assert {f["function"]["name"] for f in repeated} == {WEATHER["name"]}
    assert len({(f["index"], f["id"]) for f in repeated}) == 2

    wire.atoma.faults.once("tool-calls-and-text")
    sealed, events = wire.stream(TOOLS)
    deltas = [c["delta"] for e in events for c in sealed.open(e)["choices"]]
    said = next(n for n, delta in enumerate(deltas) if delta.get("content"))
    assert said < next(n for n, delta in enumerate(deltas) if "tool_calls" in delta)


def test_a_lock_that_expired_is_pruned(wire):
    wire.atoma.faults.once("lock-expired")
    assert wire.ask(CHAT)[1].status_code == 425
    wire.lock()
    (stack,) = wire.atoma.stacks
    assert len(stack.locks) == 1


def test_a_node_may_change_its_key_within_a_stream(wire):
    wire.atoma.faults.once("key-rotated-in-stream:2")
    sealed, events = wire.stream(CHAT)

    assert [sealed.open(event)["object"] for event in events[:2]]
    for event in events[2:]:
        with pytest.raises(InvalidTag):
            sealed.open(event)
        assert sealed.open(event, node_key=wire.atoma.node_public_key)


def test_a_date_to_retry_after_is_sent(wire):
    wire.atoma.faults.once("post-429-retry-date:60")
    _, reply = wire.ask(CHAT)

    assert reply.status_code == 429
    assert reply.headers["retry-after"].endswith("GMT")


def test_a_fault_may_be_for_one_endpoint(wire):
    wire.atoma.faults.once("post-503", on="/v1/confidential/embeddings")

    assert wire.ask(CHAT)[1].status_code == 200
    assert wire.ask(EMBED, "embeddings")[1].status_code == 503
    assert wire.ask(EMBED, "embeddings")[1].status_code == 200


def test_faults_that_hit_nothing_are_known(wire):
    wire.atoma.faults.always("lock-503", "post-500").once("lock-402", skip=1)
    wire.http.post("/v1/nodes/lock", json={"model": MODEL})

    assert wire.atoma.faults.idle == ["post-500", "lock-402"]
    assert wire.atoma.faults.pending == ["lock-402"]


def test_a_new_stack_may_need_its_digest(make_atoma, connect):
    wire = connect(make_atoma(owns_stack=False, faults=Faults("stack-unindexed")))
    lock = wire.lock()
    sealed = wire.seal(CHAT)

    assert wire.send(sealed).json()["error"]["message"] == "Bad Request"
    wire.lock()
    digest = {"X-Tx-Digest": lock["stack_entry_digest"]}
    assert wire.send(sealed, headers=digest).status_code == 200


def test_permanent_faults_stay_until_cleared(wire):
    wire.atoma.faults.always("lock-503")
    assert [observe_lock(wire)[0] for _ in range(3)] == [503, 503, 503]

    wire.atoma.faults.clear()
    assert observe_lock(wire)[0] == 200


def test_queued_faults_hit_in_order_and_may_wait(wire):
    wire.atoma.faults.once("lock-503", "lock-402", skip=1)

    seen = [observe_lock(wire)[0] for _ in range(4)]

    assert seen == [200, 503, 402, 200]


def test_a_reply_fault_hits_one_event_of_a_stream(wire):
    wire.atoma.faults.once("tag-tampered", skip=1)
    sealed, events = wire.stream(CHAT)

    opened = []
    for number, event in enumerate(events):
        with contextlib.suppress(InvalidTag):
            sealed.open(event)
            opened.append(number)
    assert opened == [0, *range(2, len(events))]


@pytest.mark.parametrize("name", ["post-silent", "post-cut", "reply-html"])
def test_a_response_fault_hits_streams_too(wire, name):
    before = observe_stream(wire)
    wire.http.timeout = httpx.Timeout(0.3)
    wire.atoma.faults.once(name)

    assert observe_stream(wire) != before


def test_retry_after_is_sent(wire):
    wire.atoma.faults.once("lock-503-retry-after:7")
    assert observe_lock(wire) == (503, "7")


def test_a_fault_of_ones_own(wire):
    teapot = Fault("lock-reply", lambda reply, _: reply | {"node_small_id": 418}, "tea")
    wire.atoma.faults.once(teapot)

    assert wire.lock()["node_small_id"] == 418


def test_faults_can_be_read():
    faults = Faults("lock-503").once("stream-cut:3")
    assert repr(faults) == "Faults(always=['lock-503'], once=['stream-cut:3'])"
    with pytest.raises(KeyError):
        Faults("no-such-fault")
