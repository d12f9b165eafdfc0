"""What is sent, seen from the engine: rarer blocks, tools, streams, system prompts."""

import asyncio
import base64
import inspect
import json
import socket

import httpx
import pytest
from adding import add
from llama_index.core.base.llms.types import (
    AudioBlock,
    ChatMessage,
    CitableBlock,
    DocumentBlock,
    ImageBlock,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from pydantic import BaseModel

from llama_index_atoma import AtomaChatModel, AtomaEmbeddings, errors

CHAT = "meta-llama/Llama-3.3-70B-Instruct"
ASKED = [ChatMessage(role="user", content="Q")]
# Bytes of a sound, all of which happen to be letters of base64.
LETTERS = b"RIFF0000WAVE"


def user(*blocks):
    return ChatMessage(role="user", blocks=list(blocks))


@pytest.fixture
def wire(scripted_chat, engine):
    """Send messages; give those that the engine was sent."""

    def send(*messages):
        scripted_chat.chat(messages)
        return engine.asked[-1]["messages"]

    return send


class Function(BaseModel):
    name: str
    arguments: str


class OthersCall(BaseModel):
    """A call as the SDK of another provider has it."""

    id: str
    type: str = "function"
    function: Function


def test_a_message_that_holds_pydantic_objects_can_be_kept_and_sent(
    scripted_chat, wire
):
    call = OthersCall(id="c", function=Function(name="f", arguments='{"a": 1}'))
    kwargs = {"tool_calls": [call], "seen": {"by": Function(name="x", arguments="")}}
    asked = ChatMessage(role="assistant", additional_kwargs=kwargs)
    kept = ChatMessage.model_validate(json.loads(json.dumps(asked.model_dump())))
    assert kept.additional_kwargs["tool_calls"] == [call.model_dump()]
    assert json.loads(asked.model_dump_json()) == asked.model_dump(mode="json")
    answer = ChatMessage(
        role="tool", content="42", additional_kwargs={"tool_call_id": "c"}
    )
    for message in (asked, kept):
        assert wire(message, answer)[0]["tool_calls"] == [
            {
                "id": "c",
                "type": "function",
                "function": {"name": "f", "arguments": '{"a": 1}'},
            }
        ]
    response = scripted_chat.chat(ASKED)
    response.message.additional_kwargs["mine"] = call
    assert json.loads(response.model_dump_json())["message"]["additional_kwargs"] == {
        "mine": call.model_dump()
    }


@pytest.mark.parametrize("role", ["function", MessageRole.FUNCTION, "tool"])
def test_a_functions_answer_is_a_tools(wire, role):
    call = ToolCallBlock(tool_call_id="c", tool_name="f", tool_kwargs={})
    answer = ChatMessage(
        role=role, content="42", additional_kwargs={"tool_call_id": "c", "name": "f"}
    )
    messages = wire(ChatMessage(role="assistant", blocks=[call]), answer)
    assert messages[1] == {"role": "tool", "tool_call_id": "c", "content": "42"}


@pytest.mark.parametrize(
    ("block", "place"),
    [
        (AudioBlock, ("input_audio", "data")),
        (DocumentBlock, ("file", "file_data")),
        (ImageBlock, ("image_url", "url")),
    ],
)
def test_files_are_encoded_whatever_their_bytes_look_like(wire, tmp_path, block, place):
    path = tmp_path / "file"
    path.write_bytes(LETTERS)
    kind = {
        AudioBlock: {"format": "wav"},
        DocumentBlock: {"document_mimetype": "text/plain", "title": "t"},
        ImageBlock: {"image_mimetype": "image/png"},
    }
    (part,) = wire(user(block(path=path, **kind[block])))[0]["content"]
    data = part[place[0]][place[1]].rpartition(",")[2]
    assert base64.b64decode(data, validate=True) == LETTERS


def test_detail_goes_with_an_address(wire):
    block = ImageBlock(url="https://images.example/cat.png", detail="low")
    (part,) = wire(user(block))[0]["content"]
    assert part["image_url"] == {
        "url": "https://images.example/cat.png",
        "detail": "low",
    }


def test_a_citable_block_is_what_it_holds(wire, tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"text")
    held = [
        TextBlock(text="said"),
        DocumentBlock(path=path, document_mimetype="text/plain", title="a.txt"),
    ]
    block = CitableBlock(title="t", source="s", content=held)
    first, second = wire(user(block))[0]["content"]
    assert first == {"type": "text", "text": "said"}
    assert second["file"]["filename"] == "a.txt"


def test_thoughts_in_anyones_message_are_not_text(wire):
    message = user(ThinkingBlock(content="hm"), TextBlock(text="Hello"))
    assert wire(message)[0]["content"] == "Hello"


def test_a_block_that_nobody_knows_is_refused_by_name(scripted_chat, engine):
    class Block:
        block_type = "hologram"
        text = "heliodora"

    message = user(TextBlock(text="heliodora"))
    message.blocks.append(Block())
    with pytest.raises(errors.InvalidInputError, match="'hologram'") as caught:
        scripted_chat.chat([message])
    assert "heliodora" not in str(caught.value)
    assert engine.asked == []


def test_what_a_stream_is_asked_for(scripted_chat, engine):
    list(scripted_chat.stream_chat(ASKED, tools=[], tool_choice="auto"))
    body = engine.asked[-1]
    assert None not in body.values()
    assert body["stream"] is True
    assert body["stream_options"] == {"include_usage": True}
    assert not body.keys() & {"tools", "tool_choice", "parallel_tool_calls"}


def test_a_tool_is_forced_by_its_own_name(scripted_chat, engine):
    tool = FunctionTool.from_defaults(add, name="add numbers")
    scripted_chat.chat_with_tools([tool], user_msg="Q", tool_choice="add numbers")
    forced = {"type": "function", "function": {"name": "add_numbers"}}
    assert engine.asked[-1]["tool_choice"] == forced


def test_a_tool_may_be_required_and_described_at_length(scripted_chat, engine):
    tool = FunctionTool.from_defaults(add, description="long " * 1000)
    scripted_chat.chat_with_tools([tool], user_msg="Q", tool_required=True)
    body = engine.asked[-1]
    assert body["tool_choice"] == "required"
    assert len(body["tools"][0]["function"]["description"]) > 4000


def two_calls():
    return [
        {"index": n, "id": f"c{n}", "function": {"name": "add", "arguments": "{}"}}
        for n in range(2)
    ]


async def gathered(items):
    return [item async for item in await items]


@pytest.mark.parametrize(("allowed", "count"), [(False, 1), (True, 2)])
def test_streams_with_tools_keep_one_call_unless_told(
    scripted_chat, engine, allowed, count
):
    end = {"delta": {}, "finish_reason": "tool_calls"}
    engine.chunks = [{"delta": {"tool_calls": two_calls()}}, end]
    asked = {"user_msg": "Q", "allow_parallel_tool_calls": allowed}
    tools = [FunctionTool.from_defaults(add)]
    items = list(scripted_chat.stream_chat_with_tools(tools, **asked))
    items += asyncio.run(
        gathered(scripted_chat.astream_chat_with_tools(tools, **asked))
    )
    assert {
        len(scripted_chat.get_tool_calls_from_response(item)) for item in items
    } == {count}


def test_the_callers_history_is_not_changed_by_calls_with_tools(scripted_chat):
    history = [ChatMessage(role="system", content="S")]
    tools = [FunctionTool.from_defaults(add)]
    asked = {"user_msg": "Q", "chat_history": history}
    scripted_chat.chat_with_tools(tools, **asked)
    list(scripted_chat.stream_chat_with_tools(tools, **asked))
    asyncio.run(scripted_chat.achat_with_tools(tools, **asked))
    assert [message.content for message in history] == ["S"]


def test_a_tools_own_error_in_a_loop(chat):
    def divide(a: int, b: int) -> float:
        """Divide two numbers."""
        return a / b

    tool = FunctionTool.from_defaults(divide)
    asked = {"user_msg": "divide 1 by 0"}

    async def run():
        answer = await chat.apredict_and_call([tool], **asked)
        assert answer.sources[0].is_error
        with pytest.raises(ValueError, match="division"):
            await chat.apredict_and_call([tool], error_on_tool_error=True, **asked)

    asyncio.run(run())


PROMPT = PromptTemplate("Q")
PREDICTIONS = [
    lambda m: m.predict(PROMPT),
    lambda m: asyncio.run(m.apredict(PROMPT)),
    lambda m: "".join(m.stream(PROMPT)),
    lambda m: "".join(asyncio.run(gathered(m.astream(PROMPT)))),
]


@pytest.mark.parametrize("predict", PREDICTIONS)
@pytest.mark.parametrize("policy", ["allow", "suppress"])
def test_every_prediction_sends_the_system_prompt(
    scripted_chat, engine, predict, policy, events
):
    scripted_chat.system_prompt = "S"
    scripted_chat.tracing_policy = policy
    assert predict(scripted_chat) == "Yes."
    assert [m["content"] for m in engine.asked[-1]["messages"]] == ["S", "Q"]


COMPLETIONS = ["complete", "acomplete", "stream_complete", "astream_complete"]


@pytest.mark.parametrize("name", COMPLETIONS)
def test_every_completion_wants_one_prompt(scripted_chat, engine, name):
    def run(*args, **kwargs):
        items = getattr(scripted_chat, name)(*args, **kwargs)
        if name == "astream_complete":
            return asyncio.run(gathered(items))[-1]
        if inspect.isawaitable(items):
            return asyncio.run(_awaited(items))
        return items if name == "complete" else list(items)[-1]

    async def _awaited(item):
        return await item

    assert run("Q").text == run(prompt="Q").text == "Yes."
    assert [b["messages"][0]["content"] for b in engine.asked] == ["Q", "Q"]
    with pytest.raises(ValueError, match="No prompt"):
        run()
    with pytest.raises(TypeError, match="multiple values"):
        run("Q", prompt="Q")


def test_memory_is_cut_to_what_the_model_takes():
    model = AtomaChatModel(model=CHAT, api_key="k")
    assert ChatMemoryBuffer.from_defaults(llm=model).token_limit == 98_304
    small = AtomaChatModel(model=CHAT, api_key="k", context_window=1000)
    assert ChatMemoryBuffer.from_defaults(llm=small).token_limit == 750


def test_making_a_model_reaches_nobody(monkeypatch):
    def no_socket(*args, **kwargs):
        raise AssertionError("nothing is asked for")

    monkeypatch.setattr(socket, "socket", no_socket)
    monkeypatch.setattr(socket, "getaddrinfo", no_socket)
    model = AtomaChatModel(model=CHAT, api_key="k")
    assert AtomaChatModel.from_dict({**model.to_dict(), "api_key": "k"}) is not None
    embeddings = AtomaEmbeddings(model_name="e", api_key="k")
    assert embeddings.to_payload()["model_name"] == "e"
    assert CHAT in repr(model)
    assert "'e'" in repr(embeddings)


@pytest.fixture
def limits():
    """A client, and the read timeouts of its requests."""
    seen = []

    def note(request):
        seen.append((request.url.path, request.extensions["timeout"]["read"]))

    with httpx.Client(event_hooks={"request": [note]}) as client:
        yield client, seen


def test_no_hidden_ceiling_of_time(scripted, make_chat, make_embeddings, limits):
    client, seen = limits
    known = {"timeout": 1234.0, "http_client": client}
    make_chat(scripted, **known).chat(ASKED)
    make_embeddings(scripted, **known).get_text_embedding("a")
    answers = [read for path, read in seen if "lock" not in path]
    assert answers == [1234.0, 1234.0]
