"""Both shells over real HTTP: every test here runs blocking and asynchronous."""

import asyncio
import logging
import re
import warnings

import pytest

import atoma_confidential as ac
from atoma_confidential import Exposure, retry
from atoma_local import BuiltInBackend, encodings_of

CHAT = "meta-llama/Llama-3.3-70B-Instruct"
EMBEDDING = "intfloat/multilingual-e5-large-instruct"
SECRET = (
    "Passage: The wine cellar of Ostheim (canary-heliotrope-5f1d9c) holds 4711 "
    "bottles of Silvaner."
)
QUESTION = "How many bottles does the wine cellar of Ostheim hold?"
PATTERNS = [*encodings_of(SECRET), *encodings_of(QUESTION)]
MESSAGES = [{"role": "user", "content": f"{SECRET}\n\nQuestion: {QUESTION}"}]


class Blocking:
    def __init__(self, **settings):
        self.client = ac.Client(**settings)

    def chat(self, messages=MESSAGES, *, model=CHAT, **parameters):
        return self.client.chat(messages, model=model, **parameters)

    def stream(self, messages=MESSAGES, *, model=CHAT, take=None, **parameters):
        with self.client.stream_chat(messages, model=model, **parameters) as stream:
            chunks = []
            for chunk in stream:
                chunks.append(chunk)
                if len(chunks) == take:
                    break
        return chunks, stream.verdict

    def embed(self, texts, *, model=EMBEDDING, **parameters):
        return self.client.embed(texts, model=model, **parameters)

    def models(self):
        return self.client.models()

    def close(self):
        self.client.close()


class Asynchronous:
    """Each call in an event loop of its own: the client must survive that."""

    def __init__(self, **settings):
        self.client = ac.AsyncClient(**settings)

    def chat(self, messages=MESSAGES, *, model=CHAT, **parameters):
        return asyncio.run(self.client.chat(messages, model=model, **parameters))

    def stream(self, messages=MESSAGES, *, model=CHAT, take=None, **parameters):
        async def run():
            chunks = []
            async with self.client.stream_chat(
                messages, model=model, **parameters
            ) as stream:
                async for chunk in stream:
                    chunks.append(chunk)
                    if len(chunks) == take:
                        break
            return chunks, stream.verdict

        return asyncio.run(run())

    def embed(self, texts, *, model=EMBEDDING, **parameters):
        return asyncio.run(self.client.embed(texts, model=model, **parameters))

    def models(self):
        return asyncio.run(self.client.models())

    def close(self):
        asyncio.run(self.client.aclose())


@pytest.fixture(params=[Blocking, Asynchronous])
def connect(request, recorded, canary):
    """Make clients of one shell; what they say must not be found on the wire."""
    assert canary in SECRET
    shells = []

    def make(atoma, **settings):
        settings = {"api_key": atoma.api_key, "base_url": atoma.base_url} | settings
        shells.append(request.param(**settings))
        return shells[-1]

    yield make
    for shell in shells:
        shell.close()
    sent = [tap.sent for tap in recorded.taps]
    assert not any(pattern.data in raw for pattern in PATTERNS for raw in sent)


@pytest.fixture
def delays(monkeypatch):
    """Record the waits before repetitions, and do not wait."""
    recorded = []
    real = retry.Budget.delay

    def delay(self, failure):
        seconds = real(self, failure)
        if seconds is None:
            return None
        recorded.append(seconds)
        return 0

    monkeypatch.setattr(retry.Budget, "delay", delay)
    return recorded


def posts(atoma, path="/v1/confidential/chat/completions"):
    return [exchange for exchange in atoma.exchanges if exchange.path == path]


def locks(atoma):
    return posts(atoma, "/v1/nodes/lock")


def text_of(chunks):
    return "".join(
        choice["delta"].get("content") or ""
        for chunk in chunks
        for choice in chunk["choices"]
    )


# -- answers ------------------------------------------------------------------------


def test_a_chat_is_answered_from_what_was_sealed(atoma, connect):
    reply = connect(atoma).chat(temperature=0, max_tokens=200)
    assert "4711" in reply.body["choices"][0]["message"]["content"]
    assert atoma.opened[0].body["messages"] == MESSAGES
    assert reply.verdict.as_dict() == {
        "sealed": True,
        "assurance": "proxy_asserted",
        "node": 3,
        "key": ac.Recipient(atoma.node_public_key).fingerprint,
        "stream": "none",
        "hash": "verified",
        "signature": "skipped",
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


# -- input that is refused here ------------------------------------------------------


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


# -- one typed error for each row of protocol 8 ----------------------------------------

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
    ("post-503", ac.NodeUnavailableError, SEALED, 3, 3),
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
        (["lock-key-stale"], []),
    ],
)
def test_a_failure_that_passes_is_overcome(make_atoma, connect, delays, faults, waits):
    atoma = make_atoma()
    atoma.faults.once(*faults)
    reply = connect(atoma).chat()
    assert "4711" in reply.body["choices"][0]["message"]["content"]
    assert len(delays) == len(waits)
    for seconds, (low, high) in zip(delays, waits, strict=True):
        assert low <= seconds <= high


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
    assert connect(atoma, trust=right).chat().verdict.assurance == "pinned"


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
        connect(atoma, timeout=0.2).chat()
    assert caught.value.exposure is Exposure.SEALED


def test_clear_usage_beside_the_answer_is_not_believed(make_atoma, connect):
    atoma = make_atoma()
    atoma.faults.always("usage-forged")
    assert connect(atoma).chat().body["usage"]["total_tokens"] < 10**6


# -- embeddings that fail --------------------------------------------------------------


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


def test_a_text_that_a_server_finds_too_large_is_named(make_atoma, connect):
    atoma = make_atoma()
    atoma.faults.always("post-413")
    with pytest.raises(ac.PayloadTooLargeError, match=r"Texts 0 to 0: "):
        connect(atoma).embed([SECRET, QUESTION])


# -- streams ---------------------------------------------------------------------------


def test_fresh_nonces_stream_live_after_one_canary(make_atoma, connect):
    atoma = make_atoma(nonces="fresh")
    shell = connect(atoma)
    chunks, verdict = shell.stream()
    assert "4711" in text_of(chunks)
    assert len(chunks) > 5
    assert verdict.stream == "live"
    assert [seen.body["max_completion_tokens"] for seen in atoma.opened[1:]] == [8192]
    canary = atoma.opened[0].body
    assert canary["max_tokens"] == 4
    assert canary["messages"] != MESSAGES
    shell.stream()
    assert len(atoma.opened) == 3


def test_reused_nonces_are_never_streamed_under(make_atoma, connect):
    atoma = make_atoma(nonces="reused")
    shell = connect(atoma)
    with pytest.warns(ac.ConfidentialityWarning, match="repeats a nonce") as caught:
        chunks, verdict = shell.stream()
    assert len(caught) == 1
    assert "4711" in text_of(chunks)
    assert verdict.stream == "buffered"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        shell.stream()
    streamed = [seen.body for seen in atoma.opened if seen.body["stream"]]
    assert len(streamed) == 1
    assert streamed[0]["messages"] != MESSAGES


def test_live_mode_warns_once_and_says_so_in_the_verdict(make_atoma, connect):
    atoma = make_atoma(nonces="reused")
    shell = connect(atoma, stream_mode="live")
    with pytest.warns(ac.ConfidentialityWarning, match="repeats a nonce") as caught:
        chunks, verdict = shell.stream()
    assert len(caught) == 1
    assert "4711" in text_of(chunks)
    assert verdict.stream == "live-nonce-reused"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert shell.stream()[1].stream == "live-nonce-reused"


def test_buffered_mode_sends_neither_stream_nor_canary(make_atoma, connect):
    atoma = make_atoma()
    chunks, verdict = connect(atoma, stream_mode="buffered").stream()
    assert "4711" in text_of(chunks)
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["total_tokens"] > 0
    assert chunks[0]["choices"][0]["finish_reason"] == "stop"
    assert verdict.stream == "buffered"
    assert [seen.body["stream"] for seen in atoma.opened] == [False]


def test_a_node_that_turns_bad_is_stopped_at_the_repeated_nonce(make_atoma, connect):
    atoma = make_atoma(nonces="fresh")
    shell = connect(atoma)
    shell.stream()
    atoma.nonces = "reused"
    with pytest.raises(ac.NonceReuseError):
        shell.stream()
    with pytest.warns(ac.ConfidentialityWarning):
        assert shell.stream()[1].stream == "buffered"


def test_an_unknown_node_after_the_canary_is_not_probed_again(make_atoma, connect):
    atoma = make_atoma()
    atoma.faults.once("key-rotated-before-seal")
    chunks, verdict = connect(atoma).stream()
    assert "4711" in text_of(chunks)
    assert verdict.stream == "buffered"
    assert len([seen for seen in atoma.opened if seen.body["stream"]]) == 1


def test_a_canary_that_fails_decides_nothing(make_atoma, connect):
    atoma = make_atoma()
    atoma.faults.once("post-401")
    shell = connect(atoma)
    assert shell.stream()[1].stream == "buffered"
    assert shell.stream()[1].stream == "live"


def test_a_canary_that_is_cut_decides_nothing(make_atoma, connect):
    atoma = make_atoma()
    atoma.faults.once("stream-truncated:1")
    shell = connect(atoma)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert shell.stream()[1].stream == "buffered"
        assert shell.stream()[1].stream == "live"


def test_a_canary_that_is_cut_after_a_repeated_nonce_decides(make_atoma, connect):
    atoma = make_atoma(nonces="reused")
    atoma.faults.once("stream-truncated:3")
    with pytest.warns(ac.ConfidentialityWarning, match="repeats a nonce"):
        assert connect(atoma).stream()[1].stream == "buffered"


class OneChunk(BuiltInBackend):
    """An engine that says all of a short answer at once."""

    def stream_chat(self, body):
        answer = self.chat(body)
        (choice,) = answer["choices"]
        delta = {"role": "assistant", "content": choice["message"]["content"]}
        yield answer | {
            "object": "chat.completion.chunk",
            "choices": [{"index": 0, "delta": delta, "finish_reason": "stop"}],
        }


def test_a_stream_too_short_to_tell_is_not_trusted(make_atoma, connect):
    shell = connect(make_atoma(backend=OneChunk()))
    with pytest.warns(ac.ConfidentialityWarning, match="too short"):
        assert shell.stream()[1].stream == "buffered"


BROKEN_STREAMS = [
    ("stream-empty", ac.StreamTruncatedError),
    ("stream-truncated:3", ac.StreamTruncatedError),
    ("stream-cut:3", ac.StreamTruncatedError),
    ("stream-no-finish", ac.StreamTruncatedError),
    ("stream-duplicated:2", ac.NonceReuseError),
    ("stream-clear-event:2", ac.RemoteProtocolError),
    ("stream-garbage:2", ac.RemoteProtocolError),
    ("stream-engine-error:2", ac.EngineError),
    ("stream-two-ids:2", ac.RemoteProtocolError),
    ("stream-stalled:2", ac.StreamStalledError),
    ("stream-silent:2", ac.StreamStalledError),
    ("post-429", ac.RateLimitError),
]


@pytest.mark.parametrize(("fault", "error"), BROKEN_STREAMS)
def test_a_broken_stream_raises_and_is_not_repeated(
    make_atoma, connect, delays, fault, error
):
    atoma = make_atoma()
    shell = connect(atoma, timeout=0.5, stream_idle_timeout=0.2, max_retries=1)
    shell.stream()
    atoma.faults.always(fault)
    before = len(posts(atoma))
    with pytest.raises(error) as caught:
        shell.stream()
    assert type(caught.value) is error
    assert caught.value.exposure is Exposure.SEALED
    assert len(posts(atoma)) - before == (2 if fault == "post-429" else 1)


@pytest.mark.parametrize(
    "fault", ["stream-coalesced", "stream-resplit:7", "stream-done"]
)
def test_however_a_stream_is_cut_it_says_the_same(make_atoma, connect, fault):
    atoma = make_atoma()
    shell = connect(atoma)
    expected = text_of(shell.stream()[0])
    atoma.faults.always(fault)
    assert text_of(shell.stream()[0]) == expected


def test_stopping_early_is_silent_and_hangs_up(make_atoma, connect):
    atoma = make_atoma()
    shell = connect(atoma)
    chunks, verdict = shell.stream(take=2)
    assert len(chunks) == 2
    assert verdict is None
    assert shell.chat().verdict.sealed


def test_tool_calls_have_the_same_shape_whole_and_live(make_atoma, connect):
    tool = {
        "type": "function",
        "function": {
            "name": "count_bottles",
            "description": "Count the bottles of a wine cellar.",
            "parameters": {
                "type": "object",
                "properties": {"year": {"type": "integer"}},
                "required": ["year"],
            },
        },
    }
    message = [{"role": "user", "content": "Count the bottles of 1987."}]
    parameters = {"tools": [tool], "tool_choice": "required"}
    whole = connect(make_atoma(), stream_mode="buffered").stream(message, **parameters)
    live = connect(make_atoma(), stream_mode="live").stream(message, **parameters)

    def calls(chunks):
        names, arguments = {}, {}
        for chunk in chunks:
            for choice in chunk["choices"]:
                for call in choice["delta"].get("tool_calls") or ():
                    function = call["function"]
                    names.setdefault(call["index"], function.get("name"))
                    arguments[call["index"]] = arguments.get(
                        call["index"], ""
                    ) + function.get("arguments", "")
        return names, arguments

    assert calls(whole[0]) == calls(live[0])
    assert calls(live[0])[0] == {0: "count_bottles"}


# -- plain, by name only ---------------------------------------------------------------


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
        "node": -1,
        "key": "",
        "stream": "none",
        "hash": "unchecked",
        "signature": "skipped",
        "blinded": False,
    }
    assert not locks(atoma)
    assert atoma.tap.find([QUESTION])


@pytest.mark.clear_text
def test_plain_streams(make_atoma, connect_plain):
    atoma = make_atoma()
    chunks, verdict = connect_plain(atoma).stream()
    assert "4711" in text_of(chunks)
    assert verdict.stream == "live"
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
