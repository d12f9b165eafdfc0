"""Any OpenAI-compatible engine behind the node: here, another local Atoma or a mock."""

import json

import httpx
import pytest

from atoma_local import EngineError, LocalAtoma, UpstreamBackend

MODEL = "meta-llama/Llama-3.3-70B-Instruct"
QUESTION = "The heliotrope meadow is blue. Which colour has the heliotrope meadow?"
BODY = {"model": MODEL, "messages": [{"role": "user", "content": QUESTION}]}


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


def mock(answer):
    return UpstreamBackend(
        "http://engine.invalid/v1/",
        "secret-token",
        transport=httpx.MockTransport(answer),
    )


async def chunks_of(content):
    backend = mock(lambda _: httpx.Response(200, content=content))
    found = [chunk async for chunk in await backend.stream_chat(BODY)]
    await backend.aclose()
    return found


async def one_byte_at_a_time(body):
    for byte in body:
        yield bytes([byte])


EVENTS = [{"id": "a", "text": "é"}, {"id": "b"}]
STREAM = "".join(f"data: {json.dumps(e, ensure_ascii=False)}\n\n" for e in EVENTS)


@pytest.mark.parametrize(
    "stream",
    [
        STREAM,
        STREAM + "data: [DONE]\n\ndata: {}\n\n",
        ": comment\n\n" + STREAM.replace("\n", "\r\n"),
        "event: message\n" + STREAM.replace("data: ", "data:"),
        STREAM + "data: {broken\n\n",
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
    await backend.aclose()

    assert [str(request.url) for request in seen] == [
        "http://engine.invalid/v1/models",
        "http://engine.invalid/v1/embeddings",
    ]
    assert {r.headers["authorization"] for r in seen} == {"Bearer secret-token"}
    assert "secret-token" not in repr(backend)


def unreachable(_request):
    raise httpx.ConnectError("no route")


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (unreachable, 502),
        (lambda _: httpx.Response(200, text="<html>"), 502),
        (lambda _: httpx.Response(429, json={}), 429),
        (lambda _: httpx.Response(200, json=[]), 200),
    ],
)
async def test_says_what_an_engine_did_wrong(answer, status):
    backend = mock(answer)
    with pytest.raises(EngineError) as caught:
        await backend.chat(BODY)
    await backend.aclose()
    assert caught.value.status == status


@pytest.mark.parametrize(
    ("answer", "status"),
    [(unreachable, 502), (lambda _: httpx.Response(400, json={}), 400)],
)
async def test_a_stream_that_is_refused_raises_before_the_first_chunk(answer, status):
    backend = mock(answer)
    with pytest.raises(EngineError) as caught:
        await backend.stream_chat(BODY)
    await backend.aclose()
    assert caught.value.status == status
