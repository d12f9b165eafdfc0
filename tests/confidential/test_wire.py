"""Atoma's JSON: what is written to the letter, and what is read only if it is right."""

import base64
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from atoma_confidential import _wire, errors
from atoma_confidential._wire import Endpoint, Lease, Model, SealedReply
from atoma_confidential.envelope import Recipient, seal
from atoma_confidential.errors import Exposure, RemoteProtocolError, UnusableKeyError

KEY = bytes(range(32))
LOCK = {
    "public_key": base64.b64encode(KEY).decode(),
    "node_small_id": 3,
    "stack_entry_digest": None,
    "stack_small_id": 4711,
}
MODEL = "vendor/größe-7b"


def lease(**changes):
    fields = {"recipient": Recipient(KEY), "node": 3, "stack": 4711}
    return Lease(**(fields | {"purchase": None, "units": 64} | changes))


def parse_lease(fields):
    return _wire.parse_lease(json.dumps(fields).encode(), units=64)


# --- paths, headers and bodies ------------------------------------------------------


def test_paths_are_those_of_the_protocol():
    assert Endpoint.CHAT.path(confidential=True) == "/v1/confidential/chat/completions"
    assert Endpoint.CHAT.path(confidential=False) == "/v1/chat/completions"
    assert Endpoint.EMBEDDINGS.path(confidential=True) == "/v1/confidential/embeddings"
    assert Endpoint.EMBEDDINGS.path(confidential=False) == "/v1/embeddings"
    assert (_wire.LOCK_PATH, _wire.MODELS_PATH) == ("/v1/nodes/lock", "/v1/models")


def test_a_lock_is_asked_for_in_compact_json():
    body = _wire.lock_body(MODEL, units=64, seconds=60)
    assert body.decode() == (
        '{"model":"vendor/größe-7b","max_num_tokens":64,"timeout":60}'
    )


@pytest.mark.parametrize("stream", [True, False])
def test_an_envelope_has_its_ten_fields_compact_and_unescaped(node, stream):
    envelope, _ = seal(node.recipient, b'{"secret": 1}')
    to = lease(recipient=node.recipient)
    body = _wire.envelope_body(envelope, to, model=MODEL, stream=stream)
    fields = json.loads(body)
    assert list(fields) == [
        "ciphertext",
        "stack_small_id",
        "nonce",
        "salt",
        "client_dh_public_key",
        "node_dh_public_key",
        "plaintext_body_hash",
        "stream",
        "model_name",
        "num_compute_units",
    ]
    compact = json.dumps(fields, separators=(",", ":"), ensure_ascii=False)
    assert body == compact.encode()
    assert fields["stream"] is stream
    assert fields["num_compute_units"] == 64
    assert b"secret" not in body
    assert base64.b64decode(fields["node_dh_public_key"]) == node.recipient.public_key


def test_the_stack_is_named_in_a_header_and_a_purchase_too():
    assert _wire.stack_headers(lease()) == {"X-Stack-Small-Id": "4711"}
    assert _wire.stack_headers(lease(purchase="8yRC")) == {
        "X-Stack-Small-Id": "4711",
        "X-Tx-Digest": "8yRC",
    }


# --- locks --------------------------------------------------------------------------


def test_a_lease_is_read():
    assert parse_lease(LOCK) == lease()
    assert parse_lease(LOCK | {"stack_entry_digest": "8yRC"}) == lease(purchase="8yRC")


def test_a_lease_may_lack_the_purchase_and_have_more():
    fields = {name: value for name, value in LOCK.items() if value is not None}
    assert parse_lease(fields | {"new": [1]}) == lease()


@pytest.mark.parametrize("name", ["node_small_id", "stack_small_id"])
@pytest.mark.parametrize("value", [-1, 2**64, 1.0, True, "3", None, [3]])
def test_an_id_that_is_no_unsigned_integer_is_refused(name, value):
    with pytest.raises(RemoteProtocolError, match="not an unsigned integer") as caught:
        parse_lease(LOCK | {name: value})
    assert caught.value.exposure is Exposure.LOCK


@pytest.mark.parametrize("value", ["", "a\r\nX-Evil: 1", "a b", "ü", "x" * 129, 7, []])
def test_a_purchase_that_is_no_token_is_refused(value):
    with pytest.raises(RemoteProtocolError, match="bad purchase digest"):
        parse_lease(LOCK | {"stack_entry_digest": value})


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_key_of_another_length_is_unusable(length):
    with pytest.raises(UnusableKeyError):
        parse_lease(LOCK | {"public_key": base64.b64encode(bytes(length)).decode()})


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"{", b"\xff", b'{"a": NaN}'])
def test_what_is_no_json_object_is_no_lease(data):
    with pytest.raises(RemoteProtocolError, match="The lock answer is not"):
        _wire.parse_lease(data, units=64)


# --- base64 -------------------------------------------------------------------------


def decode(text):
    return _wire._binary({"field": text}, "field", Exposure.SEALED)


@given(st.binary(max_size=200))
def test_the_one_encoding_of_bytes_is_read(data):
    assert decode(base64.b64encode(data).decode()) == data


@given(st.text(alphabet="AB+/-_=\n ü", max_size=12) | st.text(max_size=12))
@example("AB==")
@example("AAB=")
@example("AAAA=")
@example("AAAA====")
@example("AA==AA==")
@example("====")
def test_no_other_text_is(text):
    try:
        strict = base64.b64encode(base64.b64decode(text, validate=True)).decode()
    except ValueError:
        strict = None
    if strict == text:
        assert decode(text) == base64.b64decode(text)
    else:
        with pytest.raises(RemoteProtocolError, match="is not base64"):
            decode(text)


@pytest.mark.parametrize("value", [None, 7, True, ["QQ=="], {"a": "QQ=="}])
def test_what_is_no_text_is_refused(value):
    with pytest.raises(RemoteProtocolError, match="field is missing"):
        decode(value)


# --- sealed answers -----------------------------------------------------------------

SEALED = {
    "nonce": bytes(range(12)),
    "ciphertext": bytes(range(16)),
    "response_hash": bytes(range(32)),
    "signature": bytes(97),
}


def answer(**changes):
    texts = {n: base64.b64encode(v).decode() for n, v in (SEALED | changes).items()}
    return json.dumps(texts).encode()


@pytest.mark.parametrize("signature", [bytes(97), bytes(98)])
def test_a_sealed_answer_is_read(signature):
    assert _wire.parse_sealed(answer(signature=signature)) == SealedReply(
        ciphertext=SEALED["ciphertext"],
        nonce=SEALED["nonce"],
        digest=SEALED["response_hash"],
        signature=signature,
    )


@pytest.mark.parametrize(
    ("name", "length"),
    [
        *(("nonce", length) for length in (0, 11, 13, 16)),
        *(("ciphertext", length) for length in (0, 15)),
        *(("response_hash", length) for length in (0, 31, 33, 64)),
        *(("signature", length) for length in (0, 64, 96, 99)),
    ],
)
def test_a_part_of_another_size_is_refused(name, length):
    with pytest.raises(RemoteProtocolError) as caught:
        _wire.parse_sealed(answer(**{name: bytes(length)}))
    assert caught.value.exposure is Exposure.SEALED


@pytest.mark.parametrize("name", SEALED)
def test_each_part_is_required(name):
    fields = json.loads(answer())
    del fields[name]
    with pytest.raises(RemoteProtocolError, match=f"{name} is missing"):
        _wire.parse_sealed(json.dumps(fields).encode())


def test_every_proper_prefix_of_an_answer_is_refused():
    whole = answer()
    for length in range(len(whole)):
        with pytest.raises(RemoteProtocolError, match="The answer is not"):
            _wire.parse_sealed(whole[:length])


@given(st.binary(max_size=100))
def test_noise_is_refused(noise):
    with pytest.raises(RemoteProtocolError):
        _wire.parse_sealed(noise)


# --- models -------------------------------------------------------------------------


def test_models_are_read_with_what_is_known_of_them():
    listing = {
        "object": "list",
        "data": [
            {"id": "a", "object": "model", "created": 7, "owned_by": "atoma"},
            {"id": "b", "created": "soon", "owned_by": None},
        ],
    }
    assert _wire.parse_models(json.dumps(listing).encode()) == [
        Model("a", owned_by="atoma", created=7),
        Model("b", owned_by="", created=0),
    ]


@pytest.mark.parametrize("data", [None, {}, "a", [None], ["a"], [{}], [{"id": 7}]])
def test_what_is_no_listing_is_refused(data):
    with pytest.raises(RemoteProtocolError, match="The model list"):
        _wire.parse_models(json.dumps({"data": data}).encode())


# --- Retry-After --------------------------------------------------------------------


@pytest.mark.parametrize("junk", ['{"a":1}', "[]", "0"])
def test_a_body_full_of_other_things_is_refused_before_it_is_built(junk):
    listed = ",".join([junk] * 2000)
    body = f'{{"ciphertext":"AAAA","x":[{listed}]}}'.encode()
    with pytest.raises(errors.RemoteProtocolError, match="too many members"):
        _wire.parse_sealed(body)
