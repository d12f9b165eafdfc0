"""What a policy fetches: from where, over which connections, and what if it cannot."""

import gzip
import json
from contextlib import suppress

import httpx
import pytest
from records import RecordedKey, RecordServer, refused, with_record
from shells import CHAT, posts, record_requests

import atoma_confidential as ac
from atoma_confidential._http import Limits
from atoma_confidential.attestation.policy import Candidate

HELLO = [{"role": "user", "content": "Hello"}]


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
