"""The node's signatures under answers and events, and the receipts made of them."""

import base64
import json

import pytest
from shells import SECRET, posts, text_of

import atoma_confidential as ac
from atoma_confidential import Exposure
from atoma_confidential.attestation import SeenSigner
from atoma_local import Fault, Node

STRANGER = Node(3)


class Knows(ac.TrustPolicy):
    """Accepts any key, and knows as whom a node signs."""

    name = identity = "knows"

    def __init__(self, address):
        self.address = address

    def appraise(self, candidate, *, now):
        accepted = ac.TrustPolicy.proxy_asserted().appraise(candidate, now=now)
        return (yield from accepted)

    def appraise_signer(self, node, signer):
        if signer.address != self.address:
            raise ac.PinMismatchError(f"Node {node} signs as somebody else.")
        return True


def signed_by_another(reply, _call):
    """Put a stranger's genuine signature over the same answer."""
    digest = base64.b64decode(reply["response_hash"])
    return reply | {"signature": STRANGER.sign(digest)}


OTHER_SIGNER = Fault("sealed", signed_by_another, "another node's signature")


# --- whole answers --------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["whole", "all"])
def test_a_whole_answer_comes_with_a_receipt(atoma, connect, mode):
    reply = connect(atoma, signatures=mode).chat()
    assert reply.verdict.signature == "unpinned"
    receipt = reply.receipt
    assert receipt.address == atoma.node.address
    assert (receipt.node, receipt.key) == (3, reply.verdict.key)
    assert (receipt.model, receipt.scheme) == (reply.body["model"], "ed25519")
    assert receipt.verify(answer=reply.opened, address=atoma.node.address)
    assert json.loads(reply.opened) == reply.body
    assert SECRET not in repr(receipt) + receipt.to_json() + repr(reply)


def test_signatures_can_be_let_alone(make_atoma, connect):
    atoma = make_atoma()
    atoma.faults.always("signature-wrong")
    reply = connect(atoma, signatures="off").chat()
    assert (reply.verdict.signature, reply.receipt) == ("skipped", None)


def test_an_answer_whose_signature_is_off_is_none(make_atoma, connect):
    atoma = make_atoma()
    atoma.faults.always("signature-wrong")
    shell = connect(atoma, stream_mode="buffered")
    for ask in (shell.chat, shell.stream, lambda: shell.embed([SECRET])):
        with pytest.raises(ac.ReceiptError) as caught:
            ask()
        assert caught.value.exposure is Exposure.SEALED
    assert len(atoma.opened) == 3  # none is asked for again


def test_either_of_two_policies_may_know_or_refuse_a_signer(atoma, connect):
    believing = ac.TrustPolicy.proxy_asserted()
    for trust in (Knows(atoma.node.address) & believing, believing & Knows("0x0")):
        shell = connect(atoma, trust=trust)
        if trust.one is believing:
            with pytest.raises(ac.PinMismatchError):
                shell.chat()
        else:
            assert shell.chat().verdict.signature == "pinned"


def test_a_signer_who_is_known_is_pinned(atoma, connect):
    shell = connect(atoma, trust=Knows(atoma.node.address), stream_mode="buffered")
    assert shell.chat().verdict.signature == "pinned"
    assert shell.embed([SECRET]).verdict.signature == "pinned"
    assert shell.stream()[1].signature == "pinned"


@pytest.mark.parametrize("fault", [[], [OTHER_SIGNER]])
def test_a_node_that_signs_as_somebody_else_is_refused(make_atoma, connect, fault):
    atoma = make_atoma()
    atoma.faults.always(*fault)
    known = atoma.node.address if fault else STRANGER.address
    with pytest.raises(ac.PinMismatchError) as caught:
        connect(atoma, trust=Knows(known)).chat()
    assert caught.value.exposure is Exposure.SEALED
    assert len(posts(atoma)) == 1


def test_an_answer_under_the_next_key_is_checked_too(make_atoma, connect):
    atoma = make_atoma()
    atoma.faults.once("key-rotated-before-seal", "signature-wrong")
    with pytest.raises(ac.ReceiptError):
        connect(atoma).chat()
    assert len(posts(atoma)) == 1


# --- streams --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "known", "outcome"),
    [
        ("off", False, "skipped"),
        ("whole", False, "skipped"),
        ("all", False, "unpinned"),
        ("all", True, "pinned"),
    ],
)
def test_what_is_checked_in_a_stream(atoma, connect, mode, known, outcome):
    trust = Knows(atoma.node.address) if known else None
    shell = connect(atoma, stream_mode="live", signatures=mode, trust=trust)
    chunks, verdict = shell.stream()
    assert "4711" in text_of(chunks)
    assert (verdict.stream, verdict.signature) == ("live", outcome)


@pytest.mark.parametrize("skip", [0, 3])
def test_a_stream_is_stopped_where_a_signature_is_off(make_atoma, connect, skip):
    atoma = make_atoma()
    atoma.faults.once("signature-wrong", skip=skip)
    shell = connect(atoma, stream_mode="live", signatures="all")
    with pytest.raises(ac.ReceiptError) as caught:
        shell.stream()
    assert caught.value.exposure is Exposure.SEALED
    assert len(posts(atoma)) == 1


def test_all_events_are_signed_by_one(make_atoma, connect):
    atoma = make_atoma()
    atoma.faults.once(OTHER_SIGNER, skip=2)
    shell = connect(atoma, stream_mode="live", signatures="all")
    with pytest.raises(ac.ReceiptError, match="signer changed"):
        shell.stream()


def test_a_stream_by_somebody_else_is_refused_at_its_first_event(atoma, connect):
    trust = Knows(STRANGER.address)
    shell = connect(atoma, stream_mode="live", signatures="all", trust=trust)
    with pytest.raises(ac.PinMismatchError) as caught:
        shell.stream()
    assert caught.value.exposure is Exposure.SEALED


# --- pinned on first use, or given ----------------------------------------------------


@pytest.fixture
def pins(tmp_path):
    return ac.PinFile(tmp_path / "pins.json")


def first_use(pins):
    return ac.TrustPolicy.on_first_use(pins, ac.TrustPolicy.proxy_asserted())


def test_the_first_signer_is_pinned_and_known_from_then_on(atoma, connect, pins):
    shell = connect(atoma, trust=first_use(pins))
    verdicts = [shell.chat().verdict, shell.chat().verdict]
    assert [verdict.signature for verdict in verdicts] == ["unpinned", "pinned"]
    assert "first contact" in verdicts[1].not_proven
    (node,) = pins.read().nodes.values()
    assert (node.node, node.signer.value) == (3, atoma.node.address)


def test_another_signer_than_the_pinned_one_is_refused(atoma, connect, pins):
    shell = connect(atoma, trust=first_use(pins))
    shell.chat()
    atoma.faults.once(OTHER_SIGNER)
    with pytest.raises(ac.PinMismatchError, match=r"Node 3 .* signer 0x") as no:
        shell.chat()
    assert no.value.exposure is Exposure.SEALED
    assert shell.chat().verdict.signature == "pinned"
    pins.accept(3, pins.read().nodes[3].refused)
    with pytest.raises(ac.PinMismatchError):
        shell.chat()


def test_a_stranger_who_signs_the_first_answer_is_believed_until_the_second(
    atoma, connect, pins
):
    shell = connect(atoma, trust=first_use(pins))
    atoma.faults.once(OTHER_SIGNER)
    assert shell.chat().verdict.signature == "unpinned"
    with pytest.raises(ac.PinMismatchError):
        shell.chat()


WRONG = ac.TrustPolicy.signed_by({3: STRANGER.address})
KNOWING = {
    "signed_by": lambda _pins, _key: WRONG,
    "signed_by & pinned": lambda _pins, key: WRONG & ac.TrustPolicy.pinned(keys=[key]),
    "pinned & signed_by": lambda _pins, key: ac.TrustPolicy.pinned(keys=[key]) & WRONG,
    "on_first_use": lambda pins, _key: first_use(pins),
    "custom": lambda _pins, _key: Knows(STRANGER.address),
}
"""Policies that know who signs, and take our node for somebody else."""


@pytest.mark.parametrize("stream_mode", ["live", "auto", "buffered"])
@pytest.mark.parametrize("name", KNOWING)
def test_a_policy_that_knows_signers_sees_that_of_each_answer(
    atoma, connect, pins, name, stream_mode
):
    pins.remember(3, SeenSigner(STRANGER.address))
    trust = KNOWING[name](pins, atoma.node_public_key)
    shell = connect(atoma, stream_mode=stream_mode, trust=trust)
    for ask in (shell.stream, shell.chat, lambda: shell.embed([SECRET])):
        with pytest.raises(ac.PinMismatchError) as caught:
            ask()
        assert caught.value.exposure is Exposure.SEALED


@pytest.mark.parametrize("mode", ["off", "whole"])
@pytest.mark.parametrize("name", KNOWING)
def test_a_policy_that_knows_signers_leaves_no_answer_out(atoma, pins, name, mode):
    trust = KNOWING[name](pins, atoma.node_public_key)
    for kind in (ac.Client, ac.AsyncClient):
        with pytest.raises(ac.InvalidInputError, match="pass 'all'"):
            kind(api_key="k", base_url=atoma.base_url, trust=trust, signatures=mode)


def test_a_policy_may_say_that_it_needs_no_signatures(atoma, connect):
    class Notes(Knows):
        knows_signers = False

    trust = Notes(atoma.node.address)
    shell = connect(atoma, stream_mode="live", trust=trust, signatures="whole")
    assert shell.stream()[1].signature == "skipped"
    assert not ac.TrustPolicy.proxy_asserted().knows_signers


def test_pins_that_break_while_a_client_lives_stop_it(atoma, connect, pins, recorded):
    shell = connect(atoma, trust=first_use(pins))
    shell.chat()
    sealed = recorded.sealed
    pins.path.chmod(0o644)
    with pytest.raises(ac.PinFileError, match="mode 0644"):
        shell.chat()
    assert recorded.sealed == sealed


def test_signers_that_were_given_need_no_first_use(atoma, connect, recorded):
    known = ac.TrustPolicy.signed_by({3: atoma.node.address})
    assert connect(atoma, trust=known).chat().verdict.signature == "pinned"
    other = ac.TrustPolicy.signed_by({3: STRANGER.address})
    with pytest.raises(ac.PinMismatchError):
        connect(atoma, trust=other).chat()
    sealed = recorded.sealed
    with pytest.raises(ac.PinMismatchError, match="for node 3"):
        connect(atoma, trust=ac.TrustPolicy.signed_by({4: STRANGER.address})).chat()
    assert recorded.sealed == sealed
