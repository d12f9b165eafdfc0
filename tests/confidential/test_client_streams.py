"""Streams of both shells over real HTTP, in the three modes."""

import warnings

import pytest
from shells import MESSAGES, locks, posts, text_of

import atoma_confidential as ac
from atoma_confidential import Exposure
from atoma_local import BuiltInBackend


def test_fresh_nonces_stream_live_after_one_canary(make_atoma, connect):
    atoma = make_atoma(nonces="fresh")
    shell = connect(atoma)
    chunks, verdict = shell.stream()
    assert "4711" in text_of(chunks)
    assert len(chunks) > 5
    assert verdict.stream == "live"
    assert [seen.body["max_completion_tokens"] for seen in atoma.opened[1:]] == [8192]
    canary = atoma.opened[0].body
    assert canary["max_tokens"] == 4
    assert canary["messages"] != MESSAGES
    shell.stream()
    assert len(atoma.opened) == 3


def test_reused_nonces_are_never_streamed_under(make_atoma, connect):
    atoma = make_atoma(nonces="reused")
    shell = connect(atoma)
    with pytest.warns(ac.ConfidentialityWarning, match="nonce came twice") as caught:
        chunks, verdict = shell.stream()
    assert len(caught) == 1
    assert "4711" in text_of(chunks)
    assert verdict.stream == "buffered"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        shell.stream()
    streamed = [seen.body for seen in atoma.opened if seen.body["stream"]]
    assert len(streamed) == 1
    assert streamed[0]["messages"] != MESSAGES


def test_live_mode_warns_once_and_says_so_in_the_verdict(make_atoma, connect):
    atoma = make_atoma(nonces="reused")
    shell = connect(atoma, stream_mode="live")
    with pytest.warns(ac.ConfidentialityWarning, match="nonce came twice") as caught:
        chunks, verdict = shell.stream()
    assert len(caught) == 1
    assert "4711" in text_of(chunks)
    assert verdict.stream == "live-nonce-reused"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert shell.stream()[1].stream == "live-nonce-reused"


@pytest.mark.parametrize("nonces", ["fresh", "reused"])
def test_a_probe_by_itself_says_how_a_node_treats_nonces(make_atoma, connect, nonces):
    atoma = make_atoma(nonces=nonces)
    shell = connect(atoma)
    assert shell.probe_nonces() == nonces
    (canary,) = atoma.opened
    assert canary.body["max_tokens"] == 4
    # It counts for streams too, and a second one looks again.
    atoma.nonces = "reused"
    assert shell.probe_nonces() == "reused"
    assert len(atoma.opened) == 2


def test_a_probe_that_fails_says_nothing(make_atoma, connect):
    atoma = make_atoma()
    shell = connect(atoma)
    atoma.faults.always("stream-empty")
    assert shell.probe_nonces() is None


def test_a_probe_is_sealed_to_no_key_that_the_policy_refuses(make_atoma, connect):
    atoma = make_atoma()
    stranger = ac.TrustPolicy.pinned(keys=[bytes(31) + b"\x09"])
    with pytest.raises(ac.PinMismatchError):
        connect(atoma, trust=stranger).probe_nonces()
    assert atoma.opened == []


def test_buffered_mode_sends_neither_stream_nor_canary(make_atoma, connect):
    atoma = make_atoma()
    chunks, verdict = connect(atoma, stream_mode="buffered").stream()
    assert "4711" in text_of(chunks)
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["total_tokens"] > 0
    assert chunks[0]["choices"][0]["finish_reason"] == "stop"
    assert verdict.stream == "buffered"
    assert [seen.body["stream"] for seen in atoma.opened] == [False]


def test_a_node_that_turns_bad_is_stopped_at_the_repeated_nonce(make_atoma, connect):
    atoma = make_atoma(nonces="fresh")
    shell = connect(atoma)
    shell.stream()
    atoma.nonces = "reused"
    with pytest.raises(ac.NonceReuseError):
        shell.stream()
    with pytest.warns(ac.ConfidentialityWarning):
        assert shell.stream()[1].stream == "buffered"


def test_an_unknown_node_after_the_canary_is_not_probed_again(make_atoma, connect):
    atoma = make_atoma()
    atoma.faults.once("key-rotated-before-seal")
    chunks, verdict = connect(atoma).stream()
    assert "4711" in text_of(chunks)
    assert verdict.stream == "buffered"
    assert len([seen for seen in atoma.opened if seen.body["stream"]]) == 1


def test_a_canary_that_fails_decides_nothing(make_atoma, connect):
    atoma = make_atoma()
    atoma.faults.once("post-401")
    shell = connect(atoma)
    assert shell.stream()[1].stream == "buffered"
    assert shell.stream()[1].stream == "live"


def test_a_canary_that_is_cut_decides_nothing(make_atoma, connect):
    atoma = make_atoma()
    atoma.faults.once("stream-truncated:1")
    shell = connect(atoma)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert shell.stream()[1].stream == "buffered"
        assert shell.stream()[1].stream == "live"


def test_a_canary_that_is_cut_after_a_repeated_nonce_decides(make_atoma, connect):
    atoma = make_atoma(nonces="reused")
    atoma.faults.once("stream-truncated:3")
    with pytest.warns(ac.ConfidentialityWarning, match="nonce came twice"):
        assert connect(atoma).stream()[1].stream == "buffered"


class OneChunk(BuiltInBackend):
    """An engine that says all of a short answer at once."""

    def stream_chat(self, body):
        answer = self.chat(body)
        (choice,) = answer["choices"]
        delta = {"role": "assistant", "content": choice["message"]["content"]}
        yield answer | {
            "object": "chat.completion.chunk",
            "choices": [{"index": 0, "delta": delta, "finish_reason": "stop"}],
        }


def test_a_stream_too_short_to_tell_is_not_trusted(make_atoma, connect):
    shell = connect(make_atoma(backend=OneChunk()))
    with pytest.warns(ac.ConfidentialityWarning, match="too short"):
        assert shell.stream()[1].stream == "buffered"


BROKEN_STREAMS = [
    ("stream-empty", ac.StreamTruncatedError),
    ("stream-truncated:3", ac.StreamTruncatedError),
    ("stream-cut:3", ac.StreamTruncatedError),
    ("stream-no-finish", ac.StreamTruncatedError),
    ("stream-duplicated:2", ac.NonceReuseError),
    ("stream-clear-event:2", ac.RemoteProtocolError),
    ("stream-garbage:2", ac.RemoteProtocolError),
    ("stream-engine-error:2", ac.EngineError),
    ("stream-two-ids:2", ac.RemoteProtocolError),
    ("stream-stalled:2", ac.StreamStalledError),
    ("stream-silent:2", ac.StreamStalledError),
    ("post-429", ac.RateLimitError),
]


@pytest.mark.parametrize(("fault", "error"), BROKEN_STREAMS)
def test_a_broken_stream_raises_and_is_not_repeated(
    make_atoma, connect, delays, fault, error
):
    atoma = make_atoma()
    shell = connect(atoma, timeout=1.5, stream_idle_timeout=0.5, max_retries=1)
    shell.stream()
    atoma.faults.always(fault)
    before = len(posts(atoma))
    with pytest.raises(error) as caught:
        shell.stream()
    assert type(caught.value) is error
    assert caught.value.exposure is Exposure.SEALED
    assert len(posts(atoma)) - before == (2 if fault == "post-429" else 1)


@pytest.mark.parametrize(
    "fault", ["stream-coalesced", "stream-resplit:7", "stream-done"]
)
def test_however_a_stream_is_cut_it_says_the_same(make_atoma, connect, fault):
    atoma = make_atoma()
    shell = connect(atoma)
    expected = text_of(shell.stream()[0])
    atoma.faults.always(fault)
    assert text_of(shell.stream()[0]) == expected


def test_stopping_early_is_silent_and_hangs_up(make_atoma, connect):
    atoma = make_atoma()
    shell = connect(atoma)
    chunks, verdict = shell.stream(take=2)
    assert len(chunks) == 2
    assert verdict is None
    assert shell.chat().verdict.sealed


def test_tool_calls_have_the_same_shape_whole_and_live(make_atoma, connect):
    tool = {
        "type": "function",
        "function": {
            "name": "count_bottles",
            "description": "Count the bottles of a wine cellar.",
            "parameters": {
                "type": "object",
                "properties": {"year": {"type": "integer"}},
                "required": ["year"],
            },
        },
    }
    message = [{"role": "user", "content": "Count the bottles of 1987."}]
    parameters = {"tools": [tool], "tool_choice": "required"}
    whole = connect(make_atoma(), stream_mode="buffered").stream(message, **parameters)
    live = connect(make_atoma(), stream_mode="live").stream(message, **parameters)

    def calls(chunks):
        names, arguments = {}, {}
        for chunk in chunks:
            for choice in chunk["choices"]:
                for call in choice["delta"].get("tool_calls") or ():
                    function = call["function"]
                    names.setdefault(call["index"], function.get("name"))
                    arguments[call["index"]] = arguments.get(
                        call["index"], ""
                    ) + function.get("arguments", "")
        return names, arguments

    assert calls(whole[0]) == calls(live[0])
    assert calls(live[0])[0] == {0: "count_bottles"}


def test_a_stream_whose_first_event_does_not_open_is_asked_for_again(
    make_atoma, connect, delays
):
    """The node changed its key while the engine worked: nothing was handed out."""
    atoma = make_atoma()
    atoma.faults.once("key-rotated-before-seal")
    chunks, verdict = connect(atoma, stream_mode="live").stream()
    assert "4711" in text_of(chunks)
    assert verdict.stream == "live"
    assert verdict.key == ac.Recipient(atoma.node_public_key).fingerprint
    assert (len(locks(atoma)), len(posts(atoma)), len(delays)) == (2, 2, 1)


@pytest.mark.parametrize(
    ("fault", "requests"),
    [("key-rotated-before-seal", 2), ("tag-tampered", 2), ("key-rotated-in-stream", 1)],
)
def test_a_stream_that_stays_closed_is_asked_for_once_more_if_nothing_came(
    make_atoma, connect, delays, fault, requests
):
    atoma = make_atoma()
    atoma.faults.always(fault)
    with pytest.raises(ac.OpenError) as caught:
        connect(atoma, stream_mode="live").stream()
    assert type(caught.value) is ac.OpenError
    assert caught.value.exposure is Exposure.SEALED
    assert len(posts(atoma)) == requests


def test_one_canary_is_enough_for_a_call(make_atoma, connect, delays):
    atoma = make_atoma()
    atoma.faults.always("post-425")
    with pytest.raises(ac.StackUnavailableError):
        connect(atoma).stream()
    assert len(posts(atoma)) == 1 + 4


@pytest.mark.parametrize("number", [0, 2])
def test_an_event_that_comes_again_is_refused_in_live_mode(make_atoma, connect, number):
    """A node repeats its nonce in all events, or in none."""
    atoma = make_atoma()
    atoma.faults.always(f"stream-duplicated:{number}")
    with (
        pytest.warns(ac.ConfidentialityWarning),
        pytest.raises(ac.NonceReuseError) as caught,
    ):
        connect(atoma, stream_mode="live").stream()
    assert caught.value.exposure is Exposure.SEALED
