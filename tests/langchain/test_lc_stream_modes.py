"""The modes of a stream differ on the wire, and not in what comes out."""

import functools
import operator

import pytest

from langchain_atoma import errors


def streamed(model, prompt):
    return functools.reduce(operator.add, model.stream(prompt))


@pytest.mark.parametrize("mode", ["auto", "live", "buffered"])
def test_each_mode_has_chunks_of_one_shape(scripted, engine, make_chat, canary, mode):
    engine.message = {"content": "Yes.", "reasoning_content": "Hm."}
    deltas = [{"reasoning_content": "Hm."}, {"content": "Ye"}, {"content": "s."}]
    engine.chunks = [{"delta": delta} for delta in deltas]
    engine.chunks.append({"delta": {}, "finish_reason": "stop"})
    message = streamed(make_chat(scripted, stream_mode=mode), canary)
    assert message.text == "Yes."
    assert message.additional_kwargs["reasoning_content"] == "Hm."
    assert message.usage_metadata["total_tokens"] == 12
    assert message.response_metadata["finish_reason"] == "stop"


@pytest.mark.parametrize(
    ("nonces", "mode", "verdict"),
    [
        ("fresh", "auto", "live"),
        ("fresh", "live", "live"),
        ("fresh", "buffered", "buffered"),
        ("reused", "buffered", "buffered"),
    ],
)
def test_the_verdict_says_how_it_was_streamed(
    make_atoma, make_chat, canary, nonces, mode, verdict
):
    model = make_chat(make_atoma(nonces=nonces), stream_mode=mode)
    message = streamed(model, canary)
    assert message.response_metadata["atoma"]["stream"] == verdict


@pytest.mark.parametrize(
    ("mode", "verdict"), [("auto", "buffered"), ("live", "live-nonce-reused")]
)
def test_a_node_that_repeats_nonces_is_warned_of(
    make_atoma, make_chat, canary, mode, verdict
):
    model = make_chat(make_atoma(nonces="reused"), stream_mode=mode)
    with pytest.warns(errors.ConfidentialityWarning):
        message = streamed(model, canary)
    assert message.response_metadata["atoma"]["stream"] == verdict


async def test_several_choices_cannot_be_streamed(scripted, engine, make_chat):
    model = make_chat(scripted, n=2)
    with pytest.raises(errors.InvalidInputError, match="n must be 1"):
        streamed(model, "Hi")
    with pytest.raises(errors.InvalidInputError, match="n must be 1"):
        [chunk async for chunk in model.astream("Hi")]
    assert engine.asked == []


def test_a_mode_that_does_not_exist(scripted, make_chat):
    with pytest.raises(ValueError, match="stream_mode"):
        make_chat(scripted, stream_mode="sometimes")
