"""The wire's vectors: what the generator writes, and what the package makes of each."""

import importlib
import json
import sys

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from vector_files import FILES, REQUESTS, VECTORS, compressed

from atoma_confidential import _wire, errors
from atoma_confidential._reply import StreamOpener, open_answer
from atoma_confidential._wire import Endpoint, Lease
from atoma_confidential.attestation.evidence import parse_evidence, report_nonce
from atoma_confidential.blinding import blind
from atoma_confidential.envelope import Opener, Recipient, _seal, digest_of, seal
from atoma_confidential.errors import Exposure
from atoma_confidential.receipt import verify_signature

FAILURES = {
    "bad evidence": errors.EvidenceFormatError,
    "bad receipt": errors.ReceiptError,
    "digest mismatch": errors.DigestMismatchError,
    "engine error": errors.EngineError,
    "malformed": errors.RemoteProtocolError,
    "nonce reuse": errors.NonceReuseError,
    "open failure": errors.OpenError,
    "reflection": errors.ReflectionError,
    "truncated": errors.StreamTruncatedError,
    "unusable key": errors.UnusableKeyError,
}
STATUSES = {
    "authentication": errors.AuthenticationError,
    "balance": errors.BalanceError,
    "concurrent purchase": errors.ConcurrentPurchaseError,
    "context length": errors.ContextLengthError,
    "invalid request": errors.InvalidRequestError,
    "node failure": errors.NodeFailureError,
    "node key missing": errors.NodeKeyMissingError,
    "node unavailable": errors.NodeUnavailableError,
    "not found": errors.NotFoundError,
    "payload too large": errors.PayloadTooLargeError,
    "permission denied": errors.PermissionDeniedError,
    "rate limit": errors.RateLimitError,
    "server": errors.ServerError,
    "stack locked": errors.StackLockedError,
    "stack not indexed": errors.StackNotIndexedError,
    "stack unavailable": errors.StackUnavailableError,
}
ENDPOINTS = {endpoint.path(confidential=True): endpoint for endpoint in Endpoint}

unhex = bytes.fromhex


def each(file, *, good=None):
    """Parametrize over a file's cases: all, the good ones or the bad ones."""
    cases = [
        pytest.param(case, id=case["name"])
        for case in FILES[file]["cases"]
        if good is None or good is (case["expect"] == "ok")
    ]
    return pytest.mark.parametrize("case", cases)


def fails(case):
    """Expect the case's failure: this very class, not one of its kind."""
    kind = FAILURES[case["expect"]]
    return pytest.raises(kind, check=lambda error: type(error) is kind)


def sealed_request(case):
    return _seal(
        Recipient(unhex(case["node_public_key_hex"])),
        case["plaintext_utf8"].encode(),
        private_key=X25519PrivateKey.from_private_bytes(
            unhex(case["client_private_key_hex"])
        ),
        salt=unhex(case["salt_hex"]),
        nonce=unhex(case["nonce_hex"]),
    )


def opener_for(case) -> Opener:
    return sealed_request(REQUESTS[case["request"]])[1]


# --- the files ----------------------------------------------------------------------


def test_the_files_are_what_the_generator_writes(monkeypatch):
    monkeypatch.syspath_prepend(str(VECTORS))
    before = set(sys.modules)
    try:
        rendered = importlib.import_module("generate").render()
    finally:
        for name in set(sys.modules) - before:
            del sys.modules[name]
    on_disk = {path.name: path.read_bytes() for path in VECTORS.glob("*.json")}
    assert on_disk == {name: text.encode() for name, text in rendered.items()}


@pytest.mark.parametrize("file", sorted(FILES.keys() - {"constants"}))
def test_each_case_has_its_own_name_and_an_outcome_we_know(file):
    cases = FILES[file]["cases"]
    names = [(case["name"], case.get("code"), case.get("body")) for case in cases]
    assert len(set(names)) == len(names)
    outcomes = {case["expect"] for case in cases}
    assert outcomes <= {"ok", *FAILURES, *STATUSES}
    assert file == "blinding" or len(outcomes) > 1


# --- requests and locks -------------------------------------------------------------


@each("requests", good=True)
def test_a_request_seals_to_its_body(case):
    envelope, _ = sealed_request(case)
    lease = Lease(
        recipient=Recipient(unhex(case["node_public_key_hex"])),
        node=3,
        stack=case["stack_small_id"],
        purchase=None,
        units=case["num_compute_units"],
    )
    body = _wire.envelope_body(
        envelope, lease, model=case["model_name"], stream=case["stream"]
    )
    assert body == case["http_body"].encode()
    assert len(body) == case["http_content_length"]
    assert envelope.plaintext_digest.hex() == case["plaintext_body_hash_hex"]


@each("requests", good=True)
def test_the_node_opens_a_request_with_the_key_it_derives(case):
    cipher = AESGCM(unhex(case["aes_256_key_hex"]))
    sealed = unhex(case["ciphertext_with_tag_hex"])
    plaintext = cipher.decrypt(unhex(case["nonce_hex"]), sealed, None)
    assert plaintext == case["plaintext_utf8"].encode()
    assert digest_of(plaintext).hex() == case["plaintext_body_hash_hex"]


@each("requests", good=False)
def test_a_request_that_must_not_be_made_or_taken_is_refused(case):
    with fails(case):
        if case["expect"] == "unusable key":
            seal(Recipient(unhex(case["node_public_key_hex"])), b"{}")
        _wire._binary(json.loads(case["http_body"]), "ciphertext", Exposure.SEALED)


@each("locks", good=True)
def test_a_lock_is_read(case):
    lease = _wire.parse_lease(case["response_body"].encode(), units=4096)
    answer = json.loads(case["response_body"])
    assert lease.recipient.public_key.hex() == REQUESTS["chat"]["node_public_key_hex"]
    assert (lease.node, lease.stack) == (
        answer["node_small_id"],
        answer["stack_small_id"],
    )
    assert lease.purchase == answer["stack_entry_digest"]


def test_a_lock_is_asked_for_in_this_form():
    case = next(case for case in FILES["locks"]["cases"] if "request" in case)
    asked = case["request"]
    body = _wire.lock_body(
        asked["model"], units=asked["max_num_tokens"], seconds=asked["timeout"]
    )
    assert body == case["request_body"].encode()


@each("locks", good=False)
def test_a_broken_lock_is_refused(case):
    with fails(case):
        _wire.parse_lease(case["response_body"].encode(), units=4096)


@each("blinding")
def test_a_body_is_blinded(case):
    entropy = {len(case["random_hex"]) // 2: unhex(case["random_hex"])}
    blinded = blind(case["body_utf8"].encode(), entropy=entropy.__getitem__)
    assert blinded == case["blinded_utf8"].encode()
    assert json.loads(blinded) == json.loads(case["body_utf8"])


# --- answers ------------------------------------------------------------------------


@each("replies", good=True)
def test_an_answer_opens(case):
    path = REQUESTS[case["request"]]["endpoint"].removeprefix("POST ")
    body = case["http_body"].encode()
    expected = json.loads(case["plaintext_utf8"])
    sealed = _wire.parse_sealed(body)
    opener = opener_for(case)
    opened = opener.open(sealed.ciphertext, nonce=sealed.nonce, digest=sealed.digest)
    assert opened == case["plaintext_utf8"].encode()
    if path in ENDPOINTS:
        assert open_answer(body, opener, ENDPOINTS[path]).body == expected
    signer = verify_signature(sealed.signature, sealed.digest)
    identity = FILES["constants"]["node_signing_identity"]
    assert signer.address == identity["sui_address"]
    assert signer.public_key.hex() == identity["public_key_hex"]


def test_every_endpoint_of_the_package_has_an_answer():
    answered = {
        REQUESTS[case["request"]]["endpoint"].removeprefix("POST ")
        for case in FILES["replies"]["cases"]
        if case["expect"] == "ok"
    }
    assert answered >= ENDPOINTS.keys()


@each("replies", good=False)
def test_a_broken_answer_is_refused(case):
    with fails(case):
        open_answer(case["http_body"].encode(), opener_for(case), Endpoint.CHAT)


def test_a_reflected_request_is_refused_even_where_its_form_would_pass():
    case = next(
        c for c in FILES["replies"]["cases"] if c["name"] == "reflected_request"
    )
    fields = json.loads(case["http_body"])
    signed = next(
        c for c in FILES["replies"]["cases"] if c["name"] == "reflected_request_signed"
    )
    sealed = _wire.parse_sealed(signed["http_body"].encode())
    assert fields.items() <= json.loads(signed["http_body"]).items()
    with pytest.raises(errors.ReflectionError):
        opener_for(case).open(
            sealed.ciphertext, nonce=sealed.nonce, digest=sealed.digest
        )


@each("streams")
@pytest.mark.parametrize("size", [1, 7, 1 << 20], ids=lambda size: f"by_{size}")
def test_a_stream_opens_as_far_as_it_may(case, size):
    stream = StreamOpener(
        opener_for(case), refuse_nonce_reuse=case["nonce_reuse"] == "refused"
    )
    body = case["http_body"].encode()
    opened = []

    def read():
        for start in range(0, len(body), size):
            for chunk in stream.feed(body[start : start + size]):
                opened.append(chunk)  # noqa: PERF402 - it may raise in between
        stream.finish()

    if case["expect"] == "ok":
        read()
    else:
        with fails(case):
            read()
    assert opened == [json.loads(text) for text in case["opened_utf8"]]


@pytest.mark.parametrize("name", ["chat", "fresh_nonces"])
def test_every_proper_prefix_of_a_recorded_stream_is_truncated(name):
    (case,) = (c for c in FILES["streams"]["cases"] if c["name"] == name)
    body = case["http_body"].encode()
    for length in range(len(body)):
        stream = StreamOpener(opener_for(case), refuse_nonce_reuse=False)
        for _ in stream.feed(body[:length]):
            pass
        with pytest.raises(errors.StreamTruncatedError):
            stream.finish()


def test_a_repeated_nonce_gives_the_plaintexts_away():
    case = next(c for c in FILES["streams"]["cases"] if "keystream_reuse" in c)
    reuse = case["keystream_reuse"]
    chunks = [case["chunks"][reuse["first"]], case["chunks"][reuse["second"]]]
    ciphertexts = [unhex(chunk["ciphertext_with_tag_hex"])[:-16] for chunk in chunks]
    plaintexts = [chunk["plaintext_utf8"].encode() for chunk in chunks]
    assert xor(*ciphertexts).hex() == reuse["xor_hex"]
    assert xor(*plaintexts).hex() == reuse["xor_hex"]
    assert len(xor(*plaintexts)) == reuse["bytes"]


def xor(one, two):
    return bytes(a ^ b for a, b in zip(one, two, strict=False))


@each("errors")
def test_an_error_body_has_its_class(case):
    error = _wire.status_error(
        case["status"],
        {},
        case["body"].encode(),
        exposure=Exposure.SEALED,
        purchased=case["purchased"],
    )
    assert type(error) is STATUSES[case["expect"]]
    assert (error.status, error.code) == (case["status"], case["code"])
    assert case["body"] not in str(error) or not case["body"]


# --- receipts and evidence ----------------------------------------------------------


@each("receipts", good=True)
def test_a_receipt_names_its_signer(case):
    signer = verify_signature(
        _wire._binary(case, "signature_b64", Exposure.SEALED), unhex(case["digest_hex"])
    )
    assert signer.scheme == case["scheme"]
    assert signer.public_key.hex() == case["public_key_hex"]
    assert signer.address == case["sui_address"]


@each("receipts", good=False)
def test_a_bad_receipt_is_refused(case):
    signature = _wire._binary(case, "signature_b64", Exposure.SEALED)
    with fails(case):
        verify_signature(signature, unhex(case["digest_hex"]))


def test_evidence_is_bound_to_its_key_by_the_nonce():
    file = FILES["attestation"]
    nonce = report_nonce(
        int(file["contract_nonce_u64"]),
        unhex(file["node_public_key_hex"]),
        device_type=file["device_type_u16"],
    )
    assert nonce.hex() == file["report_nonce_blake3_hex"]
    for case in file["cases"]:
        if case["expect"] == "ok":
            items = parse_evidence(compressed(case))
            assert {item.nonce for item in items} == {nonce}


@each("attestation", good=True)
def test_an_evidence_record_is_read(case):
    record = json.loads(FILES["attestation"]["evidence_json"])
    item = parse_evidence(compressed(case))[0]
    assert item.kind == record[0]["evidence_type"]
    expected = _wire._binary(record[0], "certificate", Exposure.NOTHING)
    assert item.certificate_chain == expected


@each("attestation", good=False)
def test_a_broken_evidence_record_is_refused(case):
    with fails(case):
        parse_evidence(compressed(case))


def test_the_node_signs_the_record_that_it_uploads():
    file = FILES["attestation"]
    case = next(case for case in file["cases"] if case["name"] == "from_a_node")
    digest = digest_of(file["node_small_id"].to_bytes(8, "little") + compressed(case))
    assert digest.hex() == file["upload_digest_blake2b256_hex"]
    signature = _wire._binary(file, "upload_x_signature_ed25519_b64", Exposure.NOTHING)
    assert verify_signature(signature, digest).scheme == "ed25519"
