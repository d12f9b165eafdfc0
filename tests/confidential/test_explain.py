"""`explain` tells all that crosses in clear, and nothing that does not."""

import dataclasses
import json

import pytest
from shells import CHAT, EMBEDDING, MESSAGES, SECRET

import atoma_confidential as ac
from atoma_confidential import _wire

LOCK = "/v1/nodes/lock"
SEALED_CHAT = "/v1/confidential/chat/completions"
SEALED_EMBEDDINGS = "/v1/confidential/embeddings"

# A snapshot: who adds a field that crosses in clear has to say so here.
LOCK_FIELDS = {"model", "max_num_tokens", "timeout"}
ENVELOPE_FIELDS = {
    "client_dh_public_key",
    "model_name",
    "nonce",
    "node_dh_public_key",
    "num_compute_units",
    "plaintext_body_hash",
    "salt",
    "stack_small_id",
    "stream",
}
HEADERS = {"Authorization", "Content-Type", "Accept", "Accept-Encoding", "User-Agent"}


@pytest.fixture
def connect(atoma):
    def make(**settings):
        return ac.Client(base_url=atoma.base_url, api_key=atoma.api_key, **settings)

    return make


def fields(explanation):
    return [(one.path, set(one.clear)) for one in explanation.crossings]


def test_what_crosses_in_clear_is_this_and_no_more(connect):
    with connect() as client:
        told = client.explain(MESSAGES, model=CHAT, temperature=0)
    assert fields(told) == [(LOCK, LOCK_FIELDS), (SEALED_CHAT, ENVELOPE_FIELDS)]
    assert [set(one.headers) for one in told.crossings] == [
        HEADERS,
        HEADERS | {"X-Stack-Small-Id"},
    ]
    assert told.answer_clear == ("nonce", "response_hash", "signature", "usage")
    assert set(told.crossings[1].sealed) >= {"messages", "model", "temperature"}
    assert told.policy == "proxy_asserted"


def test_a_stream_of_an_unknown_node_begins_with_a_probe(connect):
    with connect() as client:
        told = client.explain(MESSAGES, model=CHAT, stream=True)
    _, probe, request = told.crossings
    assert (probe.clear["stream"], request.clear["stream"]) == ("True", "True")
    assert probe.sealed == ()
    assert "probe" in probe.purpose
    assert "messages" in request.sealed


@pytest.mark.parametrize(("mode", "streams"), [("live", "True"), ("buffered", "False")])
def test_other_streams_do_not(connect, mode, streams):
    with connect(stream_mode=mode) as client:
        told = client.explain(MESSAGES, model=CHAT, stream=True)
    assert [one.path for one in told.crossings] == [LOCK, SEALED_CHAT]
    assert told.crossings[-1].clear["stream"] == streams


def test_an_embedding_call_shows_its_first_batch(connect):
    with connect() as client:
        told = client.explain_embed([SECRET, "another"], model=EMBEDDING)
    assert fields(told)[-1] == (SEALED_EMBEDDINGS, ENVELOPE_FIELDS)
    assert "input" in told.crossings[-1].sealed
    with pytest.raises(ac.InvalidInputError, match="nothing to embed"):
        connect().explain_embed([], model=EMBEDDING)


@pytest.mark.parametrize("stream", [False, True])
def test_without_sealing_everything_is_in_clear(connect, stream):
    with connect(confidential=False) as client:
        told = client.explain(MESSAGES, model=CHAT, stream=stream)
    (request,) = told.crossings
    assert request.path == "/v1/chat/completions"
    assert request.sealed_bytes == 0
    assert {"messages", "model"} <= set(request.clear)
    assert told.proxy == told.answer_clear == ("everything",)
    assert told.policy == "none"


def test_nothing_is_sent_and_no_content_is_told(connect, atoma):
    with connect() as client:
        told = client.explain(MESSAGES, model=CHAT, user="canary-heliotrope-5f1d9c")
        clear = connect(confidential=False).explain(MESSAGES, model=CHAT)
    assert atoma.exchanges == []
    for explanation in (told, clear):
        shown = json.dumps(explanation.as_dict())
        assert "heliotrope" not in shown
        assert atoma.api_key not in shown
    assert client._connection.session.locked == set()


def test_the_policy_is_named_and_not_asked(connect):
    with connect(trust=ac.TrustPolicy.pinned(keys=[bytes(range(32))])) as client:
        assert client.explain(MESSAGES, model=CHAT).policy == "pinned"


SUI = {"rpc_url": "https://sui.example/key-of-a-provider", "atoma_db": "0x1"}
RECORD = "the keeper of the nodes' records: which node"


@pytest.mark.parametrize(
    ("policy", "asked"),
    [
        (ac.TrustPolicy.proxy_asserted(), ()),
        (ac.TrustPolicy.nvidia_offline(nonce=1), (RECORD,)),
        (
            ac.TrustPolicy.nvidia_offline(nonce=ac.SuiContract(**SUI)),
            (RECORD, "the Sui server sui.example: that this contract is read"),
        ),
        (
            ac.TrustPolicy.nvidia_offline(
                nonce=ac.SuiContract(**SUI, package="0x2"),
            ),
            ("the Sui server sui.example: which node",),
        ),
        (
            ac.TrustPolicy.nvidia_offline(nonce=1) & ac.TrustPolicy.nras(nonce=1),
            (
                RECORD,
                "the service nras.attestation.nvidia.com: which GPUs",
            ),
        ),
    ],
)
def test_whom_the_policy_asks_is_told(connect, policy, asked, tmp_path):
    pins = ac.PinFile(tmp_path / "pins.json")
    for one in (policy, ac.TrustPolicy.on_first_use(pins, policy)):
        with connect(trust=one) as client:
            assert client.explain(MESSAGES, model=CHAT).asked == asked
    assert not pins.path.exists()


def test_what_would_be_refused_is_refused(connect):
    with connect() as client, pytest.raises(ac.RequestTooLargeError):
        client.explain([{"role": "user", "content": "x" * 2_000_000}], model=CHAT)


def told_of(client, how):
    match how:
        case "chat":
            client.chat(MESSAGES, model=CHAT, max_tokens=64)
            return client.explain(MESSAGES, model=CHAT, max_tokens=64)
        case "stream":
            told = client.explain(MESSAGES, model=CHAT, stream=True)
            with client.stream_chat(MESSAGES, model=CHAT) as stream:
                list(stream)
            return told
        case "embed":
            client.embed([SECRET], model=EMBEDDING)
            return client.explain_embed([SECRET], model=EMBEDDING)


@pytest.mark.parametrize("how", ["chat", "stream", "embed"])
def test_it_tells_what_a_wiretap_records(connect, atoma, how):
    with connect() as client:
        told = told_of(client, how)
    view = atoma.tap.view()
    assert {(one.method, one.path) for one in told.crossings} == set(view.requests)
    for one in told.crossings:
        assert set(one.clear) == set(view.field_names(one.path))
        sent = {
            name.lower() for crossing in told.crossings for name in crossing.headers
        }
    # What else stands there is HTTP's own.
    assert set(view.header_names) - sent <= {"host", "content-length", "connection"}
    answered = {
        f.name.partition(".")[0]
        for f in view.clear_fields
        if f.direction == "response" and f.path != LOCK
    }
    assert answered == set(told.answer_clear)
    sizes = {one.sealed_bytes for one in told.crossings if one.sealed_bytes}
    if how != "stream":
        assert view.sealed_bytes_sent in sizes


def test_it_can_be_written_as_json(connect):
    told = connect().explain(MESSAGES, model=CHAT)
    assert json.loads(json.dumps(told.as_dict()))["policy"] == "proxy_asserted"
    assert told.as_dict().keys() == {f.name for f in dataclasses.fields(told)}


def test_every_field_of_the_envelope_is_accounted_for():
    assert {
        "model_name",
        "num_compute_units",
        "stack_small_id",
        "stream",
    } == ENVELOPE_FIELDS - _wire.OPAQUE_FIELDS
