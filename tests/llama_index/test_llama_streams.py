"""Streams whose engines misbehave in the ways that engines do.

Each comes sealed over the wire, once through `stream_chat` and once through
`astream_chat`, whose items must be the same.
"""

import asyncio
import json

import pytest
from deltas import CALLED, CUT, END, calls, text, thought
from fragments import fragment
from llama_index.core.base.llms.types import ChatMessage, TextBlock, ThinkingBlock

from llama_index_atoma import errors


def test_items_are_cumulative_and_deltas_are_not(streamed):
    items = streamed(text(""), text("Hel"), text("lo"), END)
    assert [item.delta for item in items] == ["Hel", "lo", ""]
    assert [item.message.content for item in items] == ["Hel", "Hello", "Hello"]
    assert all(len(item.message.blocks) == 1 for item in items)


def test_the_last_item_says_everything(streamed):
    *_, last = streamed(text("Yes."), END)
    assert last.raw["choices"][0]["finish_reason"] == "stop"
    assert last.raw["choices"][0]["message"]["content"] == "Yes."
    assert last.raw["usage"]["total_tokens"] == 12
    assert last.additional_kwargs["total_tokens"] == 12
    assert last.additional_kwargs["atoma"]["sealed"] is True
    assert last.additional_kwargs["atoma"]["stream"] == "live"
    assert "atoma" not in last.message.additional_kwargs
    json.dumps(last.raw)


def test_text_in_parts(streamed):
    parts = [{"type": "text", "text": "Yes"}, {"type": "text", "text": "."}]
    *_, last = streamed(text(parts), END)
    assert last.message.content == "Yes."


def test_an_empty_answer_is_one_item(streamed):
    (last,) = streamed(END)
    assert (last.message.content, last.delta) == ("", "")


def test_a_stream_without_a_first_choice_is_off_contract(streamed):
    with pytest.raises(errors.RemoteProtocolError, match="no choice 0"):
        streamed({**text("Yes."), "index": 1}, {**END, "index": 1})


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_thoughts_from_the_first_chunk_on(streamed, field):
    items = streamed(thought("Hm", field), thought("m.", field), text("Yes."), END)
    assert [item.additional_kwargs.get("thinking_delta") for item in items] == [
        "Hm",
        "m.",
        None,
        None,
    ]
    assert [type(block) for block in items[-1].message.blocks] == [
        ThinkingBlock,
        TextBlock,
    ]
    assert items[-1].message.blocks[0].content == "Hmm."
    assert items[-1].message.content == "Yes."


def test_an_answer_of_thoughts_only_is_not_empty(streamed):
    *_, last = streamed(thought("Hm."), END)
    assert last.message.content is None
    assert last.message.blocks == [ThinkingBlock(content="Hm.")]
    assert last.raw["choices"][0]["message"]["reasoning_content"] == "Hm."


def test_blocks_come_in_one_order(streamed):
    *_, last = streamed(
        calls(fragment("{}", "f", index=0, id="c0")), text("T"), thought("R"), CALLED
    )
    assert [block.block_type for block in last.message.blocks] == [
        "thinking",
        "text",
        "tool_call",
    ]


def test_a_null_delta_keeps_the_finish_reason(streamed):
    *_, last = streamed(text("Yes."), {"delta": None, "finish_reason": "stop"})
    assert last.raw["choices"][0]["finish_reason"] == "stop"


def test_probabilities_come_with_the_last_item(streamed):
    token = {"token": "Yes", "logprob": -0.5, "bytes": [89], "top_logprobs": []}
    *_, last = streamed(text("Yes", logprobs={"content": [token]}), END)
    assert [[p.token for p in ranked] for ranked in last.logprobs] == [["Yes"]]
    assert last.logprobs[0][0].logprob == -0.5


def test_text_that_met_the_token_limit_is_an_answer(streamed):
    *_, last = streamed(text("Yes, b"), CUT)
    assert last.message.content == "Yes, b"
    assert last.raw["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("stream-no-finish", errors.StreamTruncatedError),
        ("stream-truncated:2", errors.StreamTruncatedError),
        ("stream-cut:2", errors.StreamTruncatedError),
        ("stream-engine-error:1", errors.EngineError),
        ("stream-clear-event:1", errors.RemoteProtocolError),
    ],
)
def test_a_broken_stream_never_ends_normally(streamed, scripted, canary, fault, kind):
    scripted.faults.once(fault)
    with pytest.raises(kind) as caught:
        streamed(text("One"), text(" two"), text(" three"), text(" four"), END)
    assert canary not in str(caught.value)
    assert caught.value.exposure is errors.Exposure.SEALED


@pytest.mark.parametrize(
    "fault", ["stream-done", "stream-coalesced", "stream-resplit:3"]
)
def test_framing_does_not_matter(streamed, scripted, fault):
    scripted.faults.once(fault)
    *_, last = streamed(text("Zü"), text("rich 😀"), END)
    assert last.message.content == "Zürich 😀"


def test_sync_and_async_give_the_same_items(scripted_chat, engine):
    engine.chunks = [
        thought("R"),
        text("T"),
        calls(fragment('{"a"', "f", index=0, id="c0")),
        calls(fragment(": 1}", index=0)),
        CALLED,
    ]
    asked = [ChatMessage(role="user", content="Q")]

    async def collect():
        return [item async for item in await scripted_chat.astream_chat(asked)]

    ours = [item.model_dump() for item in scripted_chat.stream_chat(asked)]
    theirs = [item.model_dump() for item in asyncio.run(collect())]
    for items in (ours, theirs):
        items[-1]["additional_kwargs"].pop("atoma")
    assert ours == theirs
