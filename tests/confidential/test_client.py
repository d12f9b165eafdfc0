"""Both shells over real HTTP: every test here runs blocking and asynchronous."""

import re

import pytest
from shells import CHAT, EMBEDDING, MESSAGES, QUESTION, SECRET, locks, posts

import atoma_confidential as ac
from atoma_confidential import Exposure


def test_a_chat_is_answered_from_what_was_sealed(atoma, connect):
    reply = connect(atoma).chat(temperature=0, max_tokens=200)
    assert "4711" in reply.body["choices"][0]["message"]["content"]
    assert atoma.opened[0].body["messages"] == MESSAGES
    verdict = reply.verdict.as_dict()
    assert verdict.pop("not_proven") == (
        "confidential machine, software, placement, operator, genuine gpu, node key, "
        "firmware, gpu mode"
    )
    assert verdict == {
        "sealed": True,
        "assurance": "proxy_asserted",
        "policy": "proxy_asserted",
        "node": 3,
        "key": ac.Recipient(atoma.node_public_key).fingerprint,
        "stream": "none",
        "hash": "verified",
        "signature": "unpinned",
        "blinded": True,
    }
    assert SECRET not in repr(reply)


def test_the_lock_reserves_what_the_request_declares(atoma, connect):
    connect(atoma).chat(max_tokens=200)
    (lock,), (post,) = locks(atoma), posts(atoma)
    units = re.search(rb'"max_num_tokens":(\d+)', lock.body)[1]
    assert re.search(rb'"num_compute_units":(\d+)', post.body)[1] == units
    assert b'"timeout":60' in lock.body
    assert post.headers["x-stack-small-id"] in post.body.decode()
    assert not atoma.violations


def test_headers_tell_no_caller_from_another(atoma, connect):
    connect(atoma).chat()
    (post,) = posts(atoma)
    assert post.headers.keys() == {
        "host",
        "authorization",
        "content-type",
        "accept",
        "accept-encoding",
        "user-agent",
        "x-stack-small-id",
        "content-length",
    }


def test_two_equal_requests_share_nothing_but_their_size(atoma, connect):
    shell = connect(atoma)
    shell.chat()
    shell.chat()
    one, other = (post.body for post in posts(atoma))
    for name in (b"ciphertext", b"nonce", b"salt", b"client_dh", b"plaintext_body"):
        pattern = b'"' + name + rb'[a-z_]*":"([^"]+)"'
        assert re.search(pattern, one)[1] != re.search(pattern, other)[1]
    assert len(one) == len(other)


def test_a_bought_stack_is_named_to_the_node(make_atoma, connect):
    atoma = make_atoma(owns_stack=False)
    atoma.faults.always("stack-unindexed")
    assert connect(atoma).chat().verdict.sealed
    assert "x-tx-digest" in posts(atoma)[0].headers


def test_embeddings_come_in_order_and_in_batches(atoma, connect, no_plaintext):
    texts = [f"Document number {i} about Silvaner and slate." for i in range(25)]
    no_plaintext(*texts)
    done = []
    shell = connect(atoma)
    reply = shell.embed(texts, batch_size=4, max_concurrency=3, on_batch=done.append)
    assert sorted(done) == [1, 4, 4, 4, 4, 4, 4]
    # Not posts: a smaller batch may take a larger one's lock, which then asks again.
    assert len(atoma.opened) == 7
    assert reply.vectors == [shell.embed(text).vectors[0] for text in texts]
    assert reply.usage["total_tokens"] > 0
    assert reply.model == EMBEDDING
    assert reply.verdict.sealed
    assert len(reply.verdicts) == 1


@pytest.mark.parametrize("encoding", ["float", "base64"])
def test_each_encoding_gives_python_floats(atoma, connect, encoding):
    (vector,) = connect(atoma).embed(SECRET, encoding_format=encoding).vectors
    assert all(type(number) is float for number in vector)
    assert atoma.opened[-1].body["encoding_format"] == encoding


def test_dimensions_are_asked_for_and_checked(atoma, connect):
    (vector,) = connect(atoma).embed([SECRET], dimensions=64, user="u").vectors
    assert len(vector) == 64
    assert atoma.opened[-1].body["user"] == "u"


def test_no_texts_make_no_request(atoma, connect):
    reply = connect(atoma).embed([])
    assert (reply.vectors, reply.verdict, reply.model) == ([], None, EMBEDDING)
    assert not atoma.exchanges


def test_blinded_replies_carry_a_decoy_and_drop_its_vector(atoma, connect):
    shell = connect(atoma)
    reply = shell.embed([SECRET, QUESTION], blind_replies=True)
    assert len(reply.vectors) == 2
    sent = atoma.opened[-1].body["input"]
    assert sent[:2] == [SECRET, QUESTION]
    shell.embed([SECRET, QUESTION], blind_replies=True)
    assert atoma.opened[-1].body["input"][2] != sent[2]


def test_models_are_listed(atoma, connect):
    models = connect(atoma).models()
    assert CHAT in [model.id for model in models]
    assert all(model.owned_by and model.created for model in models)


def test_client_works_after_close(atoma, connect):
    shell = connect(atoma)
    shell.chat()
    shell.close()
    shell.close()
    assert shell.chat().verdict.sealed


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda shell: shell.chat(model=" "), ac.InvalidInputError),
        (lambda shell: shell.chat([]), ac.InvalidInputError),
        (lambda shell: shell.chat(max_tokens=0), ac.InvalidInputError),
        (lambda shell: shell.chat(n=1.5), ac.InvalidInputError),
        (lambda shell: shell.chat(max_tokens=1_000_000), ac.RequestTooLargeError),
        (lambda shell: shell.stream(n=2), ac.InvalidInputError),
        (lambda shell: shell.chat(temprature=1), TypeError),
        (lambda shell: shell.embed(["x", ""]), ac.InvalidInputError),
        (lambda shell: shell.embed(["x"], batch_size=0), ac.InvalidInputError),
        (lambda shell: shell.embed(["x"], max_concurrency=0), ac.InvalidInputError),
        (lambda shell: shell.embed(["x"], encoding_format="hex"), ac.InvalidInputError),
        (lambda shell: shell.embed(["x"], dimension=8), TypeError),
        (lambda shell: shell.embed(["x"] * 150 + ["\ud800"]), ac.InvalidInputError),
        (lambda shell: shell.embed(["x" * 1_500_000]), ac.RequestTooLargeError),
    ],
)
def test_what_cannot_be_answered_is_refused_before_anything_is_sent(
    atoma, connect, call, expected
):
    with pytest.raises(expected) as caught:
        call(connect(atoma))
    assert not atoma.exchanges
    if isinstance(caught.value, ac.ConfidentialError):
        assert caught.value.exposure is Exposure.NOTHING


def test_a_body_that_the_network_does_not_carry_is_refused(atoma, connect):
    """An image is few units and many bytes."""
    image = {"type": "image_url", "image_url": {"url": "data:," + "x" * 1_600_000}}
    with pytest.raises(ac.RequestTooLargeError):
        connect(atoma).chat([{"role": "user", "content": [image]}])
    assert not atoma.exchanges


@pytest.mark.parametrize(
    "settings",
    [
        {"stream_mode": "fast"},
        {"confidential": "yes"},
        {"max_retries": -1},
        {"timeout": 0},
        {"timeout": float("inf")},
        {"timeout": "5"},
        {"stream_idle_timeout": -1},
        {"base_url": "http://elsewhere.example"},
        {"attestation_url": "http://elsewhere.example"},
        {"attestation_url": "https://elsewhere.example/?token=1"},
        {"signatures": "some"},
        {"api_key": "two words"},
    ],
)
@pytest.mark.parametrize("kind", [ac.Client, ac.AsyncClient])
def test_settings_are_checked_in_the_constructor(kind, settings):
    with pytest.raises(ac.InvalidInputError):
        kind(**({"api_key": "k"} | settings))


def test_an_unknown_setting_is_named():
    with pytest.raises(TypeError, match="retries"):
        ac.Client(api_key="k", retries=2)
