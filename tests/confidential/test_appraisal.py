"""Appraisals in the exchange: their fetches, what is remembered, and who waits."""

import base64
import gzip
import json
from contextlib import suppress
from types import SimpleNamespace

import httpx
import pytest
from records import RecordedKey, RecordServer
from shells import CHAT, SECRET, locks, posts, record_requests, text_of

import atoma_confidential as ac
from atoma_confidential import Exposure, _settings
from atoma_confidential._findings import MAX_FINDINGS, Findings
from atoma_confidential._http import Limits
from atoma_confidential.attestation.policy import Candidate

HELLO = [{"role": "user", "content": "Hello"}]


class Clock:
    """What clients take for Unix time."""

    def __init__(self):
        self.now = 1e9

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(_settings, "time", SimpleNamespace(time=clock))
    return clock


@pytest.fixture
def recorded_atoma(make_atoma):
    """A local Atoma whose attestation record holds the node's key."""
    atoma = make_atoma()
    atoma.evidence = atoma.node_public_key
    return atoma


def with_record(atoma, policy, **settings):
    return {"trust": policy, "attestation_url": atoma.base_url, **settings}


# --- what is fetched ----------------------------------------------------------------


def test_evidence_is_fetched_before_anything_is_sealed(recorded_atoma, connect):
    atoma = recorded_atoma
    reply = connect(atoma, **with_record(atoma, RecordedKey())).chat()
    assert [seen.path for seen in atoma.exchanges] == [
        "/v1/nodes/lock",
        "/v1/get_node_attestation/3",
        "/v1/confidential/chat/completions",
    ]
    assert reply.verdict.assurance == "gpu_witnessed"
    assert reply.verdict.policy == "recorded_key"
    assert reply.attestation.key == reply.verdict.key
    assert reply.attestation.policy == "recorded_key"


def test_a_fetch_carries_no_api_key(recorded_atoma, connect):
    atoma = recorded_atoma
    connect(atoma, **with_record(atoma, RecordedKey())).chat()
    (fetch,) = record_requests(atoma)
    assert fetch.method == "GET"
    assert fetch.body == b""
    assert fetch.headers.keys() == {"host", "accept", "accept-encoding", "user-agent"}
    assert atoma.api_key not in repr(fetch)


def test_a_policy_may_ask_another_server_in_its_own_words(atoma, connect):
    record = {"compressed_evidence": list(atoma.node_public_key)}
    with RecordServer(200, json.dumps(record).encode()) as server:
        policy = RecordedKey(
            url=server.url + "/rpc?network=test",
            body=b'{"method":"ask"}',
            headers={"Authorization": "Bearer of-the-policy"},
        )
        assert connect(atoma, trust=policy).chat().verdict.sealed
    ((method, path, headers, body),) = server.seen
    assert (method, path, body) == ("POST", "/rpc?network=test", b'{"method":"ask"}')
    assert headers["authorization"] == "Bearer of-the-policy"
    assert headers["content-type"] == "application/json"
    assert atoma.api_key not in repr(server.seen)


def refused(shell, error):
    """Return the refusal of a chat; nothing was sealed for it."""
    with pytest.raises(error) as caught:
        shell.chat()
    assert type(caught.value) is error
    assert caught.value.exposure is Exposure.LOCK
    assert SECRET not in str(caught.value)
    return caught.value


def test_without_a_place_for_records_they_are_unavailable(atoma, connect):
    shell = connect(atoma, trust=RecordedKey())
    said = str(refused(shell, ac.MissingEvidenceSourceError))
    assert issubclass(ac.MissingEvidenceSourceError, ac.EvidenceUnavailableError)
    assert said.endswith("Pass attestation_url=, or set ATOMA_ATTESTATION_URL.")
    assert "later" not in said
    assert [seen.path for seen in atoma.exchanges] == ["/v1/nodes/lock"]


def test_the_public_network_has_a_place_for_records(monkeypatch):
    def place(**settings):
        client = ac.Client(api_key="k", **settings)
        return client._connection.session.attestation_url

    assert place() == "https://credentials.atoma.network"
    assert place(base_url="https://api.atoma.network/v1/") == place()
    assert place(base_url="https://atoma.example") == ""
    monkeypatch.setenv("ATOMA_ATTESTATION_URL", "https://records.example/v1")
    assert place() == "https://records.example"
    assert place(attestation_url="http://127.0.0.1:9") == "http://127.0.0.1:9"


def test_a_node_without_a_record_is_not_sealed_to(atoma, connect):
    shell = connect(atoma, **with_record(atoma, RecordedKey()))
    for count in (1, 2):  # asked again each time
        refused(shell, ac.EvidenceUnavailableError)
        assert len(record_requests(atoma)) == count
    assert not posts(atoma)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((200, b"x" * (2**20 + 1), {}), "exceeds"),
        ((200, gzip.compress(b"{}"), {"Content_Encoding": "gzip"}), "compressed"),
        ((None, b"", {}), "in time"),
    ],
    ids=["too large", "compressed", "silent"],
)
def test_a_server_that_gives_no_answer_could_not_be_asked(atoma, connect, answer, said):
    status, body, headers = answer
    with RecordServer(status, body, **headers) as server:
        shell = connect(atoma, trust=RecordedKey(), attestation_url=server.url)
        shell.client._connection.limits = Limits(evidence=0.3)
        assert said in str(refused(shell, ac.VerifierUnavailableError))
    assert not posts(atoma)


def test_where_nobody_listens_it_could_not_be_checked(atoma, connect):
    dead = "http://127.0.0.1:9"
    shell = connect(atoma, trust=RecordedKey(), attestation_url=dead)
    assert dead in str(refused(shell, ac.VerifierUnavailableError))


def test_a_redirect_is_an_answer_and_not_followed(recorded_atoma, connect):
    atoma = recorded_atoma
    with RecordServer(307, b"", Location=atoma.base_url) as server:
        shell = connect(atoma, trust=RecordedKey(), attestation_url=server.url)
        assert "307" in str(refused(shell, ac.EvidenceUnavailableError))
    assert not record_requests(atoma)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://records.example/{}", "http on another machine"),
        ("ftp://127.0.0.1/{}", "not an http"),
        ("https://user:password@records.example/{}", "more than an origin"),
        ("records.example", "not an http"),
    ],
)
def test_a_policy_cannot_ask_over_what_others_can_change(atoma, connect, url, said):
    shell = connect(atoma, trust=RecordedKey(url=url))
    error = refused(shell, ac.InvalidInputError)
    assert said in str(error)
    assert "password" not in str(error)


class Stubborn(RecordedKey):
    """Asks a second server where the first cannot be asked."""

    def appraise(self, candidate, *, now):
        elsewhere = RecordedKey(url="http://127.0.0.1:9/")
        with suppress(ac.VerifierUnavailableError):
            yield from elsewhere.appraise(candidate, now=now)
        return (yield from super().appraise(candidate, now=now))


def test_a_policy_is_told_where_a_fetch_fails(recorded_atoma, connect):
    atoma = recorded_atoma
    shell = connect(atoma, **with_record(atoma, Stubborn()))
    assert shell.chat().verdict.policy == "recorded_key"


class Mistaken(RecordedKey):
    def appraise(self, candidate, *, now):
        other = Candidate(ac.Recipient(bytes(range(32))), candidate.node)
        return (yield from super().appraise(other, now=now))

    def check(self, fetched, candidate):
        pass


def test_a_result_of_another_key_accepts_nothing(recorded_atoma, connect):
    atoma = recorded_atoma
    with pytest.raises(TypeError, match="another key"):
        connect(atoma, **with_record(atoma, Mistaken())).chat()
    assert not posts(atoma)


def test_two_policies_must_agree(recorded_atoma, connect):
    atoma = recorded_atoma
    pinned = ac.TrustPolicy.pinned(keys=[atoma.node_public_key])
    both = RecordedKey(seconds=60) & pinned
    reply = connect(atoma, **with_record(atoma, both)).chat()
    assert reply.verdict.policy == "recorded_key+pinned"
    assert reply.verdict.assurance == "gpu_witnessed"
    assert reply.attestation.expires_at == reply.attestation.verified_at + 60
    other = ac.TrustPolicy.pinned(keys=[bytes(range(32))])
    for policy in (RecordedKey() & other, other & RecordedKey()):
        refused(connect(atoma, **with_record(atoma, policy)), ac.PinMismatchError)
    assert len(posts(atoma)) == 1


# --- who makes the connections --------------------------------------------------------


def test_a_server_on_this_machine_is_asked_directly(
    recorded_atoma, connect, monkeypatch
):
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    atoma = recorded_atoma
    assert connect(atoma, **with_record(atoma, RecordedKey())).chat().verdict.sealed


def test_a_server_elsewhere_is_asked_through_the_proxy(atoma, connect, monkeypatch):
    with RecordServer(502, b"") as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        url = "https://records.example"
        shell = connect(atoma, trust=RecordedKey(), attestation_url=url)
        assert url in str(refused(shell, ac.VerifierUnavailableError))
    assert [seen[:2] for seen in proxy.seen] == [("CONNECT", "records.example:443")]
    assert atoma.api_key not in repr(proxy.seen)


async def test_a_given_http_client_fetches_too(recorded_atoma):
    atoma = recorded_atoma
    seen = []

    async def note(request):
        seen.append(request.url.path)

    settings = {"api_key": atoma.api_key, "base_url": atoma.base_url}
    settings |= with_record(atoma, RecordedKey())
    headers = {"Authorization": "Bearer of-the-given"}
    with httpx.Client(
        headers=headers, event_hooks={"request": [lambda r: seen.append(r.url.path)]}
    ) as http:
        ac.Client(http_client=http, **settings).chat(HELLO, model=CHAT)
    async with httpx.AsyncClient(
        headers=headers, event_hooks={"request": [note]}
    ) as http:
        await ac.AsyncClient(http_client=http, **settings).chat(HELLO, model=CHAT)
    assert seen.count("/v1/get_node_attestation/3") == 2
    assert "of-the-given" not in repr(record_requests(atoma))


# --- what is remembered ---------------------------------------------------------------


def test_an_accepted_key_is_not_looked_at_again(recorded_atoma, connect):
    atoma = recorded_atoma
    shell = connect(atoma, **with_record(atoma, RecordedKey()))
    for _ in range(3):
        shell.chat()
    shell.embed([SECRET])
    assert len(record_requests(atoma)) == 1


def test_a_result_holds_until_it_expires(recorded_atoma, connect, clock):
    atoma = recorded_atoma
    shell = connect(atoma, **with_record(atoma, RecordedKey(seconds=100)))
    shell.chat()
    clock.now += 99
    assert shell.chat().attestation.verified_at == 1e9
    assert len(record_requests(atoma)) == 1
    clock.now += 1
    assert shell.chat().attestation.verified_at == 1e9 + 100
    assert len(record_requests(atoma)) == 2


def test_a_clock_that_goes_backwards_makes_all_unknown(recorded_atoma, connect, clock):
    atoma = recorded_atoma
    shell = connect(atoma, **with_record(atoma, RecordedKey()))
    shell.chat()
    clock.now -= 0.5  # two threads that read the clock side by side
    shell.chat()
    assert len(record_requests(atoma)) == 1
    clock.now -= 2
    shell.chat()
    assert len(record_requests(atoma)) == 2


class Rejecting(RecordedKey):
    error = ac.ChainRejectedError

    def check(self, fetched, candidate):
        raise self.error("The chain leads elsewhere.")


@pytest.mark.parametrize("error", [ac.ChainRejectedError, ac.EvidenceFormatError])
def test_a_rejected_key_is_not_looked_at_for_a_minute(
    recorded_atoma, connect, clock, error
):
    atoma = recorded_atoma
    policy = Rejecting()
    policy.error = error
    shell = connect(atoma, **with_record(atoma, policy))
    first = refused(shell, error)
    clock.now += 59
    second = refused(shell, error)
    assert (str(second), second is first) == (str(first), False)
    assert len(record_requests(atoma)) == 1
    clock.now += 1
    refused(shell, error)
    assert len(record_requests(atoma)) == 2
    assert not posts(atoma)


def test_what_is_known_of_one_key_says_nothing_of_another(recorded_atoma, connect):
    """Same node, same model: a new key is looked at by itself."""
    atoma = recorded_atoma
    shell = connect(atoma, **with_record(atoma, RecordedKey()))
    shell.chat()
    atoma.rotate_key()
    refused(shell, ac.KeyNotBoundError)
    assert len(posts(atoma)) == 1


def test_a_key_is_looked_at_again_for_another_node_or_policy():
    findings = Findings(lambda: 1e9)
    one, other = (
        ac.TrustPolicy.pinned(keys=[bytes(32)]),
        ac.TrustPolicy.proxy_asserted(),
    )
    candidate = Candidate(ac.Recipient(bytes(32)), 1)
    result = ac.AttestationResult("", 1, "", "", 1e9)
    findings.keep(candidate, one, result)
    assert findings.look_up(candidate, one) is result
    assert findings.look_up(candidate, other) is None
    assert findings.look_up(Candidate(candidate.recipient, 2), one) is None


def test_findings_are_bounded():
    findings = Findings(lambda: 1e9)
    policy = ac.TrustPolicy.proxy_asserted()
    result = ac.AttestationResult("", 1, "", "", 1e9)
    for node in range(3 * MAX_FINDINGS):
        findings.keep(Candidate(ac.Recipient(bytes(32)), node), policy, result)
        assert len(findings._found) <= MAX_FINDINGS
    assert findings.look_up(Candidate(ac.Recipient(bytes(32)), node), policy) is result


# --- one at a time --------------------------------------------------------------------


def test_callers_at_the_same_time_make_one_set_of_fetches(recorded_atoma, connect):
    atoma = recorded_atoma
    shell = connect(atoma, **with_record(atoma, RecordedKey()))
    assert all(reply.verdict.sealed for reply in shell.chat_at_once(8))
    assert len(record_requests(atoma)) == 1
    assert len(posts(atoma)) == 8


def test_a_rejection_is_shared_by_who_waits(recorded_atoma, connect):
    atoma = recorded_atoma
    shell = connect(atoma, **with_record(atoma, Rejecting()))
    with pytest.raises(ac.ChainRejectedError):
        shell.chat_at_once(8)
    assert len(record_requests(atoma)) == 1
    assert not posts(atoma)


# --- a rotation between lock and evidence ---------------------------------------------


def test_evidence_of_the_next_key_means_a_new_lock(recorded_atoma, connect, delays):
    atoma = recorded_atoma
    atoma.rotate_key()
    atoma.evidence = atoma.node_public_key
    atoma.faults.once("lock-key-stale")
    reply = connect(atoma, **with_record(atoma, RecordedKey())).chat()
    assert reply.verdict.key == ac.Recipient(atoma.node_public_key).fingerprint
    assert (len(locks(atoma)), len(record_requests(atoma))) == (2, 2)
    assert (len(posts(atoma)), delays) == (1, [0])


def test_evidence_that_comes_late_is_seen_at_the_second_look(
    recorded_atoma, connect, delays
):
    """The same key in both locks: the first look must not be remembered."""
    atoma = recorded_atoma
    atoma.rotate_key()
    policy = RecordedKey()

    def publish():
        atoma.evidence = atoma.node_public_key

    policy.after_fetch = publish
    assert connect(atoma, **with_record(atoma, policy)).chat().verdict.sealed
    assert (len(locks(atoma)), len(record_requests(atoma))) == (2, 2)


@pytest.mark.parametrize(("max_retries", "looks"), [(2, 2), (0, 1)])
def test_a_key_that_stays_unbound_is_refused_and_remembered(
    recorded_atoma, connect, clock, max_retries, looks
):
    atoma = recorded_atoma
    atoma.rotate_key()
    settings = with_record(atoma, RecordedKey(), max_retries=max_retries)
    shell = connect(atoma, **settings)
    refused(shell, ac.KeyNotBoundError)
    assert (len(locks(atoma)), len(record_requests(atoma))) == (looks, looks)
    # A new lock may hand out another key; for this one nothing is fetched.
    refused(shell, ac.KeyNotBoundError)
    assert (len(locks(atoma)), len(record_requests(atoma))) == (2 * looks, looks)
    clock.now += 60
    atoma.evidence = atoma.node_public_key
    assert shell.chat().verdict.sealed
    assert len(posts(atoma)) == 1


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
