"""What NVIDIA's service signs: each token, about what it is, and by which key."""

import base64
import json

import pytest
from appraisal import NONCE, json_answer
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from silicon import NOW
from silicon_nras import CHAIN, URL, Service, b64url

from atoma_confidential.attestation.nras import check_token
from atoma_confidential.attestation.policy import Fetched
from atoma_confidential.attestation.result import Gpu
from atoma_confidential.errors import (
    DeviceNotAllowedError,
    EvidenceRejectedError,
    KeyNotBoundError,
    MeasurementMismatchError,
    VerifierUnavailableError,
)

SERIALS = ["1001", "1002"]
GPUS = [Gpu("GH100", "", serial, "", "", "", "") for serial in SERIALS]


@pytest.fixture
def check(service):
    def check(answer=None, keys=None, *, now=NOW, **changes):
        if answer is None:
            answer = service.answer(NONCE, SERIALS, **changes)
        if not isinstance(answer, Fetched):
            answer = json_answer(answer)
        keys = json_answer(service.jwks()) if keys is None else keys
        if not isinstance(keys, Fetched):
            keys = json_answer(keys)
        return check_token(answer, keys, issuer=URL, nonce=NONCE, gpus=GPUS, now=now)

    return check


def test_a_token_about_these_gpus_is_believed(check):
    found = check()
    assert found.expires_at == NOW + 3600
    assert found.not_revoked


def test_the_first_of_the_tokens_to_end_counts(check):
    assert check(gpu={"exp": int(NOW) + 60}).expires_at == NOW + 60


def test_a_token_need_not_speak_of_revocation(check):
    assert not check(gpu={CHAIN: None}).not_revoked
    assert not check(gpu={CHAIN: {}}).not_revoked


@pytest.mark.parametrize("part", ["gpu", "overall"])
@pytest.mark.parametrize(
    ("claims", "error", "why"),
    [
        ({"iss": "https://nras.example"}, VerifierUnavailableError, "somebody else"),
        ({"iss": None}, VerifierUnavailableError, "somebody else"),
        ({"exp": int(NOW)}, VerifierUnavailableError, "not valid at this time"),
        ({"exp": None}, VerifierUnavailableError, "when it is valid"),
        ({"exp": NOW + 60}, VerifierUnavailableError, "when it is valid"),
        ({"nbf": int(NOW) + 61}, VerifierUnavailableError, "not valid at this time"),
        ({"nbf": None}, VerifierUnavailableError, "when it is valid"),
        ({"eat_nonce": bytes(32).hex()}, KeyNotBoundError, "another nonce"),
        ({"eat_nonce": None}, KeyNotBoundError, "another nonce"),
        ({"eat_nonce": "\ud800"}, KeyNotBoundError, "another nonce"),
        (
            {"x-nvidia-error-details": {"code": 4010}},
            EvidenceRejectedError,
            "reports an error",
        ),
    ],
)
def test_every_token_is_valid_now_and_about_this_nonce(check, part, claims, error, why):
    with pytest.raises(error, match=why):
        check(**{part: claims})


@pytest.mark.parametrize("result", [False, None, "true", 1])
def test_what_the_service_rejects_is_rejected(check, result):
    with pytest.raises(EvidenceRejectedError, match="rejects the evidence"):
        check(overall={"x-nvidia-overall-att-result": result})


@pytest.mark.parametrize(
    ("claims", "error"),
    [
        ({"measres": "fail"}, MeasurementMismatchError),
        ({"measres": None}, MeasurementMismatchError),
        ({"secboot": False}, MeasurementMismatchError),
        ({"secboot": "true"}, MeasurementMismatchError),
        ({"dbgstat": "enabled"}, MeasurementMismatchError),
        ({"dbgstat": None}, MeasurementMismatchError),
        ({CHAIN: {"x-nvidia-cert-ocsp-status": "revoked"}}, EvidenceRejectedError),
        ({CHAIN: {"x-nvidia-cert-ocsp-status": []}}, EvidenceRejectedError),
        ({"ueid": "1001"}, DeviceNotAllowedError),
        ({"ueid": None}, DeviceNotAllowedError),
        ({"ueid": 1001}, DeviceNotAllowedError),
    ],
)
def test_each_gpu_is_found_in_order(check, claims, error):
    with pytest.raises(error):
        check(gpu=claims)


@pytest.mark.parametrize("serials", [["1001"], ["1001", "1002", "1003"], ["1", "2"]])
def test_it_is_about_these_gpus_and_no_others(check, service, serials):
    with pytest.raises(DeviceNotAllowedError, match="other GPUs"):
        check(service.answer(NONCE, serials))


@pytest.mark.parametrize(
    "change",
    [
        lambda _: {},
        lambda _: None,
        lambda digests: {"GPU-0": digests["GPU-0"]},
        lambda digests: digests | {"GPU-2": digests["GPU-0"]},
        lambda digests: digests | {"GPU-0": digests["GPU-1"]},
        lambda digests: digests | {"GPU-0": ["DIGEST", ["SHA-1", "00"]]},
    ],
)
def test_the_overall_token_names_all_others_by_digest(check, change):
    with pytest.raises(VerifierUnavailableError, match="belong together"):
        check(submods=change)


def test_a_token_of_another_answer_does_not_fit(check, service):
    answer = service.answer(NONCE, SERIALS)
    answer[1]["GPU-0"] = service.answer(NONCE, SERIALS)[1]["GPU-0"]
    with pytest.raises(VerifierUnavailableError, match="belong together"):
        check(answer)


def replaced(answer, token):
    return [["JWT", token], answer[1]]


@pytest.mark.parametrize(
    ("header", "why"),
    [
        ({"alg": "none"}, "another kind"),
        ({"alg": "HS256"}, "another kind"),
        ({"alg": "ES256"}, "another kind"),
        ({"crit": ["exp"]}, "another kind"),
        ({"kid": None}, "another kind"),
        ({"kid": "another"}, "none of its keys"),
    ],
)
def test_only_es384_by_a_key_of_the_service_counts(check, service, header, why):
    answer = service.answer(NONCE, SERIALS)
    payload = answer[0][1].split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    check(replaced(answer, service.token(claims)))
    with pytest.raises(VerifierUnavailableError, match=why):
        check(replaced(answer, service.token(claims, **header)))


def test_a_token_by_another_key_is_refused(check, service):
    token = service.token({}, key=Service().key)
    with pytest.raises(VerifierUnavailableError, match="not signed by its key"):
        check(replaced(service.answer(NONCE, SERIALS), token))
    with pytest.raises(VerifierUnavailableError, match="not signed by its key"):
        check(keys=Service().jwks())


@pytest.mark.parametrize(
    "change",
    [
        lambda token: token.rpartition(".")[0] + ".",
        lambda token: token.rpartition(".")[0] + "." + b64url(bytes(95)),
        lambda token: token.rpartition(".")[0] + "." + b64url(bytes(96)),
        lambda token: token + "=",
        lambda token: token + ".",
        lambda token: "." + token,
        lambda token: token.replace(".", ""),
        lambda token: token.partition(".")[2],
        lambda token: "~" + token,
        lambda token: token.swapcase(),
        lambda _: "",
        lambda _: "é",
        lambda _: 7,
    ],
)
def test_a_token_off_its_form_is_refused(check, service, change):
    answer = service.answer(NONCE, SERIALS)
    with pytest.raises(VerifierUnavailableError):
        check(replaced(answer, change(answer[0][1])))


@pytest.mark.parametrize(
    "answer",
    [
        Fetched(401, b""),
        Fetched(403, b"[]"),
        Fetched(500, b"<html>"),
        Fetched(200, b"<html>"),
        Fetched(200, b"\xff"),
        Fetched(200, b"[" * 100_000),
        Fetched(200, b" " * ((1 << 20) + 1)),
        Fetched(200, b"{}"),
        Fetched(200, b"[]"),
        Fetched(200, b'[["JWT","a.b.c"],{}]'),
        Fetched(200, b'[["JWT","a.b.c"],{"GPU-0":7}]'),
        Fetched(200, '[["JWT","a.b.c"],{"GPU-0":"é"}]'.encode()),
        Fetched(200, b'[["JWE","a.b.c"],{"GPU-0":"a.b.c"}]'),
        Fetched(200, b'[["JWT","a.b.c"],{"GPU-0":"a.b.c"},{}]'),
    ],
)
def test_an_answer_that_is_none_is_no_verdict(check, answer):
    with pytest.raises(VerifierUnavailableError):
        check(answer)


@pytest.mark.parametrize(
    "keys",
    [
        Fetched(404, b""),
        Fetched(200, b"<html>"),
        Fetched(200, b"[]"),
        Fetched(200, b"{}"),
        Fetched(200, b'{"keys":{}}'),
        Fetched(200, b'{"keys":[null]}'),
    ],
)
def test_without_keys_there_is_no_verdict(check, keys):
    with pytest.raises(VerifierUnavailableError):
        check(keys=keys)


@pytest.mark.parametrize(
    "changes",
    [
        {"kty": "OKP"},
        {"crv": "P-256"},
        {"x": b64url(bytes(48))},
        {"x": b64url(bytes(47))},
        {"x": base64.b64encode(b"\xff" * 48).decode()},
        {"y": "="},
        {"y": None},
        {"kid": 7},
    ],
)
def test_a_key_that_is_none_is_refused(check, service, changes):
    with pytest.raises(VerifierUnavailableError):
        check(keys=service.jwks(**changes))


def test_two_keys_of_one_name_are_refused(check, service):
    keys = service.jwks()["keys"] + service.jwks()["keys"]
    with pytest.raises(VerifierUnavailableError, match="one name"):
        check(keys={"keys": keys})


def test_a_key_of_another_curve_is_none(check):
    small = Service(ec.SECP256R1())
    numbers = small.key.public_key().public_numbers()
    coordinates = {
        name: b64url(getattr(numbers, name).to_bytes(48, "big")) for name in "xy"
    }
    with pytest.raises(VerifierUnavailableError, match="keys is none"):
        check(small.answer(NONCE, SERIALS), keys=small.jwks(**coordinates))


def test_every_proper_prefix_of_an_answer_is_refused(check, service):
    body = json.dumps(service.answer(NONCE, SERIALS[:1])).encode()
    for length in range(len(body)):
        with pytest.raises(VerifierUnavailableError):
            check(Fetched(200, body[:length]))


@given(
    st.recursive(
        st.none() | st.booleans() | st.text(max_size=9) | st.just("JWT"),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner),
        max_leaves=8,
    )
)
def test_any_other_answer_is_refused(value):
    keys = json_answer(Service().jwks())
    for answer, listed in ((json_answer(value), keys), (keys, json_answer(value))):
        with pytest.raises(VerifierUnavailableError):
            check_token(answer, listed, issuer=URL, nonce=NONCE, gpus=GPUS, now=NOW)


@given(st.text(st.sampled_from("abcAZ09-_.=é\ud800"), max_size=60))
def test_any_other_token_is_refused(text):
    service = Service()
    answer = replaced(service.answer(NONCE, SERIALS), text)
    with pytest.raises(VerifierUnavailableError):
        check_token(
            json_answer(answer),
            json_answer(service.jwks()),
            issuer=URL,
            nonce=NONCE,
            gpus=GPUS,
            now=NOW,
        )
