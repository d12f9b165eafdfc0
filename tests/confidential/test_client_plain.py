"""The plain endpoints, which are used by name only."""

import json
import logging

import pytest
from shells import QUESTION, SECRET, Asynchronous, Blocking, locks, text_of

import atoma_confidential as ac
from atoma_confidential import Exposure


@pytest.fixture(params=[Blocking, Asynchronous])
def connect_plain(request):
    shells = []

    def make(atoma, **settings):
        shells.append(
            request.param(
                api_key=atoma.api_key,
                base_url=atoma.base_url,
                confidential=False,
                **settings,
            )
        )
        return shells[-1]

    yield make
    for shell in shells:
        shell.close()


@pytest.mark.clear_text
def test_plain_works_and_says_that_it_is(make_atoma, connect_plain, caplog):
    atoma = make_atoma()
    with caplog.at_level(logging.WARNING, "atoma_confidential"):
        shell = connect_plain(atoma)
    assert [record.message for record in caplog.records] == [
        "confidential=False: requests and answers travel in clear."
    ]
    reply = shell.chat()
    assert "4711" in reply.body["choices"][0]["message"]["content"]
    assert reply.verdict.as_dict() == {
        "sealed": False,
        "assurance": "none",
        "policy": "none",
        "not_proven": "everything",
        "node": -1,
        "key": "",
        "stream": "none",
        "hash": "unchecked",
        "signature": "skipped",
        "blinded": False,
    }
    assert (reply.attestation, reply.receipt) == (None, None)
    assert json.loads(reply.opened)["choices"] == reply.body["choices"]
    assert not locks(atoma)
    assert atoma.tap.find([QUESTION])


@pytest.mark.clear_text
def test_plain_streams(make_atoma, connect_plain):
    atoma = make_atoma()
    chunks, verdict = connect_plain(atoma).stream()
    assert "4711" in text_of(chunks)
    assert (verdict.stream, verdict.signature) == ("live", "skipped")
    chunks, verdict = connect_plain(atoma, stream_mode="buffered").stream()
    assert "4711" in text_of(chunks)
    assert verdict.stream == "buffered"
    atoma.faults.always("stream-truncated:2")
    with pytest.raises(ac.StreamTruncatedError) as caught:
        connect_plain(atoma).stream()
    assert caught.value.exposure is Exposure.PLAIN


@pytest.mark.clear_text
def test_plain_embeds_one_text_a_request(make_atoma, connect_plain):
    atoma = make_atoma()
    reply = connect_plain(atoma).embed([SECRET, QUESTION], blind_replies=True)
    assert len(reply.vectors) == 2
    assert sorted(seen.body["input"] for seen in atoma.opened) == [QUESTION, SECRET]


@pytest.mark.clear_text
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("post-400-context", ac.ContextLengthError),
        ("post-400-fiat", ac.BalanceError),
        ("post-401", ac.AuthenticationError),
    ],
)
def test_a_plain_failure_says_that_the_request_left_in_clear(
    make_atoma, connect_plain, fault, error
):
    atoma = make_atoma()
    atoma.faults.always(fault)
    with pytest.raises(error) as caught:
        connect_plain(atoma).chat()
    assert type(caught.value) is error
    assert caught.value.exposure is Exposure.PLAIN


@pytest.mark.clear_text
def test_a_text_beyond_the_context_is_named_by_index(make_atoma, connect_plain):
    atoma = make_atoma()
    atoma.faults.once("post-400-context", skip=1)
    with pytest.raises(ac.ContextLengthError, match="Texts 1 to 1: "):
        connect_plain(atoma).embed([SECRET, QUESTION], max_concurrency=1)
