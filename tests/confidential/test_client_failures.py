"""One typed error for each row of protocol 8, repeated as its matrix says."""

import re

import pytest
from shells import QUESTION, SECRET, locks, posts

import atoma_confidential as ac
from atoma_confidential import Exposure
from atoma_confidential._embed import Tally

LOCK, SEALED = Exposure.LOCK, Exposure.SEALED

ROWS = [
    # fault, error, exposure, locks taken, sealed requests made
    ("lock-402", ac.BalanceError, LOCK, 1, 0),
    ("lock-429", ac.RateLimitError, LOCK, 3, 0),
    ("lock-500", ac.ServerError, LOCK, 1, 0),
    ("lock-500-no-key", ac.NodeKeyMissingError, LOCK, 1, 0),
    ("lock-502-html", ac.ServerError, LOCK, 1, 0),
    ("lock-503", ac.NodeUnavailableError, LOCK, 3, 0),
    ("lock-400-concurrent", ac.ConcurrentPurchaseError, LOCK, 6, 0),
    ("lock-307", ac.ServerError, LOCK, 1, 0),
    ("lock-key-short", ac.UnusableKeyError, LOCK, 1, 0),
    ("lock-key-zero", ac.UnusableKeyError, LOCK, 1, 0),
    ("lock-key-low-order", ac.UnusableKeyError, LOCK, 1, 0),
    ("lock-key-urlsafe", ac.RemoteProtocolError, LOCK, 1, 0),
    ("lock-key-substituted", ac.NodeFailureError, SEALED, 2, 2),
    ("lock-no-stack-id", ac.RemoteProtocolError, LOCK, 1, 0),
    ("post-400", ac.InvalidRequestError, SEALED, 1, 1),
    ("post-401", ac.AuthenticationError, SEALED, 1, 1),
    ("post-402", ac.BalanceError, SEALED, 1, 1),
    ("post-403", ac.PermissionDeniedError, SEALED, 1, 1),
    ("post-404", ac.NotFoundError, SEALED, 1, 1),
    ("post-423", ac.StackLockedError, SEALED, 4, 4),
    ("post-425", ac.StackUnavailableError, SEALED, 4, 4),
    ("post-429", ac.RateLimitError, SEALED, 3, 3),
    ("post-429-retry-after:3", ac.RateLimitError, SEALED, 3, 3),
    ("post-429-retry-after:3600", ac.RateLimitError, SEALED, 1, 1),
    ("post-500", ac.ServerError, SEALED, 1, 1),
    ("post-500-bad-request", ac.InvalidRequestError, SEALED, 1, 1),
    ("post-500-node", ac.NodeFailureError, SEALED, 2, 2),
    ("post-501", ac.ServerError, SEALED, 1, 1),
    ("post-502-html", ac.ServerError, SEALED, 1, 1),
    ("post-503", ac.NodeUnavailableError, SEALED, 2, 2),
    ("post-307", ac.ServerError, SEALED, 1, 1),
    ("post-cut", ac.AnswerCutError, SEALED, 1, 1),
    ("hash-wrong", ac.DigestMismatchError, SEALED, 1, 1),
    ("hash-missing", ac.RemoteProtocolError, SEALED, 1, 1),
    ("signature-missing", ac.RemoteProtocolError, SEALED, 1, 1),
    ("nonce-missing", ac.RemoteProtocolError, SEALED, 1, 1),
    ("nonce-short", ac.RemoteProtocolError, SEALED, 1, 1),
    ("ciphertext-missing", ac.RemoteProtocolError, SEALED, 1, 1),
    ("tag-tampered", ac.OpenError, SEALED, 2, 2),
    ("base64-urlsafe", ac.RemoteProtocolError, SEALED, 1, 1),
    ("reflection", ac.ReflectionError, SEALED, 1, 1),
    ("reply-clear", ac.RemoteProtocolError, SEALED, 1, 1),
    ("reply-html", ac.RemoteProtocolError, SEALED, 1, 1),
    ("reply-gzip", ac.RemoteProtocolError, SEALED, 1, 1),
    ("reply-not-json", ac.RemoteProtocolError, SEALED, 1, 1),
    ("engine-error-object", ac.EngineError, SEALED, 1, 1),
    ("answer-no-choices", ac.RemoteProtocolError, SEALED, 1, 1),
    ("answer-not-an-answer", ac.RemoteProtocolError, SEALED, 1, 1),
]


@pytest.mark.parametrize(
    ("fault", "error", "exposure", "lock_count", "post_count"),
    [
        # There the node answers in clear, against its contract; we did not ask so.
        pytest.param(*row, id=row[0], marks=pytest.mark.clear_text)
        if row[0] == "reply-clear"
        else pytest.param(*row, id=row[0])
        for row in ROWS
    ],
)
def test_a_failure_has_one_class_and_is_repeated_as_the_matrix_says(
    make_atoma, connect, delays, fault, error, exposure, lock_count, post_count
):
    atoma = make_atoma()
    atoma.faults.always(fault)
    with pytest.raises(error) as caught:
        connect(atoma).chat()
    assert type(caught.value) is error
    assert caught.value.exposure is exposure
    assert (len(locks(atoma)), len(posts(atoma))) == (lock_count, post_count)
    assert len(delays) == lock_count - 1
    for secret in (SECRET, QUESTION, atoma.api_key):
        assert secret not in str(caught.value)


@pytest.mark.parametrize(
    ("faults", "waits"),
    [
        (["lock-503"], [(2, 3)]),
        (["lock-503-retry-after:5"], [(5, 5)]),
        (["lock-400-concurrent"] * 5, [(0.5, 0.75)] * 5),
        (["post-425"] * 3, [(0, 0)] * 3),
        (["post-423"] * 3, [(0, 0)] * 3),
        (["post-423"] * 3 + ["post-425"] * 3, [(0, 0)] * 6),
        (["post-429"] * 2, [(1, 1.5), (2, 3)]),
        (["post-429-retry-after:7"], [(7, 7)]),
        (["post-500-node"], [(0, 0)]),
        (["tag-tampered"], [(0, 0)]),
        (["key-rotated-before-open"], [(0, 0)]),
        (["lock-key-stale"], [(0, 0)]),
        (["post-503"], [(2, 3)]),
    ],
)
def test_a_failure_that_passes_is_overcome(make_atoma, connect, delays, faults, waits):
    atoma = make_atoma()
    atoma.rotate_key()  # so that there is a key of before
    atoma.faults.once(*faults)
    reply = connect(atoma).chat()
    assert "4711" in reply.body["choices"][0]["message"]["content"]
    assert len(delays) == len(waits)
    for seconds, (low, high) in zip(delays, waits, strict=True):
        assert low <= seconds <= high


def test_a_lock_is_asked_for_again_whatever_an_attempt_before_has_let_out(
    make_atoma, connect, delays
):
    atoma = make_atoma()
    atoma.faults.once("post-425").once("lock-503", "lock-503", skip=1)
    connect(atoma).chat()
    assert (len(locks(atoma)), len(posts(atoma))) == (4, 2)
    assert len(delays) == 3


def test_each_attempt_has_keys_of_its_own(make_atoma, connect, delays):
    atoma = make_atoma()
    atoma.faults.once("post-425", "post-425")
    connect(atoma).chat()
    bodies = [post.body for post in posts(atoma)]
    assert len(bodies) == 3
    for name in (rb'"salt":"[^"]+"', rb'"nonce":"[^"]+"', rb'"client_dh[^,]+'):
        assert len({re.search(name, body)[0] for body in bodies}) == 3


@pytest.mark.parametrize("fault", ["post-425", "post-429", "lock-503", "tag-tampered"])
def test_zero_retries_are_none(make_atoma, connect, delays, fault):
    atoma = make_atoma()
    atoma.faults.always(fault)
    with pytest.raises(ac.ConfidentialError):
        connect(atoma, max_retries=0).chat()
    assert len(locks(atoma)) == 1
    assert delays == []


def test_an_answer_sealed_under_the_next_key_is_opened_without_asking_again(
    make_atoma, connect, delays
):
    atoma = make_atoma()
    atoma.faults.once("key-rotated-before-seal")
    reply = connect(atoma).chat()
    assert "4711" in reply.body["choices"][0]["message"]["content"]
    assert len(posts(atoma)) == 1
    assert len(locks(atoma)) == 2
    assert reply.verdict.key == ac.Recipient(atoma.node_public_key).fingerprint


def test_an_answer_that_opens_under_no_key_is_asked_for_again(
    make_atoma, connect, delays
):
    atoma = make_atoma()
    atoma.faults.once("key-rotated-before-seal")
    atoma.faults.once("tag-tampered")
    reply = connect(atoma).chat()
    assert "4711" in reply.body["choices"][0]["message"]["content"]
    assert len(posts(atoma)) == 2


def test_a_stack_that_was_just_bought_gets_a_second_chance(make_atoma, connect, delays):
    atoma = make_atoma(owns_stack=False)
    atoma.faults.once("post-500-bad-request")
    assert connect(atoma).chat().verdict.sealed
    assert len(delays) == 1


def test_a_key_that_is_not_pinned_is_never_sealed_to(atoma, connect):
    pinned = ac.TrustPolicy.pinned(keys=[bytes(range(32))])
    with pytest.raises(ac.AttestationError) as caught:
        connect(atoma, trust=pinned).chat()
    assert caught.value.exposure is Exposure.LOCK
    assert not posts(atoma)
    right = ac.TrustPolicy.pinned(keys=[atoma.node_public_key])
    assert connect(atoma, trust=right).chat().verdict.assurance == "key_pinned"


def test_a_key_that_the_proxy_puts_in_its_place_is_not_sealed_to(make_atoma, connect):
    atoma = make_atoma()
    atoma.faults.always("lock-key-substituted")
    pinned = ac.TrustPolicy.pinned(keys=[atoma.node_public_key])
    with pytest.raises(ac.PinMismatchError) as caught:
        connect(atoma, trust=pinned).chat()
    assert caught.value.exposure is Exposure.LOCK
    assert not posts(atoma)


def test_a_wrong_key_is_said_to_be_one(atoma, connect):
    with pytest.raises(ac.AuthenticationError) as caught:
        connect(atoma, api_key="wrong-key").chat()
    assert "wrong-key" not in str(caught.value)


def test_where_nobody_listens_nothing_has_left(connect, make_atoma, delays):
    atoma = make_atoma()
    with pytest.raises(ac.ConnectionFailedError) as caught:
        connect(atoma, base_url="http://127.0.0.1:9").chat()
    assert caught.value.exposure is Exposure.NOTHING
    assert len(delays) == 1


def test_an_answer_that_never_comes_times_out(make_atoma, connect):
    atoma = make_atoma()
    atoma.faults.always("post-silent")
    with pytest.raises(ac.ReplyTimeoutError) as caught:
        connect(atoma, timeout=2).chat()
    assert caught.value.exposure is Exposure.SEALED


def test_clear_usage_beside_the_answer_is_not_believed(make_atoma, connect):
    atoma = make_atoma()
    atoma.faults.always("usage-forged")
    assert connect(atoma).chat().body["usage"]["total_tokens"] < 10**6


@pytest.mark.parametrize(
    "fault",
    [
        "embeddings-missing",
        "embeddings-extra",
        "embeddings-duplicate",
        "embeddings-no-index",
        "embeddings-short",
        "embeddings-nan",
    ],
)
def test_vectors_that_do_not_fit_the_texts_are_refused(make_atoma, connect, fault):
    atoma = make_atoma()
    atoma.faults.always(fault)
    with pytest.raises(ac.RemoteProtocolError) as caught:
        connect(atoma).embed([SECRET, QUESTION], dimensions=16)
    assert caught.value.indices == range(2)


def test_batches_with_vectors_of_different_lengths_are_refused(make_atoma, connect):
    atoma = make_atoma()
    atoma.faults.once("embeddings-dimensions", skip=1)
    with pytest.raises(ac.RemoteProtocolError, match="different lengths") as caught:
        connect(atoma).embed([SECRET, QUESTION], batch_size=1, max_concurrency=1)
    assert caught.value.exposure is Exposure.SEALED


def test_vectors_in_another_order_are_put_right(make_atoma, connect):
    atoma = make_atoma()
    shell = connect(atoma)
    expected = shell.embed([SECRET, QUESTION]).vectors
    atoma.faults.always("embeddings-reversed")
    assert shell.embed([SECRET, QUESTION]).vectors == expected


def test_a_failed_batch_is_named_by_its_indices(make_atoma, connect, no_plaintext):
    texts = [f"Confidential passage {i} of the estate." for i in range(6)]
    no_plaintext(*texts)
    atoma = make_atoma()
    atoma.faults.once("post-401", skip=1)
    with pytest.raises(ac.AuthenticationError, match=r"Texts 2 to 3: ") as caught:
        connect(atoma).embed(texts, batch_size=2, max_concurrency=1)
    assert caught.value.indices == range(2, 4)
    assert "estate" not in str(caught.value)


def test_a_batch_that_is_too_large_is_halved(make_atoma, connect, no_plaintext):
    texts = [f"{i}. " + "Slate and Silvaner. " * 18_000 for i in range(5)]
    no_plaintext("Slate and Silvaner. Slate and Silvaner.")
    atoma = make_atoma()
    reply = connect(atoma).embed(texts, batch_bytes=10_000_000)
    assert len(reply.vectors) == 5
    assert [len(seen.body["input"]) for seen in atoma.opened] == [2, 1, 2]


@pytest.mark.parametrize("text", ["x" * 1_500_000, "\x01" * 170_000])
def test_a_text_too_large_is_refused_before_any_is_sent(make_atoma, connect, text):
    atoma = make_atoma()
    with pytest.raises(ac.RequestTooLargeError, match=r"Texts 150 to 150: ") as caught:
        connect(atoma).embed([SECRET] * 150 + [text])
    assert caught.value.indices == range(150, 151)
    assert caught.value.exposure is Exposure.NOTHING
    assert not atoma.exchanges


def test_a_batch_that_a_server_finds_too_large_is_halved(make_atoma, connect):
    atoma = make_atoma()
    atoma.faults.once("post-413")
    reply = connect(atoma).embed([SECRET, QUESTION])
    assert len(reply.vectors) == 2
    assert len(posts(atoma, "/v1/confidential/embeddings")) == 3


def test_an_error_says_what_left_with_the_whole_call(make_atoma, connect):
    """The half's lock is refused, but the whole batch had been sent before."""
    atoma = make_atoma()
    atoma.faults.once("post-413")
    atoma.faults.once("lock-402", skip=1)
    with pytest.raises(ac.BalanceError, match=r"Texts 0 to 0: ") as caught:
        connect(atoma).embed([SECRET, QUESTION])
    assert caught.value.exposure is Exposure.SEALED


def test_an_error_counts_in_what_other_batches_have_under_way():
    tally = Tally()
    tally.sending(range(2), LOCK)
    tally.sending(range(2), SEALED)
    tally.sending(range(2), LOCK)  # of a repetition
    tally.sending(range(2, 4), LOCK)
    assert tally.ended(range(2, 4), LOCK) is SEALED
    assert tally.ended(range(2), LOCK) is LOCK  # it had not left after all


def test_a_text_that_a_server_finds_too_large_is_named(make_atoma, connect):
    atoma = make_atoma()
    atoma.faults.always("post-413")
    with pytest.raises(ac.PayloadTooLargeError, match=r"Texts 0 to 0: "):
        connect(atoma).embed([SECRET, QUESTION])


def test_a_stack_that_a_call_bought_stays_known_by_its_digest(
    make_atoma, connect, delays
):
    """The second lock on it is told no digest, and the node has not yet indexed it."""
    atoma = make_atoma(owns_stack=False)
    atoma.faults.always("stack-unindexed")
    atoma.faults.once("post-425")
    assert connect(atoma).chat().verdict.sealed
    assert atoma.purchases == 1


def test_a_bought_stack_that_stays_unknown_is_named(make_atoma, connect, delays):
    atoma = make_atoma(owns_stack=False)
    atoma.faults.always("stack-unknown")
    with pytest.raises(ac.StackNotIndexedError):
        connect(atoma).chat()
    assert len(posts(atoma)) == 2
