"""Any OpenAI-compatible engine behind the node: another local Atoma, a mock, a socket.

A real engine is in tests/ecosystem.
"""

import json
import logging

import httpx
import pytest
from mocked_engine import BODY, EVENT_STREAM, EVENTS, MODEL, QUESTION, STREAM, mock

from atoma_local import EngineError, LocalAtoma, UpstreamBackend


@pytest.fixture
def engine():
    """The plain endpoints of a local Atoma are an OpenAI-compatible engine."""
    with LocalAtoma() as atoma:
        yield atoma


@pytest.fixture
def wire(engine, make_atoma, connect, no_plaintext):
    no_plaintext(QUESTION)
    backend = UpstreamBackend(engine.base_url, engine.api_key)
    return connect(make_atoma(backend=backend))


def test_answers_come_from_the_engine(wire, engine):
    answer = wire.answer(BODY)

    assert "blue" in answer["choices"][0]["message"]["content"]
    assert engine.opened[-1].body["messages"] == BODY["messages"]


def test_streams_come_from_the_engine(wire):
    sealed, events = wire.stream(BODY)
    chunks = [sealed.open(event) for event in events]

    said = "".join(
        choice["delta"].get("content") or ""
        for chunk in chunks
        for choice in chunk["choices"]
    )
    assert "blue" in said
    assert chunks[-1]["usage"]["total_tokens"] > 0


def test_embeddings_come_from_the_engine(wire):
    answer = wire.answer({"model": MODEL, "input": QUESTION}, "embeddings")
    assert len(answer["data"][0]["embedding"]) == 384


def test_its_models_are_the_engines(wire, engine):
    assert wire.http.get("/v1/models").json()["data"][0]["id"] == MODEL
    reply = wire.http.post("/v1/nodes/lock", json={"model": "not-served"})
    assert reply.status_code == 503


@pytest.mark.parametrize("stream", [False, True])
def test_a_refusal_of_the_engine_is_an_error_at_the_node(wire, stream):
    body = BODY | {"temperature": 9, "stream": stream}
    assert wire.ask(body, stream=stream)[1].status_code == 500


async def chunks_of(content):
    backend = mock(lambda _: httpx.Response(200, headers=EVENT_STREAM, content=content))
    found = [chunk async for chunk in await backend.stream_chat(BODY)]
    await backend.aclose()
    return found


async def one_byte_at_a_time(body):
    for byte in body:
        yield bytes([byte])


@pytest.mark.parametrize(
    "stream",
    [
        STREAM,
        STREAM + "data: [DONE]\n\ndata: {}\n\n",
        STREAM + "data: [DONE]",
        ": comment\n\n" + STREAM.replace("\n", "\r\n"),
        "event: message\n" + STREAM.replace("data: ", "data:"),
        STREAM + "data: {broken\n\n",
        STREAM + "data: []\n\ndata: {}\n\n",
        STREAM + 'error: {"code":500}\n\n',
    ],
)
async def test_reads_a_stream_however_it_is_cut(stream):
    assert await chunks_of(stream.encode()) == EVENTS
    assert await chunks_of(one_byte_at_a_time(stream.encode())) == EVENTS


async def test_speaks_openai_to_the_engine():
    seen = []

    def answer(request):
        seen.append(request)
        return httpx.Response(200, json={"data": [{"id": "m"}], "object": "list"})

    backend = mock(answer)
    assert list(await backend.models()) == ["m"]
    await backend.embed({"input": "x"})
    await backend.complete({"prompt": "x"})
    await backend.aclose()
    await backend.chat(BODY)  # on connections of its own
    await backend.aclose()

    assert [str(request.url) for request in seen] == [
        f"http://engine.invalid/v1/{path}"
        for path in ("models", "embeddings", "completions", "chat/completions")
    ]
    assert {r.headers["authorization"] for r in seen} == {"Bearer secret-token"}
    assert "secret-token" not in repr(backend)


@pytest.mark.parametrize(
    ("listed", "taken", "refused"),
    [
        ([{"id": "m"}], ["m", "m", "m"], ["M", "m:latest"]),
        ([{"id": "llama3.2:latest"}], ["llama3.2", "llama3.2:latest"], ["llama3"]),
        ([{"object": "model"}, "m", {"id": "n"}], ["n"], ["m"]),
        (None, ["anything"], []),  # of Ollama without a model
        ([], ["anything"], []),
    ],
)
async def test_names_are_those_that_the_engine_lists(listed, taken, refused):
    asked = []

    def answer(request):
        asked.append(request)
        return httpx.Response(200, json={"object": "list", "data": listed})

    backend = mock(answer)
    assert all([await backend.serves(name) for name in taken])
    assert len(asked) == 1 or not listed  # what was listed is not asked for again
    assert not any([await backend.serves(name) for name in refused])
    await backend.aclose()


@pytest.mark.parametrize("status", [404, 405, 501])
async def test_an_engine_without_a_list_takes_every_name(status):
    backend = mock(lambda _: httpx.Response(status))
    assert await backend.serves("anything")
    assert list(await backend.models()) == []
    await backend.aclose()


def unreachable(_request):
    raise httpx.ConnectError("no route")


def late(_request):
    raise httpx.ReadTimeout("late")


FAILURES = [
    (unreachable, 502, "cannot be reached"),
    (late, 504, "did not answer in time"),
    (lambda _: httpx.Response(429, text="<html>"), 429, "refused with status 429"),
    (lambda _: httpx.Response(400, json={"error": QUESTION}), 400, "status 400"),
    (lambda _: httpx.Response(307, headers={"location": "/"}), 307, "status 307"),
]
WHOLE = [
    *FAILURES,
    (lambda _: httpx.Response(200, text="<html>"), 502, "JSON object"),
    (lambda _: httpx.Response(200, json=[]), 502, "JSON object"),
]
STREAMED = [
    *FAILURES,
    (lambda _: httpx.Response(200, json={"choices": []}), 502, "without a stream"),
]


@pytest.mark.parametrize(
    ("call", "answer", "status", "words"),
    [("chat", *case) for case in WHOLE] + [("stream_chat", *case) for case in STREAMED],
)
async def test_says_what_an_engine_did_wrong(call, answer, status, words, caplog):
    backend = mock(answer)
    with caplog.at_level(logging.WARNING), pytest.raises(EngineError) as caught:
        await getattr(backend, call)(BODY)
    await backend.aclose()
    assert caught.value.status == status
    assert words in str(caught.value)
    assert words in caplog.text
    assert QUESTION not in caplog.text  # engines quote prompts


@pytest.mark.parametrize("value", [float("nan"), "\ud800"])
async def test_what_no_json_can_hold_is_a_bad_body(value):
    backend = mock(lambda _: httpx.Response(200, json={}))
    with pytest.raises(EngineError) as caught:
        await backend.chat({**BODY, "stop": value})
    await backend.aclose()
    assert caught.value.status == 400


@pytest.fixture
def before(make_atoma, connect):
    """A client of a node before a mocked engine that serves `MODEL`."""

    def make(answer):
        def listed(request):
            if request.method == "GET":
                return httpx.Response(200, json={"data": [{"id": MODEL}]})
            return answer(request)

        return connect(make_atoma(backend=mock(listed)))

    return make


@pytest.mark.parametrize(
    ("engine_status", "chat_status", "embed_status"),
    [(400, 500, 500), (401, 500, 401), (403, 500, 500), (429, 500, 500)],
)
def test_of_an_engines_statuses_the_node_shows_few(
    before, engine_status, chat_status, embed_status
):
    wire = before(lambda _: httpx.Response(engine_status, json={"error": QUESTION}))

    embedding = {"model": MODEL, "input": QUESTION}
    replies = [wire.ask(BODY)[1], wire.ask(embedding, "embeddings")[1]]

    assert [reply.status_code for reply in replies] == [chat_status, embed_status]
    assert not any(QUESTION in reply.text for reply in replies)


def test_an_answer_without_usage_is_none(before):
    wire = before(lambda _: httpx.Response(200, json={"choices": []}))
    assert wire.ask(BODY)[1].status_code == 500


def test_usage_is_asked_for_with_every_stream(before):
    asked = []

    def answer(request):
        asked.append(json.loads(request.content))
        return httpx.Response(200, headers=EVENT_STREAM, content=STREAM)

    without = {"include_usage": False, "continuous_usage_stats": True}
    before(answer).stream(BODY | {"stream_options": without})

    assert asked[0]["stream_options"] == {"include_usage": True}


def test_texts_are_gone_on_with_by_the_engine_itself(before):
    asked = []
    said = {"choices": [{"text": " over"}], "usage": {"total_tokens": 3}}

    def answer(request):
        asked.append(request.url.path)
        return httpx.Response(200, json=said)

    body = {"model": MODEL, "prompt": "the river"}
    assert before(answer).answer(body, "completions") == said
    assert asked == ["/v1/completions"]


@pytest.mark.parametrize("answer", [unreachable, lambda _: httpx.Response(500)])
def test_without_its_engine_there_is_no_node(make_atoma, connect, answer):
    wire = connect(make_atoma(backend=mock(answer)))

    assert wire.http.post("/v1/nodes/lock", json={"model": MODEL}).status_code == 503
    assert wire.http.get("/v1/models").status_code == 503
    assert wire.http.get("/tasks").status_code == 503


def test_an_engine_that_goes_away_after_the_lock(make_atoma, connect):
    class Leaving(UpstreamBackend):
        async def serves(self, model):
            if atoma.exchanges[-1].path != "/v1/nodes/lock":
                raise EngineError(502, "the engine cannot be reached")
            return True

    atoma = make_atoma(backend=Leaving("http://engine.invalid"))

    assert connect(atoma).ask(BODY)[1].status_code == 500
