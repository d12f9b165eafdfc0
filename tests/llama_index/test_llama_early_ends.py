"""Leaving what is built on a stream hangs up as well, and read streams hang up too.

The collector is off: what hangs up is the code, and not a cycle that was found.
"""

import asyncio
import gc
import weakref

import httpx
import pytest
from adding import TOOL
from endless import Endless, hung_up
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.callbacks import CallbackManager
from llama_index.core.prompts import PromptTemplate
from pydantic import BaseModel

from llama_index_atoma import errors

CHAT = "meta-llama/Llama-3.3-70B-Instruct"
ASKED = [ChatMessage(role="user", content="Q")]
PROMPT = PromptTemplate("Q")

pytestmark = pytest.mark.usefixtures("no_collector")


class Thing(BaseModel):
    """A thing."""

    name: str = ""


def one_object(body):
    """Say one JSON object for ever, by a call where a tool is forced."""
    say = _called if isinstance(body.get("tool_choice"), dict) else _said
    yield say('Answer: {"name": "')
    while True:
        yield say("x ")


def _said(text):
    return {"content": text}


def _called(text):
    arguments = text.removeprefix("Answer: ")
    head = {"id": "c0"} if arguments != text else {}
    name = {"name": "Thing"} if head else {}
    call = {"index": 0, **head, "function": {**name, "arguments": arguments}}
    return {"tool_calls": [call]}


@pytest.fixture
def endless():
    return Endless(one_object)


def with_thing(model, mode):
    update = {"should_use_structured_outputs": mode == "json_schema"}
    return model.model_copy(update=update)


WAYS = {
    "tools": lambda m: m.stream_chat_with_tools([TOOL], user_msg="Q"),
    "structured": lambda m: m.stream_structured_predict(Thing, PROMPT),
    "structured json": lambda m: with_thing(m, "json_schema").stream_structured_predict(
        Thing, PROMPT
    ),
    "structured llm": lambda m: m.as_structured_llm(Thing).stream_chat(ASKED),
}
ASYNC_WAYS = {
    "tools": lambda m: m.astream_chat_with_tools([TOOL], user_msg="Q"),
    "structured": lambda m: m.astream_structured_predict(Thing, PROMPT),
    "structured json": lambda m: with_thing(
        m, "json_schema"
    ).astream_structured_predict(Thing, PROMPT),
    "structured llm": lambda m: m.as_structured_llm(Thing).astream_chat(ASKED),
}


@pytest.mark.parametrize("policy", ["warn", "suppress"])
@pytest.mark.parametrize("how", ["close", "break"])
@pytest.mark.parametrize("way", WAYS)
def test_what_is_built_on_a_stream_hangs_up(live, endless, spans, way, how, policy):
    # A handler of spans is a sink, before which `suppress` takes another way.
    live.tracing_policy = "allow" if policy == "warn" else policy
    if how == "break":
        for _item in WAYS[way](live):
            break
    else:
        items = WAYS[way](live)
        next(items)
        items.close()
    assert hung_up(endless)


@pytest.mark.parametrize("how", ["aclose", "break", "cancel"])
@pytest.mark.parametrize("way", ASYNC_WAYS)
async def test_what_is_built_on_an_async_stream_hangs_up(live, endless, way, how):
    started = asyncio.Event()

    async def read():
        async for _item in await ASYNC_WAYS[way](live):
            started.set()
            if how == "break":
                break
            if how == "cancel":
                await asyncio.sleep(60)

    if how == "aclose":
        items = await ASYNC_WAYS[way](live)
        await anext(items)
        await items.aclose()
    elif how == "break":
        await read()
    else:
        task = asyncio.create_task(read())
        await asyncio.wait_for(started.wait(), 5)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert await asyncio.to_thread(hung_up, endless)


@pytest.mark.parametrize(
    "begin",
    [
        lambda m: m.astream_chat(ASKED),
        lambda m: m.astream_complete("Q"),
        lambda m: m.astream(PROMPT),
        *ASYNC_WAYS.values(),
    ],
)
async def test_an_async_stream_that_is_never_read_asks_nothing(live, recorded, begin):
    items = await begin(live)
    await items.aclose()
    assert recorded.exchanges == []


@pytest.mark.parametrize(
    "begin",
    [
        lambda m: m.stream_complete("Q"),
        lambda m: m.stream(PROMPT),
        *WAYS.values(),
    ],
)
def test_a_stream_that_is_never_read_asks_nothing(live, recorded, begin):
    begin(live).close()
    assert recorded.exchanges == []


def test_an_end_is_announced_from_the_first_item_on(live, legacy, events, endless):
    # A stream is announced when it is made, so that it stands within what makes it:
    # a query engine's own event is over when the first item is read.
    live.tracing_policy = "allow"
    live.callback_manager = CallbackManager([legacy])
    live.stream_chat(ASKED).close()
    live.stream_complete("Q").close()
    assert [len(legacy.starts), len(legacy.ends)] == [2, 0], "the docs say so"
    for begin in (lambda: live.stream_chat(ASKED), lambda: live.stream_complete("Q")):
        legacy.starts.clear()
        legacy.ends.clear()
        items = begin()
        next(items)
        items.close()
        assert legacy.balanced
    assert events.names.count("ExceptionEvent") == 2


class Counting(httpx.AsyncHTTPTransport):
    """Notes the local end of each connection that a request used."""

    def __init__(self):
        super().__init__()
        self.ends = []

    async def handle_async_request(self, request):
        response = await super().handle_async_request(request)
        stream = response.extensions["network_stream"]
        self.ends.append(stream.get_extra_info("client_addr"))
        return response


async def test_read_async_streams_share_one_connection(scripted, make_chat):
    transport = Counting()
    async with httpx.AsyncClient(transport=transport) as client:
        model = make_chat(scripted, async_http_client=client, stream_mode="live")
        for _ in range(10):
            assert [item async for item in await model.astream_chat(ASKED)]
    assert len(transport.ends) >= 10
    assert len(set(transport.ends)) == 1


def test_an_injected_client_is_left_open(scripted, make_chat, make_embeddings):
    with httpx.Client() as client:
        with make_chat(scripted, http_client=client) as model:
            model.chat(ASKED)
        with make_embeddings(scripted, http_client=client) as embeddings:
            embeddings.get_text_embedding("a")
        assert not client.is_closed


def test_injected_clients_carry_streams_and_embeddings(
    scripted, make_chat, make_embeddings
):
    paths = []

    async def note(request):
        paths.append(request.url.path)

    async def run():
        async with httpx.AsyncClient(event_hooks={"request": [note]}) as client:
            model = make_chat(scripted, async_http_client=client, stream_mode="live")
            assert [item async for item in await model.astream_chat(ASKED)]
            embeddings = make_embeddings(scripted, async_http_client=client)
            assert await embeddings.aget_text_embedding_batch(["a"])

    hooks = {"request": [lambda request: paths.append(request.url.path)]}
    with httpx.Client(event_hooks=hooks) as client:
        model = make_chat(scripted, http_client=client, stream_mode="live")
        assert list(model.stream_chat(ASKED))
    asyncio.run(run())
    assert sorted(paths) == sorted(e.path for e in scripted.exchanges)
    assert len(scripted.opened) == 3


def test_event_loops_that_have_ended_are_let_go(scripted, make_chat, make_embeddings):
    model, embeddings = make_chat(scripted), make_embeddings(scripted)
    loops = []

    async def use():
        loops.append(weakref.ref(asyncio.get_running_loop()))
        await model.achat(ASKED)
        await embeddings.aget_text_embedding("a")

    for _ in range(6):
        asyncio.run(use())
    gc.collect()
    # The last one is noticed when the next one comes.
    assert sum(loop() is not None for loop in loops) <= 1


def test_what_was_read_is_not_asked_for_again(scripted, make_chat, engine):
    words = [{"delta": {"content": "x"}} for _ in range(5)]
    engine.chunks = [*words, {"delta": {}, "finish_reason": "stop"}]
    scripted.faults.always("stream-cut:2")
    model = make_chat(scripted, stream_mode="live", max_retries=5)
    read = []
    with pytest.raises(errors.StreamTruncatedError):
        read.extend(item.delta for item in model.stream_chat(ASKED))
    assert read == ["x", "x"]
    assert len(engine.asked) == 1


@pytest.mark.parametrize(
    ("fault", "limit"),
    [("stream-stalled:2", "stream_idle_timeout"), ("stream-silent:2", "timeout")],
)
def test_a_stream_that_goes_quiet_is_left(scripted, make_chat, engine, fault, limit):
    words = [{"delta": {"content": "x"}} for _ in range(5)]
    engine.chunks = [*words, {"delta": {}, "finish_reason": "stop"}]
    scripted.faults.always(fault)
    model = make_chat(scripted, stream_mode="live", **{limit: 0.3})
    read = []
    with pytest.raises(errors.StreamStalledError):
        read.extend(item.delta for item in model.stream_chat(ASKED))
    assert read == ["x", "x"]

    async def run():
        async for item in await model.astream_chat(ASKED):
            read.append(item.delta)  # noqa: PERF401 - what came before the error

    with pytest.raises(errors.StreamStalledError):
        asyncio.run(run())
    assert read == ["x"] * 4
