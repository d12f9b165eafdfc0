"""How engines speak, as far as they differ: written after their own formats.

llama.cpp's is also heard from itself, in tests/ecosystem.
"""

import json

import httpx
import pytest

from atoma_confidential import Client, EngineError, Exposure
from atoma_confidential.answers import AnswerReader
from atoma_local import UpstreamBackend

MODEL = "m"
USAGE = {"prompt_tokens": 31, "completion_tokens": 2, "total_tokens": 33}
HEAD = {
    "id": "chatcmpl-1",
    "object": "chat.completion.chunk",
    "created": 1,
    "model": MODEL,
}


def chunk(delta, **beside):
    """A chunk; what stands beside the delta in its choice, or in it as `also`."""
    also = beside.pop("also", {})
    choice = {"index": 0, "delta": delta, "finish_reason": None, **beside}
    return {**HEAD, "choices": [choice], **also}


def call(arguments, **first):
    named = {"name": first.pop("name")} if "name" in first else {}
    function = {**named, "arguments": arguments}
    return {"tool_calls": [{"index": 0, "function": function, **first}]}


TIMINGS = {"timings": {"predicted_n": 2, "predicted_ms": 1.0}}
NULLS = {"logprobs": None, "stop_reason": None, "token_ids": None}
NO_USAGE = {"usage": None, "prompt_token_ids": None}
NAMED = {"type": "function", "name": "f"}
SPOKEN = {
    # A first content of null, an empty last delta, and figures of its own.
    "llama.cpp": [
        chunk({"role": "assistant", "content": None}),
        chunk({"content": "é\u2028"}),
        chunk({"content": " ok"}),
        chunk({}, finish_reason="length"),
        {**HEAD, "choices": [], "usage": USAGE, **TIMINGS},
    ],
    # Everything that it knows of, as null, in each chunk.
    "vllm": [
        chunk({"role": "assistant", "content": ""}, **NULLS, also=NO_USAGE),
        chunk({"content": "é\u2028", "tool_calls": []}, **NULLS, also=NO_USAGE),
        chunk({"content": " ok", "reasoning_content": None}, **NULLS, also=NO_USAGE),
        chunk({"content": ""}, **{**NULLS, "finish_reason": "length"}, also=NO_USAGE),
        {**HEAD, "choices": [], "usage": {**USAGE, "prompt_tokens_details": None}},
    ],
    # The role is in every chunk, and the last one has it too.
    "ollama": [
        chunk({"role": "assistant", "content": "é\u2028"}),
        chunk({"role": "assistant", "content": " ok"}),
        chunk({"role": "assistant", "content": ""}, finish_reason="length"),
        {**HEAD, "system_fingerprint": "fp_ollama", "choices": [], "usage": USAGE},
    ],
    # Usage comes with the last choice instead of after it.
    "usage-beside-the-end": [
        chunk({"role": "assistant", "content": "é\u2028 ok"}),
        chunk({}, finish_reason="length", also={"usage": USAGE}),
    ],
}
CALLED = {
    "llama.cpp": [
        chunk({"role": "assistant", "content": None}),
        chunk(call("{", id="a", **NAMED)),
        chunk(call('"x":1}')),
        chunk({}, finish_reason="tool_calls"),
        {**HEAD, "choices": [], "usage": USAGE},
    ],
    "vllm": [
        chunk({"role": "assistant", "content": ""}, **NULLS),
        chunk(call("", id="a", **NAMED), **NULLS),
        chunk(call('{"x":1}'), **NULLS),
        chunk({"content": ""}, **{**NULLS, "finish_reason": "tool_calls"}),
        {**HEAD, "choices": [], "usage": USAGE},
    ],
    "ollama": [
        chunk({"role": "assistant", "content": "", **call('{"x":1}', id="a", **NAMED)}),
        chunk({"role": "assistant", "content": ""}, finish_reason="tool_calls"),
        {**HEAD, "choices": [], "usage": USAGE},
    ],
}


@pytest.fixture
def hear(make_atoma):
    """Read the chunks of an engine through the sealed path."""

    def read(chunks):
        events = [*chunks, "[DONE]"]
        lines = [
            one if isinstance(one, str) else json.dumps(one, ensure_ascii=False)
            for one in events
        ]
        content = "".join(f"data: {line}\n\n" for line in lines).encode()

        def answer(request):
            if request.method == "GET":
                return httpx.Response(200, json={"data": [{"id": MODEL}]})
            kind = {"content-type": "text/event-stream"}
            return httpx.Response(200, headers=kind, content=content)

        transport = httpx.MockTransport(answer)
        backend = UpstreamBackend("http://engine.invalid", transport=transport)
        atoma = make_atoma(backend=backend)
        reader, text = AnswerReader(), ""
        with Client(
            api_key=atoma.api_key, base_url=atoma.base_url, stream_mode="live"
        ) as client:
            asked = [{"role": "user", "content": "The heliotrope meadow?"}]
            for heard in client.stream_chat(asked, model=MODEL):
                text += reader.read(heard).text
        reader.finish(Exposure.SEALED)
        return reader, text

    return read


@pytest.mark.parametrize("engine", SPOKEN)
def test_what_each_engine_says(hear, engine):
    reader, text = hear(SPOKEN[engine])

    assert text == "é\u2028 ok"
    assert reader.end["finish_reason"] == "length"
    assert reader.usage.items() >= USAGE.items()


@pytest.mark.parametrize("engine", CALLED)
def test_what_each_engine_calls(hear, engine):
    reader, text = hear(CALLED[engine])

    [call] = reader.calls
    assert (call.given_id, call.name, call.arguments) == ("a", "f", '{"x":1}')
    assert text == ""
    assert reader.end["finish_reason"] == "tool_calls"


def test_an_error_within_a_stream_is_the_engines(hear):
    error = {"error": {"message": "out of memory", "code": 500}}
    with pytest.raises(EngineError):
        hear([*SPOKEN["vllm"][:2], error])
