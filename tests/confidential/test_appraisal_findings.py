"""What is remembered of a key, who waits for it, and what a rotation changes."""

from types import SimpleNamespace

import pytest
from records import RecordedKey, refused, with_record
from shells import SECRET, locks, posts, record_requests

import atoma_confidential as ac
from atoma_confidential import _settings
from atoma_confidential._findings import MAX_FINDINGS, Findings
from atoma_confidential.attestation.policy import Candidate


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
