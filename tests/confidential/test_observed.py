"""What OpenTelemetry and the logs are told of a call, and what they never are."""

import asyncio

import pytest
from opentelemetry.trace import SpanKind, StatusCode
from records import RecordedKey, with_record
from shells import CHAT, EMBEDDING, MESSAGES, posts, text_of

import atoma_confidential as ac

# Batches of one size: a smaller one may use up the lock of a larger one (protocol 4.3).
TEXTS = [f"canary-heliotrope-5f1d9c, cellar number {n} of Ostheim" for n in range(6)]


def settings(atoma, **more):
    return {"api_key": atoma.api_key, "base_url": atoma.base_url, **more}


def nanoseconds(span):
    return span.end_time - span.start_time


def test_a_call_is_a_span_with_its_requests_below_it(connect, atoma, telemetry):
    shell = connect(atoma)
    with telemetry.tracer.start_as_current_span("caller") as caller:
        reply = shell.chat()

    call = telemetry.call
    assert (call.name, call.kind) == (f"chat {CHAT}", SpanKind.CLIENT)
    assert call.parent.span_id == caller.get_span_context().span_id
    told = dict(call.attributes)
    assert told["gen_ai.usage.input_tokens"] == reply.body["usage"]["prompt_tokens"]
    assert told["gen_ai.response.model"] == CHAT
    assert told["server.address"] == "127.0.0.1"
    assert atoma.base_url.endswith(f":{told['server.port']}")
    assert (told["atoma.node"], told["atoma.key"]) == (
        str(reply.verdict.node),
        reply.verdict.key,
    )
    assert told["atoma.sealed"] is True
    assert (told["atoma.end"], told["atoma.retries"]) == ("complete", 0)
    lock, answer = telemetry.below(call)
    assert (lock.name, answer.name) == ("atoma.lock", "atoma.answer")
    assert call.start_time <= lock.start_time <= lock.end_time
    assert lock.start_time <= answer.start_time <= answer.end_time
    assert told["atoma.lock.duration"] == pytest.approx(nanoseconds(lock) / 1e9)
    assert answer.attributes["http.response.status_code"] == 200
    (sent,) = posts(atoma)
    assert answer.attributes["http.request.body.size"] == len(sent.body)
    assert told["atoma.request.size"] == len(sent.body)
    assert told["atoma.response.size"] > len(reply.opened)
    assert call.status.status_code is StatusCode.UNSET
    assert telemetry.find(reply.body["choices"][0]["message"]["content"]) == []


def test_a_stream_ends_its_span_when_it_ends(connect, atoma, telemetry):
    chunks, verdict = connect(atoma).stream()

    told = telemetry.call.attributes
    lock, probe, second, answer = telemetry.below(telemetry.call)
    kinds = ["atoma.lock", "atoma.probe", "atoma.lock", "atoma.answer"]
    assert [span.name for span in (lock, probe, second, answer)] == kinds
    assert told["atoma.stream"] == verdict.stream == "live"
    assert told["atoma.events"] == len(chunks)
    assert told["gen_ai.request.stream"] is True
    assert (
        told["gen_ai.usage.output_tokens"] == chunks[-1]["usage"]["completion_tokens"]
    )
    first = told["gen_ai.response.time_to_first_chunk"]
    assert 0 < first < nanoseconds(telemetry.call) / 1e9
    # Its request lasts as long as the stream, and its size is that of all events.
    assert answer.end_time >= telemetry.call.start_time + first * 1e9
    assert told["atoma.response.size"] > 300 * len(chunks)
    assert told["atoma.requests"] == 1
    assert telemetry.find(text_of(chunks)) == []


def test_a_stream_fetched_whole_has_no_events(connect, atoma, telemetry):
    connect(atoma, stream_mode="buffered").stream()

    told = telemetry.call.attributes
    assert told["atoma.stream"] == "buffered"
    assert "gen_ai.response.time_to_first_chunk" in told
    assert "atoma.events" not in told


def test_a_stream_that_is_left_is_no_failure(connect, atoma, telemetry):
    connect(atoma).stream(take=2)

    call = telemetry.call
    assert call.attributes["atoma.end"] == "closed"
    assert call.attributes["atoma.events"] >= 2
    assert call.status.status_code is StatusCode.UNSET
    assert "error.type" not in call.attributes
    assert "atoma.sealed" not in call.attributes  # nothing was checked to the end


def test_a_stream_that_is_forgotten_ends_its_span(atoma, telemetry):
    with ac.Client(**settings(atoma)) as client:
        stream = client.stream_chat(MESSAGES, model=CHAT)
        next(stream)
        assert telemetry.calls == []
        del stream

        assert telemetry.call.attributes["atoma.end"] == "closed"


async def test_an_asynchronous_one_does_too(atoma, telemetry):
    async with ac.AsyncClient(**settings(atoma)) as client:
        stream = client.stream_chat(MESSAGES, model=CHAT)
        await anext(stream)
        assert telemetry.calls == []
        del stream
        await asyncio.sleep(0.1)

        assert telemetry.call.attributes["atoma.end"] == "closed"


def test_a_call_for_embeddings_is_one_span_over_its_batches(connect, atoma, telemetry):
    shell = connect(atoma)
    with telemetry.tracer.start_as_current_span("caller") as caller:
        reply = shell.embed(TEXTS, batch_size=2)

    call = telemetry.call
    assert call.name == f"embeddings {EMBEDDING}"
    assert call.parent.span_id == caller.get_span_context().span_id
    told = call.attributes
    assert told["atoma.requests"] == 3
    assert told["gen_ai.usage.input_tokens"] == reply.usage["prompt_tokens"]
    assert "gen_ai.usage.output_tokens" not in told
    requests = [span.name for span in telemetry.below(call)]
    assert sorted(requests) == ["atoma.answer"] * 3 + ["atoma.lock"] * 3
    (verdicts,) = telemetry.points["atoma.client.verdicts"]
    assert (verdicts.value, verdicts.attributes["atoma.sealed"]) == (1, True)
    numbers = [str(number) for vector in reply.vectors for number in vector]
    assert telemetry.find(*[text for text in numbers if len(text) > 8]) == []


def test_nothing_to_embed_is_a_call_without_a_verdict(connect, atoma, telemetry):
    connect(atoma).embed([])

    told = telemetry.call.attributes
    assert (told["atoma.end"], told["atoma.requests"]) == ("complete", 0)
    assert "atoma.sealed" not in told


def test_a_retry_is_told_with_what_it_is_for(connect, atoma, telemetry, delays):
    atoma.faults.once("lock-503", "post-425")
    connect(atoma).chat()

    told = telemetry.call.attributes
    assert (told["atoma.retries"], told["atoma.requests"]) == (2, 2)
    assert len(delays) == 2
    events = [(e.name, e.attributes["error.type"]) for e in telemetry.call.events]
    causes = ["NodeUnavailableError", "StackUnavailableError"]
    assert events == [("atoma.retry", cause) for cause in causes]
    spans = telemetry.below(telemetry.call)
    assert [span.attributes["atoma.attempt"] for span in spans] == [1, 2, 2, 3, 3]
    statuses = [span.attributes["http.response.status_code"] for span in spans]
    assert statuses == [503, 200, 425, 200, 200]
    assert [span.attributes.get("error.type") for span in spans[:3]] == [
        "503",
        None,
        "425",
    ]
    assert spans[0].status.status_code is StatusCode.ERROR
    counted = telemetry.points["atoma.client.retries"]
    assert sorted(point.attributes["error.type"] for point in counted) == causes
    assert [fields["error"] for fields in telemetry.of("retries")] == causes


def test_a_live_attempt_that_does_not_open_is_a_request_of_its_own(
    connect, atoma, telemetry, delays
):
    shell = connect(atoma, stream_mode="live")
    atoma.faults.once("tag-tampered")
    shell.stream()

    answers = [s for s in telemetry.below(telemetry.call) if s.name == "atoma.answer"]
    assert [span.attributes.get("error.type") for span in answers] == [
        "OpenError",
        None,
    ]
    assert [span.attributes["atoma.attempt"] for span in answers] == [1, 2]
    assert len(delays) == 1


FAILURES = [
    pytest.param("lock-401", {}, ac.AuthenticationError, "lock", id="lock refused"),
    pytest.param("post-401", {}, ac.AuthenticationError, "sealed", id="post refused"),
    pytest.param("post-400", {}, ac.InvalidRequestError, "sealed", id="bad request"),
    pytest.param(
        "post-silent", {"timeout": 0.5}, ac.ReplyTimeoutError, "sealed", id="timeout"
    ),
    pytest.param("hash-wrong", {}, ac.DigestMismatchError, "sealed", id="wrong hash"),
    pytest.param(
        None,
        {"trust": ac.TrustPolicy.pinned(keys=[bytes(31) + b"\x09"])},
        ac.PinMismatchError,
        "lock",
        id="untrusted",
    ),
]


@pytest.mark.parametrize(("fault", "more", "error", "left"), FAILURES)
def test_a_call_that_fails_ends_its_span_with_the_errors_class(
    make_atoma, connect, telemetry, fault, more, error, left
):
    atoma = make_atoma()
    shell = connect(atoma, max_retries=0, **more)
    if fault:
        atoma.faults.always(fault)
    with pytest.raises(error) as caught:
        shell.chat()

    call = telemetry.call
    assert call.attributes["error.type"] == type(caught.value).__name__
    assert call.attributes["atoma.exposure"] == left
    assert call.attributes["atoma.end"] == "failed"
    assert (call.status.status_code, call.status.description) == (
        StatusCode.ERROR,
        None,
    )
    assert call.events == ()
    (duration,) = telemetry.points["gen_ai.client.operation.duration"]
    assert duration.attributes["error.type"] == type(caught.value).__name__
    (logged,) = [fields for fields in telemetry.of("calls") if "end" in fields]
    assert (logged["end"], logged["exposure"]) == ("failed", left)
    assert telemetry.find(str(caught.value)) == []


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("stream-truncated:3", "StreamTruncatedError"),
        ("stream-cut:3", "StreamTruncatedError"),
        ("stream-stalled:3", "StreamStalledError"),
        ("stream-engine-error:3", "EngineError"),
    ],
)
def test_a_stream_that_breaks_ends_its_span_with_the_errors_class(
    make_atoma, connect, telemetry, fault, error
):
    atoma = make_atoma()
    shell = connect(atoma, stream_mode="live", stream_idle_timeout=0.5)
    atoma.faults.once(fault)
    with pytest.raises(getattr(ac, error)):
        shell.stream()

    assert telemetry.call.attributes["error.type"] == error
    assert telemetry.call.attributes["atoma.events"] >= 3
    answer = telemetry.below(telemetry.call)[-1]
    assert answer.attributes["error.type"] == error
    assert answer.attributes["http.response.status_code"] == 200


async def test_a_cancelled_call_ends_its_span(atoma, telemetry):
    atoma.faults.once("post-silent")
    async with ac.AsyncClient(**settings(atoma)) as client:
        task = asyncio.create_task(client.chat(MESSAGES, model=CHAT))
        while not posts(atoma):  # noqa: ASYNC110  the server's thread
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert telemetry.call.attributes["error.type"] == "CancelledError"
    assert "atoma.exposure" not in telemetry.call.attributes
    answer = telemetry.below(telemetry.call)[-1]
    assert answer.attributes["error.type"] == "CancelledError"
    assert "http.response.status_code" not in answer.attributes


def test_what_is_no_request_for_an_answer_is_told_too(
    recorded_atoma, connect, telemetry
):
    shell = connect(recorded_atoma, **with_record(recorded_atoma, RecordedKey()))
    shell.models()
    shell.appraise(
        node=recorded_atoma.node.small_id, key=recorded_atoma.node_public_key
    )
    shell.probe_nonces()

    names = ["models", "appraise", f"probe_nonces {CHAT}"]
    assert [call.name for call in telemetry.calls] == names
    models, appraise, probe = map(telemetry.below, telemetry.calls)
    assert [span.name for span in models] == ["atoma.answer"]
    assert [span.name for span in appraise] == ["atoma.evidence"]
    assert appraise[0].attributes["server.address"] == "127.0.0.1"
    assert [span.name for span in probe] == ["atoma.lock", "atoma.probe"]


def test_the_port_of_a_scheme_is_told_where_none_is_named(connect, telemetry):
    class Nowhere:
        api_key, base_url = "key-of-nobody-4711", "https://127.0.0.1"

    with pytest.raises(ac.ConnectionFailedError):
        connect(Nowhere, max_retries=0, timeout=1).models()

    assert telemetry.call.attributes["server.port"] == 443
    (answer,) = telemetry.below(telemetry.call)
    assert answer.attributes["error.type"] == "ConnectionFailedError"
    assert answer.attributes["http.response.body.size"] == 0


@pytest.mark.parametrize(
    ("usage", "model"),
    [
        ({"prompt_tokens": -1, "completion_tokens": "many"}, "my canary says hello"),
        ({"prompt_tokens": True}, 7),
    ],
)
def test_what_a_node_says_of_itself_is_told_only_if_it_is_a_count_or_a_name(
    connect, scripted, engine, telemetry, usage, model
):
    engine.usage, engine.answer_fields = usage, {"model": model}
    connect(scripted, stream_mode="live").stream()

    told = telemetry.call.attributes
    names = {"gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"}
    assert not {*told} & {*names, "gen_ai.response.model"}
    assert "gen_ai.client.token.usage" not in telemetry.points
    assert telemetry.find("my canary says hello") == []


@pytest.mark.clear_text
def test_what_travels_in_clear_says_so(connect, atoma, telemetry):
    connect(atoma, confidential=False).stream([{"role": "user", "content": "Hello."}])

    told = telemetry.call.attributes
    assert told["atoma.sealed"] is False
    assert not {"atoma.node", "atoma.key"} & {*told}
    assert told["atoma.assurance"] == "none"


def test_metrics_have_few_labels_and_no_ids(connect, atoma, telemetry):
    shell = connect(atoma)
    for _ in range(3):
        shell.chat()

    labels = [p.attributes for points in telemetry.points.values() for p in points]
    assert not {name for each in labels for name in each} & {
        "atoma.call.id",
        "atoma.key",
        "atoma.attempt",
    }
    (duration,) = telemetry.points["gen_ai.client.operation.duration"]
    assert duration.count == 3
    tokens = telemetry.points["gen_ai.client.token.usage"]
    assert {p.attributes["gen_ai.token.type"] for p in tokens} == {"input", "output"}
    requests = telemetry.points["atoma.client.request.duration"]
    by_kind = {p.attributes["atoma.request.kind"]: p.count for p in requests}
    assert by_kind == {"lock": 3, "answer": 3}
    (size,) = telemetry.points["atoma.client.request.size"]
    assert size.sum == sum(len(seen.body) for seen in posts(atoma))
