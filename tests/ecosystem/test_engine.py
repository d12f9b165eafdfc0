"""Real tokens, real usage and a real tool template go through the sealed path.

What the sealed client says is compared with what the engine says when it is asked
without us. The model is random, so that its words are nonsense.
"""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from langchain_core.messages import HumanMessage, ToolMessage
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.tools import FunctionTool
from pydantic import BaseModel, Field

import langchain_atoma as lc
import llama_index_atoma as li
from atoma_confidential import Client, ConfidentialError
from atoma_local import UpstreamBackend

pytest.importorskip("xllamacpp", reason="it has no wheel for this system")

SERVER = Path(__file__).with_name("tiny_engine.py")
KEY = "engine-key"
SECONDS = 60
QUESTION = "Where does the river meet the blue meadow?"
LENGTH = 200
SETTINGS = {"temperature": 0.0, "seed": 7}


class Engine:
    def __init__(self, url, log):
        self.url = url
        self._log = log
        headers = {"Authorization": f"Bearer {KEY}"}
        self._http = httpx.Client(
            base_url=url, headers=headers, timeout=SECONDS, trust_env=False
        )

    def close(self):
        self._http.close()

    def ask(self, body, path="/v1/chat/completions"):
        reply = self._http.post(path, json=body)
        assert reply.status_code == 200, reply.text
        return reply.json()

    def again(self, opened):
        """What the engine answers to what the node opened, whole and without us."""
        body = {k: v for k, v in opened.body.items() if not k.startswith("stream")}
        return self.ask(body)

    def token(self, text):
        [token] = self.ask({"content": text, "parse_special": True}, "/tokenize")[
            "tokens"
        ]
        return token

    def logged(self, words):
        """Wait for words in what it writes of itself."""
        end = time.monotonic() + SECONDS
        while words not in self._log.read_text():
            assert time.monotonic() < end, words
            time.sleep(0.05)


@pytest.fixture(scope="module")
def real_engine(tmp_path_factory):
    """llama.cpp before a tiny model, in a process of its own."""
    folder = tmp_path_factory.mktemp("engine")
    log = folder / "log"
    with (
        log.open("w") as errors,
        subprocess.Popen(  # noqa: S603  our own server
            [sys.executable, str(SERVER), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        try:
            url = process.stdout.readline().strip()
            assert url, log.read_text()
            engine = Engine(url, log)
            yield engine
            engine.close()
        finally:
            process.kill()


@pytest.fixture
def node(real_engine, make_atoma):
    return make_atoma(backend=UpstreamBackend(real_engine.url, KEY))


def of(node):
    return {"base_url": node.base_url, "api_key": node.api_key}


@pytest.fixture
def chain(node):
    return lc.AtomaChatModel(
        model="tiny", max_tokens=LENGTH, stream_mode="live", **SETTINGS, **of(node)
    )


@pytest.fixture
def llama(node):
    return li.AtomaChatModel(
        model="tiny", max_tokens=LENGTH, stream_mode="live", **SETTINGS, **of(node)
    )


def by_client(node, *, stream):
    asked = [{"role": "user", "content": QUESTION}]
    options = {"model": "tiny", "max_tokens": LENGTH, **SETTINGS}
    with Client(**of(node), stream_mode="live") as client:
        if not stream:
            answer = client.chat(asked, **options).body
            choice = answer["choices"][0]
            pieces = [choice["message"]["content"]]
            return pieces, answer["usage"], choice["finish_reason"]
        chunks = [*client.stream_chat(asked, **options)]
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    pieces = [choice["delta"].get("content") or "" for choice in choices]
    return pieces, chunks[-1]["usage"], choices[-1]["finish_reason"]


def by_chain(chain, *, stream):
    chunks = [*chain.stream(QUESTION)] if stream else [chain.invoke(QUESTION)]
    whole = sum(chunks[1:], start=chunks[0])
    used = whole.usage_metadata
    usage = {
        "prompt_tokens": used["input_tokens"],
        "completion_tokens": used["output_tokens"],
        "total_tokens": used["total_tokens"],
    }
    pieces = [chunk.text for chunk in chunks]
    return pieces, usage, whole.response_metadata["finish_reason"]


def by_llama(llama, *, stream):
    asked = [ChatMessage(QUESTION)]
    chunks = [*llama.stream_chat(asked)] if stream else [llama.chat(asked)]
    pieces = [c.delta for c in chunks] if stream else [chunks[-1].message.content]
    last = chunks[-1]
    return pieces, last.additional_kwargs, last.raw["choices"][0]["finish_reason"]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("way", ["client", "chain", "llama"])
def test_answers_are_the_engines_own(way, stream, node, real_engine, request):
    if way == "client":
        pieces, usage, reason = by_client(node, stream=stream)
    else:
        ask = by_chain if way == "chain" else by_llama
        pieces, usage, reason = ask(request.getfixturevalue(way), stream=stream)
    own = real_engine.again(node.opened[-1])

    text = own["choices"][0]["message"]["content"]
    assert "".join(pieces) == text
    assert "\u2028" in text  # what Unicode takes for the end of a line
    counted = ("prompt_tokens", "completion_tokens", "total_tokens")
    assert {k: usage[k] for k in counted} == {k: own["usage"][k] for k in counted}
    assert own["usage"]["completion_tokens"] == LENGTH
    assert reason == "length"
    assert len([p for p in pieces if p]) > (LENGTH / 2 if stream else 0)


class Weather(BaseModel):
    """Look up the weather."""

    city: str = Field(json_schema_extra={"enum": ["Paris", "Oslo"]})
    days: int = Field(ge=1, le=7)


@pytest.fixture
def calling(real_engine):
    """A bias that makes a random model call: the grammar of the engine does the rest.

    Most of all it wants to end, which it may not before it has called.
    """
    return {
        real_engine.token("<tool_call>"): 50.0,
        real_engine.token("<|im_end|>"): 60.0,
    }


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_chain_gets_real_tool_calls(stream, chain, calling, node, real_engine):
    model = chain.bind_tools(
        [Weather], tool_choice="any", parallel_tool_calls=False, logit_bias=calling
    )
    chunks = [*model.stream(QUESTION)] if stream else [model.invoke(QUESTION)]
    answer = sum(chunks[1:], start=chunks[0])
    own = real_engine.again(node.opened[-1])["choices"][0]["message"]["tool_calls"]

    [call] = answer.tool_calls
    assert call["name"] == "Weather"
    assert call["args"] == json.loads(own[0]["function"]["arguments"])
    assert Weather.model_validate(call["args"])
    assert answer.response_metadata["finish_reason"] == "tool_calls"

    result = ToolMessage("Snow until Friday.", tool_call_id=call["id"])
    said = chain.invoke([HumanMessage(QUESTION), answer, result])
    own = real_engine.again(node.opened[-1])
    assert said.text == own["choices"][0]["message"]["content"]
    rendered = real_engine.ask(node.opened[-1].body, "/apply-template")["prompt"]
    assert '<tool_call>\n{"name": "Weather"' in rendered
    assert "Snow until Friday." in rendered


def test_llama_index_gets_real_tool_calls(llama, calling):
    tool = FunctionTool.from_defaults(
        fn=lambda **given: "", name="Weather", fn_schema=Weather, description="Weather."
    )
    bias = {str(token): much for token, much in calling.items()}
    answer = llama.chat_with_tools(
        [tool], QUESTION, tool_required=True, logit_bias=bias
    )

    [call] = llama.get_tool_calls_from_response(answer)
    assert call.tool_name == "Weather"
    assert Weather.model_validate(call.tool_kwargs)


def test_the_engines_template_sees_our_tools(chain, node, real_engine):
    without = chain.invoke(QUESTION).usage_metadata["input_tokens"]
    with_tools = chain.bind_tools([Weather]).invoke(QUESTION)
    rendered = real_engine.ask(node.opened[-1].body, "/apply-template")["prompt"]
    spelled = {"content": rendered, "parse_special": True}
    tokens = real_engine.ask(spelled, "/tokenize")["tokens"]

    assert '"Look up the weather."' in rendered
    assert with_tools.usage_metadata["input_tokens"] == len(tokens) > without


def test_a_schema_is_filled_by_the_engines_grammar(chain):
    filled = chain.with_structured_output(Weather, method="json_schema")
    assert isinstance(filled.invoke(QUESTION), Weather)


def test_vectors_are_the_engines_own(node, real_engine):
    texts = [QUESTION, "The crow is over the river."]
    own = real_engine.ask({"model": "tiny", "input": texts}, "/v1/embeddings")
    expected = [pytest.approx(one["embedding"], abs=1e-6) for one in own["data"]]

    chain = lc.AtomaEmbeddings(model="tiny", **of(node))
    assert chain.embed_documents(texts) == expected
    llama = li.AtomaEmbeddings(model="tiny", **of(node))
    assert llama.get_text_embedding_batch(texts) == expected


def test_a_prompt_that_is_too_long_is_refused_without_its_words(chain, node):
    with pytest.raises(ConfidentialError) as caught:
        chain.invoke(QUESTION * 1000)
    assert QUESTION not in str(caught.value)
    assert node.opened  # it was the engine


def test_who_leaves_stops_the_engine(chain, real_engine):
    stream = chain.stream(QUESTION, max_tokens=3500)
    next(stream)
    stream.close()

    real_engine.logged("cancel task")


def test_the_command_stands_before_the_engine(real_engine, monkeypatch):
    monkeypatch.setenv("ATOMA_UPSTREAM_API_KEY", KEY)
    command = [sys.executable, "-m", "atoma_cli", "local", "--port", "0"]
    with subprocess.Popen(  # noqa: S603  our own command
        [*command, "--upstream", real_engine.url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        lines = [process.stdout.readline().strip() for _ in range(2)]
        with Client(
            base_url=lines[0].removeprefix("ATOMA_BASE_URL="),
            api_key=lines[1].removeprefix("ATOMA_API_KEY="),
        ) as client:
            asked = [{"role": "user", "content": QUESTION}]
            answer = client.chat(asked, model="tiny", max_tokens=5).body
            names = [model.id for model in client.models()]
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()

    assert names == ["tiny"]
    assert answer["usage"]["completion_tokens"] == 5
    assert f"The engine at {real_engine.url} serves tiny." in said
    assert KEY not in said
