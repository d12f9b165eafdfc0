"""Appraisals in the exchange: no other key is sealed to, and a person may ask."""

import base64

import pytest
from records import RecordedKey, with_record
from shells import SECRET, locks, posts, record_requests, text_of

import atoma_confidential as ac
from atoma_confidential import Exposure

# --- nothing is ever sealed to another key --------------------------------------------


@pytest.mark.parametrize("mode", ["auto", "live", "buffered"])
def test_no_stream_and_no_canary_goes_to_a_key_that_was_refused(atoma, connect, mode):
    pinned = ac.TrustPolicy.pinned(keys=[bytes(range(32))])
    shell = connect(atoma, trust=pinned, stream_mode=mode)
    with pytest.raises(ac.PinMismatchError):
        shell.stream()
    with pytest.raises(ac.PinMismatchError):
        shell.embed([SECRET])
    assert {seen.path for seen in atoma.exchanges} == {"/v1/nodes/lock"}


def test_the_key_after_a_canary_is_appraised_too(make_atoma, connect):
    atoma = make_atoma()
    atoma.faults.once("key-rotated-before-seal")
    pinned = ac.TrustPolicy.pinned(keys=[atoma.node_public_key])
    with pytest.raises(ac.PinMismatchError):
        connect(atoma, trust=pinned).stream()
    (canary,) = atoma.opened
    assert SECRET not in str(canary.body)


def test_an_answer_is_not_opened_with_a_key_that_was_refused(make_atoma, connect):
    atoma = make_atoma()
    atoma.faults.once("key-rotated-before-seal")
    pinned = ac.TrustPolicy.pinned(keys=[atoma.node_public_key])
    with pytest.raises(ac.PinMismatchError) as caught:
        connect(atoma, trust=pinned).chat()
    assert caught.value.exposure is Exposure.SEALED
    assert (len(locks(atoma)), len(posts(atoma))) == (2, 1)


# --- a person asks --------------------------------------------------------------------


@pytest.mark.parametrize("as_text", [False, True])
def test_a_key_is_appraised_without_a_lock(recorded_atoma, connect, as_text):
    atoma = recorded_atoma
    shell = connect(atoma, **with_record(atoma, RecordedKey()))
    key = atoma.node_public_key
    if as_text:
        key = base64.b64encode(key).decode()
    result = shell.appraise(node=3, key=key)
    assert result.assurance == "gpu_witnessed"
    assert result.key == ac.Recipient(atoma.node_public_key).fingerprint
    assert shell.appraise(node=3, key=key)
    assert [seen.path for seen in atoma.exchanges] == ["/v1/get_node_attestation/3"] * 2
    shell.chat()  # which knows it then
    assert len(record_requests(atoma)) == 2


def test_a_key_that_a_person_asks_about_may_be_refused(recorded_atoma, connect):
    atoma = recorded_atoma
    shell = connect(atoma, **with_record(atoma, RecordedKey()))
    for _ in range(2):  # asked again each time
        with pytest.raises(ac.KeyNotBoundError) as caught:
            shell.appraise(node=3, key=bytes(range(32)))
        assert caught.value.exposure is Exposure.NOTHING
    assert len(record_requests(atoma)) == 2


@pytest.mark.parametrize(
    "candidate",
    [
        {"node": -1, "key": bytes(32)},
        {"node": True, "key": bytes(32)},
        {"node": "3", "key": bytes(32)},
        {"node": 3, "key": bytes(31)},
        {"node": 3, "key": "not base64!"},
        {"node": 3, "key": "schlüssel"},
        {"node": 3, "key": "c2hvcnQ="},
    ],
)
def test_what_is_no_node_and_no_key_is_not_asked_about(atoma, connect, candidate):
    with pytest.raises(ac.InvalidInputError):
        connect(atoma).appraise(**candidate)
    assert not atoma.exchanges


def test_streams_and_vectors_say_why_their_key_was_accepted(recorded_atoma, connect):
    atoma = recorded_atoma
    settings = with_record(atoma, RecordedKey())
    shell = connect(atoma, **settings)
    reply = shell.embed([SECRET])
    assert reply.attestation.policy == "recorded_key"
    assert reply.attestations == (reply.attestation,)
    assert shell.embed([]).attestation is None
    for mode in ("live", "buffered"):
        shell = connect(atoma, stream_mode=mode, **settings)
        chunks, _ = shell.stream()
        assert "4711" in text_of(chunks)
        assert shell.last_stream.attestation.policy == "recorded_key"
