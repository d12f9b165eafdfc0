"""Atoma's JSON: what is written to the letter, and what is read only if it is right."""

import base64
import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from atoma_confidential import _wire, errors
from atoma_confidential._wire import Endpoint, Lease, Model, SealedReply
from atoma_confidential.envelope import Recipient, seal
from atoma_confidential.errors import (
    Exposure,
    RemoteProtocolError,
    StatusError,
    UnusableKeyError,
)

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


def status_error(status, body=b"", headers=(), **options):
    return _wire.status_error(
        status, dict(headers), body, exposure=Exposure.SEALED, **options
    )


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


# --- statuses -----------------------------------------------------------------------


def proxy_body(message, code="INTERNAL_ERROR"):
    return json.dumps({"error": {"code": code, "message": message}}).encode()


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, b"bad syntax", errors.InvalidRequestError),
        (401, b"", errors.AuthenticationError),
        (402, b"", errors.BalanceError),
        (403, b"", errors.PermissionDeniedError),
        (404, b"", errors.NotFoundError),
        (405, b"", errors.NotFoundError),
        (413, b"too large", errors.PayloadTooLargeError),
        (415, b"", errors.InvalidRequestError),
        (422, b"missing field", errors.InvalidRequestError),
        (423, b"", errors.StackLockedError),
        (425, b"", errors.StackUnavailableError),
        (429, b"", errors.RateLimitError),
        (503, b"", errors.NodeUnavailableError),
        (500, b"", errors.ServerError),
        (502, b"<html>", errors.ServerError),
        (504, b"", errors.ServerError),
        (418, b"", errors.ServerError),
        (400, proxy_body("x", "FIAT_PAYMENTS_ONLY"), errors.BalanceError),
        (
            400,
            proxy_body("Request error: Unsupported endpoint: /v1/nodes/lock"),
            errors.ConcurrentPurchaseError,
        ),
        (
            400,
            proxy_body("Many concurrent requests, a stack is being bought, wait"),
            errors.ConcurrentPurchaseError,
        ),
        (
            400,
            proxy_body("too long", "context_length_exceeded"),
            errors.ContextLengthError,
        ),
        (400, proxy_body("Maximum context exceeded"), errors.ContextLengthError),
        (422, proxy_body("Too many tokens"), errors.ContextLengthError),
        (401, proxy_body("Too many tokens"), errors.AuthenticationError),
        (500, proxy_body("Bad Request"), errors.InvalidRequestError),
        (500, proxy_body("Bad Request indeed"), errors.ServerError),
        (
            500,
            proxy_body("Node public key not found for x"),
            errors.NodeKeyMissingError,
        ),
        (
            500,
            proxy_body("Inference service returned status code error 503 x"),
            errors.NodeFailureError,
        ),
        (
            500,
            proxy_body("Failed to connect to the node"),
            errors.NodeFailureError,
        ),
        (
            500,
            proxy_body("Invalid response from inference service"),
            errors.NodeFailureError,
        ),
        (
            502,
            proxy_body("Failed to connect to the node"),
            errors.ServerError,
        ),
    ],
)
def test_a_status_and_its_text_choose_the_class(status, body, kind):
    error = status_error(status, body)
    assert type(error) is kind
    assert error.status == status
    assert error.exposure is Exposure.SEALED


def test_a_bad_request_after_a_purchase_is_a_stack_not_yet_known():
    body = proxy_body("Bad Request")
    error = status_error(500, body, purchased=True)
    assert type(error) is errors.StackNotIndexedError


def test_the_code_is_kept_and_the_text_is_not():
    error = status_error(500, proxy_body("you sent: canary", "INTERNAL_ERROR"))
    assert error.code == "INTERNAL_ERROR"
    assert "(INTERNAL_ERROR)" in str(error)
    assert "canary" not in f"{error}{error.args}{vars(error)}"


@pytest.mark.parametrize(
    "code", ["", "x" * 41, "you sent: canary", "a\nb", "hunter2_correct_horse"]
)
def test_a_code_that_is_none_is_dropped(code):
    error = status_error(400, proxy_body("message", code))
    assert error.code == ""
    assert "()" not in str(error)


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "maximum context", "code": None}},
        {"error": {"message": "maximum context"}},
    ],
)
def test_an_error_object_without_a_code_still_chooses_the_class(body):
    error = status_error(400, json.dumps(body).encode())
    assert type(error) is errors.ContextLengthError
    assert error.code == ""


@pytest.mark.parametrize("body", [{"error": "x"}, {"detail": "x"}, {"error": {}}, {}])
def test_another_error_object_is_no_obstacle(body):
    assert type(status_error(400, json.dumps(body).encode())) is (
        errors.InvalidRequestError
    )


@given(st.integers(100, 999).filter(lambda status: status != 200), st.binary())
def test_any_status_with_any_body_is_one_of_our_errors(status, body):
    assert isinstance(status_error(status, body), StatusError)


# --- Retry-After --------------------------------------------------------------------

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def retry_after(value, date=None):
    headers = {"retry-after": value} | ({"date": date} if date is not None else {})
    return status_error(429, headers=headers).retry_after


@pytest.mark.parametrize(
    ("value", "seconds"), [("0", 0.0), ("7", 7.0), (" 2.5 ", 2.5), ("120", 120.0)]
)
def test_seconds_are_read(value, seconds):
    assert retry_after(value) == seconds


@given(st.integers(0, 10**6))
def test_a_date_is_read_against_the_servers_own(seconds):
    until = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)
    assert retry_after(until, format_datetime(NOW, usegmt=True)) == seconds


def test_a_date_in_the_past_means_now():
    past = format_datetime(NOW - timedelta(hours=1), usegmt=True)
    assert retry_after(past, format_datetime(NOW, usegmt=True)) == 0.0


@pytest.mark.parametrize(
    "value", ["", "-1", "soon", "1e3", "inf", "nan", "٣", "1" * 10, "1 2", "."]
)
def test_what_is_neither_seconds_nor_a_date_says_nothing(value):
    assert retry_after(value, format_datetime(NOW, usegmt=True)) is None


@pytest.mark.parametrize("date", [None, "", "today", "Fri, 02 Jan 2026 03:04:05 -0000"])
def test_a_date_without_the_servers_own_says_nothing(date):
    assert retry_after(format_datetime(NOW, usegmt=True), date) is None


@given(
    st.text(alphabet="0123456789 +-:,.", max_size=30),
    st.sampled_from(["", "Fri, 02 Jan 2026 03:04:05 "]),
)
@example("+99999999999999999", "Fri, 02 Jan 2026 03:04:05 ")
def test_no_date_breaks_the_reading(text, before):
    seconds = retry_after(before + text, format_datetime(NOW, usegmt=True))
    assert seconds is None or seconds >= 0.0


def test_without_the_field_nothing_is_said():
    assert status_error(429).retry_after is None


@pytest.mark.parametrize("junk", ['{"a":1}', "[]", "0"])
def test_a_body_full_of_other_things_is_refused_before_it_is_built(junk):
    listed = ",".join([junk] * 2000)
    body = f'{{"ciphertext":"AAAA","x":[{listed}]}}'.encode()
    with pytest.raises(errors.RemoteProtocolError, match="too many members"):
        _wire.parse_sealed(body)
