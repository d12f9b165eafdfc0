"""`atoma proxy`: what has only a base URL asks, and all that leaves is sealed."""

import http.client
import json

import httpx
import openai
import pytest
from endless import Endless, hung_up
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from proxied import proxied
from pydantic import BaseModel
from shells import CHAT, EMBEDDING, MESSAGES, QUESTION, SECRET
from waiting import Waiting

ASKED = f"{SECRET}\n\nQuestion: {QUESTION}"
ASK = {"model": CHAT, "messages": MESSAGES}


class Bottles(BaseModel):
    """How many bottles there are."""

    bottles: int


@pytest.fixture
def proxy(atoma, no_plaintext):
    no_plaintext(SECRET, QUESTION)
    with proxied(atoma, stream_mode="live") as proxy:
        yield proxy


# Of the SDK's 2.x and 3.x, every kind of call is in tests/interop/test_openai_sdk.py.


def test_langchain_needs_only_a_base_url(atoma, proxy):
    chat = ChatOpenAI(model=CHAT, **proxy.sdk)
    vectors = OpenAIEmbeddings(
        model=EMBEDDING, check_embedding_ctx_length=False, **proxy.sdk
    )

    assert "4711" in chat.invoke(ASKED).content
    assert len([*chat.stream(ASKED)]) > 3
    assert chat.with_structured_output(Bottles).invoke(ASKED).bottles == 4711
    assert [len(v) for v in vectors.embed_documents([SECRET, QUESTION])] == [384] * 2
    assert len(atoma.opened) == 4
    assert atoma.violations == []


def test_nothing_of_the_caller_goes_on_and_no_key_comes_back(atoma, proxy, recorded):
    given = {"user-agent": "editor/1", "x-trace": "trace-of-mine", "cookie": "c=mine"}

    done = httpx.post(
        f"{proxy.url}/v1/chat/completions", json=ASK, headers=proxy.headers | given
    )

    assert done.status_code == 200
    assert recorded.find([proxy.token, *given.values()]) == []
    heads = str([exchange.headers for exchange in atoma.exchanges])
    assert not any(text in heads for text in [proxy.token, *given.values()])
    assert {e.headers["authorization"] for e in atoma.exchanges} == {
        f"Bearer {atoma.api_key}"
    }
    assert atoma.api_key not in f"{done.headers}{done.text}{proxy.lines}"


def test_a_whole_answer_has_its_verdict_in_a_header(proxy):
    with openai.OpenAI(**proxy.sdk) as client:
        raw = client.chat.completions.with_raw_response.create(**ASK)

    verdict = json.loads(raw.headers["x-atoma-verdict"])
    assert verdict["sealed"]
    assert verdict["assurance"] == "proxy_asserted"
    (line,) = proxy.said(1)
    assert line == (
        "POST /v1/chat/completions: 200, sealed to node "
        f"{verdict['node']}, key {verdict['key']}, proxy_asserted"
    )


def test_a_stream_has_its_verdict_in_a_comment_before_it_is_done(proxy):
    asked = json.dumps(ASK | {"stream": True})
    kind = {"content-type": "application/json"}
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port)
    connection.request("POST", "/v1/chat/completions", asked, proxy.headers | kind)
    response = connection.getresponse()
    *events, said, done, rest = response.read().decode().split("\n\n")
    connection.close()

    assert response.headers["content-type"] == "text/event-stream"
    assert len(events) > 3
    assert {event[:6] for event in events} == {"data: "}
    name, _, verdict = said.removeprefix(": ").partition(" ")
    assert name == "x-atoma-verdict"
    assert json.loads(verdict)["stream"] == "live"
    assert (done, rest) == ("data: [DONE]", "")
    assert "sealed to node" in proxy.said(1)[0]


def test_a_piece_is_there_before_the_next_is_made(make_atoma):
    engine = Waiting()
    with (
        proxied(make_atoma(backend=engine), stream_mode="live") as proxy,
        openai.OpenAI(**proxy.sdk) as client,
    ):
        stream = client.chat.completions.create(**ASK, stream=True)
        first = next(stream).choices[0].delta.content
        assert not engine.go_on.is_set()
        engine.go_on.set()
        rest = [chunk.choices[0].delta.content for chunk in stream]
    assert first == "The "
    assert "ferry." in rest


def test_who_leaves_a_stream_leaves_the_node(make_atoma):
    engine = Endless()
    with (
        proxied(make_atoma(backend=engine), stream_mode="live") as proxy,
        openai.OpenAI(**proxy.sdk) as client,
    ):
        with client.chat.completions.create(**ASK, stream=True) as stream:
            next(stream)
        assert hung_up(engine)
    assert proxy.lines == ["POST /v1/chat/completions: the caller hung up"]


def test_who_leaves_before_an_answer_leaves_the_network(make_atoma):
    engine = Waiting()  # which answers nobody before the end of this test
    with (
        proxied(make_atoma(backend=engine)) as proxy,
        openai.OpenAI(**proxy.sdk, timeout=0.5, max_retries=0) as client,
        pytest.raises(openai.APITimeoutError),
    ):
        client.chat.completions.create(**ASK)
    assert engine.begun.is_set()
    assert proxy.lines == ["POST /v1/chat/completions: the caller hung up"]
    engine.go_on.set()


def test_what_was_said_in_clear_is_said_of_no_call(proxy, canary):
    with openai.OpenAI(**proxy.sdk) as client:
        client.chat.completions.create(**ASK)
        client.embeddings.create(model=EMBEDDING, input=[SECRET])
        client.models.list()
        with pytest.raises(openai.BadRequestError):
            client.chat.completions.create(**ASK, n=2, stream=True)

    said = "\n".join(proxy.said(4))
    assert [line.split(":")[1][:4] for line in proxy.lines] == [
        " 200",
        " 200",
        " 200",
        " 400",
    ]
    assert canary not in said
    assert proxy.token not in said
