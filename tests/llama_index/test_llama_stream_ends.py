"""Leaving a stream hangs up, however it is left."""

import asyncio
import gc

import pytest
from endless import hung_up
from llama_index.core.callbacks import CallbackManager, LlamaDebugHandler
from llama_index.core.prompts import PromptTemplate
from llama_used import ASKED


@pytest.fixture(params=[None, LlamaDebugHandler], ids=["bare", "keeps exceptions"])
def watched(request, live):
    """Debug handlers keep exceptions, and those keep frames."""
    if request.param:
        handler = request.param(print_trace_on_end=False)
        live.callback_manager = CallbackManager([handler])
    return live


STREAMS = [
    lambda m: m.stream_chat(ASKED),
    lambda m: m.stream_complete("Q"),
    lambda m: m.stream(PromptTemplate("Q")),
]
ASYNC_STREAMS = [
    lambda m: m.astream_chat(ASKED),
    lambda m: m.astream_complete("Q"),
    lambda m: m.astream(PromptTemplate("Q")),
]


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("begin", STREAMS)
def test_close_hangs_up(watched, endless, begin):
    items = begin(watched)
    next(items)
    items.close()
    assert hung_up(endless)


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("begin", STREAMS)
def test_break_hangs_up(watched, endless, begin):
    for _item in begin(watched):
        break
    assert hung_up(endless)


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("begin", ASYNC_STREAMS)
@pytest.mark.parametrize("how", ["aclose", "break", "cancel", "timeout"])
async def test_async_ends_hang_up(watched, endless, begin, how, caplog):
    started = asyncio.Event()

    async def read():
        async for _item in await begin(watched):
            started.set()
            if how == "break":
                break

    if how == "aclose":
        items = await begin(watched)
        await anext(items)
        await items.aclose()
    elif how == "break":
        await read()
    elif how == "cancel":
        task = asyncio.create_task(read())
        await started.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    else:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(read(), 0.2)
    assert await asyncio.to_thread(hung_up, endless)
    await asyncio.sleep(0)
    gc.collect()
    assert caplog.records == [], "nothing failed that nobody waited for"


def test_a_stream_that_is_never_read_asks_nothing(live, endless, recorded):
    items = live.stream_chat(ASKED)
    items.close()
    assert recorded.exchanges == []
