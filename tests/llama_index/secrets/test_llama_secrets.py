"""The key is in nothing that fails, in no log, no event, and no copy."""

import asyncio
import logging
import pickle
import traceback

import httpx
import pytest
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.callbacks import CallbackManager, LlamaDebugHandler
from llama_index.core.tools import FunctionTool
from shown import KEY, shown

from llama_index_atoma import AtomaChatModel, AtomaEmbeddings, errors

CHAT = "meta-llama/Llama-3.3-70B-Instruct"
ASKED = [ChatMessage(role="user", content="Q")]


FAULTS = [
    "lock-503",
    "lock-502-html",
    "post-401",
    "post-429",
    "post-500-node",
    "post-502-html",
    "post-307",
    "post-cut",
    "post-silent",
    "reply-not-json",
    "reply-html",
    "tag-tampered",
    "engine-error-object",
    "answer-no-choices",
    "stream-cut:1",
    "stream-truncated:1",
    "stream-stalled:1",
    "stream-silent:1",
    "stream-garbage:1",
    "stream-engine-error:1",
]


def stream_chat(model):
    return list(model.stream_chat(ASKED))


def astream_chat(model):
    async def run():
        return [item async for item in await model.astream_chat(ASKED)]

    return asyncio.run(run())


def chained(error):
    """An error and all that Python would print beside it."""
    found = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found


def assert_clean(error, *forbidden):
    """Nothing of a chain holds a request, and so neither its headers nor its body."""
    errors_found = chained(error)
    assert not [one for one in errors_found if isinstance(one, httpx.HTTPError)]
    text = shown(*errors_found, *(vars(one) for one in errors_found))
    text += "".join(traceback.format_exception(error))
    text += repr([pickle.dumps(one) for one in errors_found])
    for one in forbidden:
        assert one not in text


@pytest.mark.parametrize("call", [stream_chat, astream_chat])
@pytest.mark.parametrize("fault", FAULTS)
def test_no_failure_shows_key_or_prompt(
    atoma, fields, fault, call, canary, caplog, capfd, events, spans, legacy, heard_by
):
    caplog.set_level(logging.DEBUG)
    atoma.faults.always(fault)
    stall = {"timeout": 0.3, "stream_idle_timeout": 0.3}
    model = AtomaChatModel(
        model=CHAT,
        max_retries=0,
        stream_mode="live" if "stream" in fault else "buffered",
        user=canary,
        tracing_policy="allow",
        **stall,
        **fields,
    )
    with pytest.raises(errors.ConfidentialError) as caught:
        call(heard_by(model))
    assert_clean(caught.value, KEY, canary)
    kept = [e.model_dump() if hasattr(e, "id_") else e for e in events.events]
    text = shown(*kept, *spans.told, *legacy.starts, *legacy.ends, caplog.text)
    assert KEY not in text + "".join(capfd.readouterr())
    assert events.events


@pytest.mark.parametrize("call", [stream_chat, astream_chat])
def test_no_connection_shows_no_key(fields, call):
    # Port 9 of this machine: nothing listens there.
    closed = {**fields, "base_url": "http://127.0.0.1:9"}
    model = AtomaChatModel(model=CHAT, max_retries=0, **closed)
    with pytest.raises(errors.ConnectionFailedError) as caught:
        call(model)
    assert_clean(caught.value, KEY)
    assert caught.value.exposure is errors.Exposure.NOTHING
    embeddings = AtomaEmbeddings(model_name="e", max_retries=0, **closed)
    with pytest.raises(errors.ConnectionFailedError) as caught:
        embeddings.get_text_embedding("a")
    assert_clean(caught.value, KEY)


def test_a_debug_handler_keeps_no_key(chat, embeddings, atoma):
    debug = LlamaDebugHandler(print_trace_on_end=False)
    for model in (chat, embeddings):
        model.callback_manager = CallbackManager([debug])
    chat.chat(ASKED)
    embeddings.get_text_embedding("a")
    atoma.faults.always("post-401")
    with pytest.raises(errors.AuthenticationError):
        chat.complete("Q")
    pairs = debug.get_llm_inputs_outputs()
    assert len(pairs) == 2
    kept = [vars(event) for event in debug.get_events()]
    assert KEY not in shown(*kept, pairs)


def test_a_tools_error_shows_no_key(chat):
    def divide(a: int, b: int) -> float:
        """Divide two numbers."""
        return a / b

    tool = FunctionTool.from_defaults(divide)
    answer = chat.predict_and_call([tool], user_msg="divide 1 by 0")
    assert answer.sources[0].is_error
    assert KEY not in shown(answer, vars(answer), answer.sources)


def test_a_key_in_the_address_is_refused_and_not_shown():
    with pytest.raises(errors.InvalidInputError) as caught:
        AtomaChatModel(model=CHAT, api_key="k", base_url=f"https://x:{KEY}@a.example")
    assert_clean(caught.value, KEY)


def test_every_field_survives_but_the_secret_ones(monkeypatch):
    monkeypatch.setenv("ATOMA_API_KEY", "k")
    chosen = {
        "model": CHAT,
        "temperature": 0.25,
        "max_tokens": 7,
        "seed": 3,
        "stop": ["x"],
        "context_window": 9000,
        "strict": True,
        "should_use_structured_outputs": True,
        "reasoning_passback": "always",
        "remote_images": False,
        "stream_mode": "buffered",
        "base_url": "https://one.example",
        "attestation_url": "https://two.example",
        "signatures": "all",
        "tracing_policy": "refuse",
        "on_truncated_tool_call": "keep",
        "system_prompt": "S",
        "extra_body": {"top_k": 2},
    }
    model = AtomaChatModel(api_key=KEY, max_retries=5, timeout=3.0, **chosen)
    for twin in (
        AtomaChatModel.from_dict(model.to_dict()),
        AtomaChatModel.from_json(model.to_json()),
        pickle.loads(pickle.dumps(model)),
    ):
        assert {name: getattr(twin, name) for name in chosen} == chosen
        assert twin.api_key != KEY
    kept = {
        "model_name": "e",
        "dimensions": 2,
        "query_instruction": "q",
        "text_instruction": "t",
        "extra_body": {"top_k": 2},
        "num_workers": 3,
        "embed_batch_size": 9,
        "blind_replies": True,
        "signatures": "all",
        "tracing_policy": "suppress",
    }
    embeddings = AtomaEmbeddings(api_key=KEY, **kept)
    for twin in (
        AtomaEmbeddings.from_dict(embeddings.to_dict()),
        AtomaEmbeddings.from_json(embeddings.to_json()),
        pickle.loads(pickle.dumps(embeddings)),
    ):
        assert {name: getattr(twin, name) for name in kept} == kept
        assert twin.api_key != KEY
