"""Event loops, threads, connections, and settings that are changed."""

import asyncio
import gc
import threading

import httpx
import pytest
from llama_index.core.async_utils import asyncio_run
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.llms.callbacks import llm_chat_callback
from llama_used import ASKED
from observed import Telemetry

from llama_index_atoma import AtomaChatModel

CHAT = "meta-llama/Llama-3.3-70B-Instruct"


def test_a_node_is_tried_once_for_both_kinds_of_streams(atoma, make_chat):
    asked = [ChatMessage(content="canary-heliotrope-5f1d9c")]

    async def stream(model):
        return [item async for item in await model.astream_chat(asked)]

    with make_chat(atoma) as model:
        assert list(model.stream_chat(asked))
        assert asyncio.run(stream(model))
    assert len(atoma.opened) == 3  # one canary, two answers


async def test_locks_taken_ahead(atoma, make_chat):
    asked = [ChatMessage(content="canary-heliotrope-5f1d9c")]
    with Telemetry() as telemetry:
        with make_chat(atoma, lock_ahead=True) as model:
            for _ in range(2):
                model.chat(asked)
        async with make_chat(atoma, lock_ahead=True) as model:
            for _ in range(2):
                await model.achat(asked)
    assert telemetry.own_locks == [1, 0, 1, 0]


def test_read_streams_share_one_connection(atoma, make_chat):
    made = []

    class Counting(httpx.HTTPTransport):
        def handle_request(self, request):
            response = super().handle_request(request)
            made.append(response.extensions["network_stream"].get_extra_info("socket"))
            return response

    with httpx.Client(transport=Counting()) as http_client:
        model = make_chat(atoma, http_client=http_client, stream_mode="live")
        ports = set()
        for _ in range(10):
            list(model.stream_chat(ASKED))
        ports = {sock.getsockname()[1] for sock in made}
    assert len(ports) == 1


def test_an_injected_client_carries_the_requests(atoma, make_chat, make_embeddings):
    seen = []

    def note(request):
        seen.append(request.url.path)

    async def anote(request):
        seen.append(request.url.path)

    with httpx.Client(event_hooks={"request": [note]}) as http_client:
        make_chat(atoma, http_client=http_client).chat(ASKED)
        make_embeddings(atoma, http_client=http_client).get_text_embedding("a")

    async def run():
        async with httpx.AsyncClient(event_hooks={"request": [anote]}) as client:
            await make_chat(atoma, async_http_client=client).achat(ASKED)
            assert not client.is_closed

    asyncio.run(run())
    assert "/v1/confidential/embeddings" in seen
    assert seen.count("/v1/confidential/chat/completions") == 2


def test_one_model_serves_several_event_loops(chat, embeddings):
    for _ in range(3):
        assert asyncio.run(chat.achat(ASKED)).message.content
        assert asyncio.run(embeddings.aget_query_embedding("a"))
        vectors = asyncio.run(embeddings.aget_text_embedding_batch(["a", "b"]))
        assert len(vectors) == 2


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_loop_that_runs_already_is_no_obstacle(atoma, make_chat):
    async def inside():
        return asyncio_run(make_chat(atoma).achat(ASKED))

    assert asyncio.run(inside()).message.content
    # Core closes that inner loop without ending what runs in it: its socket is left
    # to the collector, which is to complain here and not in another test.
    gc.collect()


def test_threads_share_a_model(chat):
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(chat.complete("Q").text))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(answers)) == 1
    assert len(answers) == 6


def test_context_managers_close(atoma, make_chat):
    with make_chat(atoma) as model:
        assert model.chat(ASKED).message.content
    assert model.chat(ASKED).message.content, "and a further call opens anew"
    model.close()

    async def run():
        async with make_chat(atoma) as model:
            assert (await model.achat(ASKED)).message.content

    asyncio.run(run())


def test_a_changed_setting_is_used(atoma, make_atoma, make_chat):
    model = make_chat(atoma)
    model.chat(ASKED)
    other = make_atoma()
    model.base_url, model.api_key = other.base_url, other.api_key
    model.chat(ASKED)
    assert len(other.opened) == 1


def test_a_subclass_with_a_decorator_of_its_own_is_counted_once(
    atoma, legacy, heard_by
):
    class Sub(AtomaChatModel):
        @llm_chat_callback()
        def chat(self, messages, **kwargs):
            return self._chat(messages, **kwargs)

    model = Sub(model=CHAT, api_key=atoma.api_key, base_url=atoma.base_url)
    assert heard_by(model).chat(ASKED).message.content
    assert len(legacy.of("llm")) == 1
