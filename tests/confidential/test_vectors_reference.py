"""The wire's vectors are those of the protocol, value by value.

Where its reference vectors lie beside this repository, ours are compared with them.
"""

import json
from pathlib import Path

import pytest
from vector_files import FILES, REQUESTS, compressed

REFERENCE = Path(__file__).parents[3] / "shared" / "vectors.json"


@pytest.fixture
def reference():
    if not REFERENCE.is_file():
        pytest.skip("the protocol's reference vectors are not beside this repository")
    return json.loads(REFERENCE.read_text(encoding="utf-8"))


def named(file, name):
    return next(case for case in FILES[file]["cases"] if case["name"] == name)


def test_no_part_of_the_reference_is_left_out(reference):
    assert set(reference) - {"about", "verified_with"} == {
        "attestation",
        "chat_non_streaming",
        "chat_streaming",
        "constants",
        "embeddings",
        "errors",
        "hash_blinding",
        "images",
        "lock",
        "negative",
        "node_signing_identity",
        "sui_signatures",
    }
    assert set(reference["negative"]) == {
        "node_public_keys_that_must_be_rejected_hex",
        "reflected_request",
        "stream_dropped_chunk",
        "stream_reordered",
        "stream_truncated",
        "tampered_tag",
        "urlsafe_base64_request",
        "wrong_response_hash",
    }


def test_constants_equal_the_reference(reference):
    ours = dict(FILES["constants"])
    assert ours.pop("node_signing_identity") == reference["node_signing_identity"]
    assert ours == reference["constants"]


def test_the_lock_equals_the_reference(reference):
    ours, theirs = named("locks", "lock"), reference["lock"]
    assert ours["request"] == theirs["request"]
    assert ours["request_body"] == theirs["request_body_compact"]
    assert json.loads(ours["response_body"]) == theirs["response"]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("chat", "chat_non_streaming"),
        ("chat_streaming", "chat_streaming"),
        ("embeddings", "embeddings"),
        ("images", "images"),
        ("chat_blinded", "hash_blinding"),
    ],
)
def test_requests_equal_the_reference(reference, ours, theirs):
    case, request = REQUESTS[ours], reference[theirs]["request"]
    schedule = request["key_schedule"]
    shared_names = case.keys() & schedule.keys()
    assert len(shared_names) == 8
    assert {n: case[n] for n in shared_names} == {n: schedule[n] for n in shared_names}
    for name in (
        "nonce_hex",
        "plaintext_utf8",
        "plaintext_body_hash_hex",
        "ciphertext_with_tag_hex",
        "http_content_length",
    ):
        assert case[name] == request[name]
    assert case["plaintext_utf8"].encode().hex() == request["plaintext_hex"]
    assert case["http_body"] == request["http_body_compact"]
    assert json.loads(case["http_body"]) == request["envelope"]
    assert case["ciphertext_with_tag_hex"].endswith(request["gcm_tag_hex"])
    assert case["endpoint"] == reference[theirs].get("endpoint", case["endpoint"])


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("chat", "chat_non_streaming"),
        ("embeddings", "embeddings"),
        ("images", "images"),
    ],
)
def test_replies_equal_the_reference(reference, ours, theirs):
    case, reply = named("replies", ours), reference[theirs]["response"]
    for name in (
        "node_nonce_hex",
        "plaintext_utf8",
        "response_hash_hex",
        "signature_hex",
        "ciphertext_with_tag_hex",
        "http_body",
    ):
        assert case[name] == reply[name]
    assert json.loads(case["http_body"]) == reply["envelope"]
    opened = json.loads(case["plaintext_utf8"])
    assert opened == reference[theirs]["expected_decrypted"]


def test_the_stream_equals_the_reference(reference):
    ours, theirs = named("streams", "chat"), reference["chat_streaming"]
    assert ours["http_body"] == theirs["raw_http_body"]
    assert ours["node_nonce_hex"] == theirs["stream_nonce_hex"]
    for chunk, other in zip(ours["chunks"], theirs["chunks"], strict=True):
        assert chunk.items() <= other.items()
        assert json.loads(chunk["sse"].removeprefix("data: ")) == other["event"]
    reuse, demo = ours["keystream_reuse"], theirs["nonce_reuse_demo"]
    assert (reuse["bytes"], reuse["xor_hex"]) == (demo["bytes"], demo["xor_hex"])


def test_the_stream_says_what_the_reference_expects(reference):
    expected = reference["chat_streaming"]["expected"]
    chunks = [json.loads(text) for text in named("streams", "chat")["opened_utf8"]]
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    text = "".join(choice["delta"]["content"] for choice in choices)
    assert text == expected["text"]
    assert choices[-1]["finish_reason"] == expected["finish_reason"]
    assert chunks[-1]["usage"] == expected["usage"]
    assert len(chunks) == expected["events"]


def test_blinding_equals_the_reference(reference):
    ours, theirs = named("blinding", "hash_blinding"), reference["hash_blinding"]
    padding = ours["blinded_utf8"].removeprefix(ours["body_utf8"])
    assert ours["random_hex"] == theirs["random_hex"]
    assert padding.encode().hex() == theirs["padding_hex"]
    assert ours["blinded_utf8"] == theirs["request"]["plaintext_utf8"]


def test_receipts_equal_the_reference(reference):
    digest = reference["sui_signatures"]["digest_hex"]
    for theirs in reference["sui_signatures"]["cases"]:
        ours = named("receipts", theirs["scheme"])
        assert ours["digest_hex"] == digest
        for name in ("scheme", "signature_b64", "public_key_hex", "sui_address"):
            assert ours[name] == theirs[name]


def test_attestation_equals_the_reference(reference):
    ours, theirs = FILES["attestation"], reference["attestation"]
    same = ours.keys() & theirs.keys()
    assert len(same) == 8
    assert {name: ours[name] for name in same} == {name: theirs[name] for name in same}
    record = theirs["get_node_attestation_response"]
    assert record["node_small_id"] == ours["node_small_id"]
    published = compressed(named("attestation", "from_a_node"))
    assert list(published) == record["compressed_evidence"]
    assert theirs["spdm_request_nonce_offset"] == 4
    assert theirs["spdm_request_nonce_len"] == 32


def test_negatives_equal_the_reference(reference):
    theirs = reference["negative"]
    low_order = [
        case["node_public_key_hex"]
        for case in FILES["requests"]["cases"]
        if case["name"].startswith("low_order_key")
    ]
    assert low_order == theirs["node_public_keys_that_must_be_rejected_hex"]
    for name in ("tampered_tag", "wrong_response_hash", "reflected_request"):
        ours = json.loads(named("replies", name)["http_body"])
        assert ours == theirs[name]["envelope"]
    urlsafe = json.loads(REQUESTS["urlsafe_base64"]["http_body"])
    assert urlsafe == theirs["urlsafe_base64_request"]["envelope"]
    for name in ("truncated", "dropped_chunk", "reordered"):
        ours = named("streams", name)["http_body"]
        assert ours == theirs[f"stream_{name}"]["raw_http_body"]


def test_errors_equal_the_reference(reference):
    ours = [(c["status"], c["body"]) for c in FILES["errors"]["cases"] if c["code"]]
    for theirs in reference["errors"]:
        body = json.dumps(theirs["body"], separators=(",", ":"))
        assert (theirs["status"], body) in ours
