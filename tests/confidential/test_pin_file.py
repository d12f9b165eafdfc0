"""The pin file: what is kept, where, and what a client does by it."""

import os
import pickle
import sys
from pathlib import Path

import pytest
from pinned import CHANGED, KEY, SEEN, posix
from shells import MESSAGES
from witnessed import ADDRESS, CHIP, OTHER_ADDRESS, OTHER_CHIP, Witnessed

from atoma_confidential import (
    ConfidentialError,
    InvalidInputError,
    PinFile,
    PinFileError,
    PinMismatchError,
    Recipient,
    TrustPolicy,
    _private_files,
)
from atoma_confidential.attestation import NodePins, Pin, Pins, SeenKey, SeenSigner
from atoma_confidential.pin_file import default_path

# --- what is kept -------------------------------------------------------------------


def test_nothing_is_pinned_and_nothing_made_before_a_first_use(pins):
    assert pins.read() == Pins()
    assert pins.accepted_keys() == ()
    assert not pins.path.parent.exists()


def test_it_gives_what_was_pinned_before(pins):
    assert pins.remember(42, SEEN) is None
    before = pins.remember(42, SeenSigner(ADDRESS))
    assert (before.key.value, before.signer) == (KEY, None)
    again = pins.remember(42, SEEN)
    assert again == pins.read().nodes[42]
    assert again.signer.value == ADDRESS
    assert PinFile(pins.path).remember(42, SEEN) == again


def test_what_is_known_is_not_written_again(met, monkeypatch):
    monkeypatch.setattr(_private_files, "replace", pytest.fail)
    monkeypatch.setattr(_private_files, "exclusive", pytest.fail)
    assert met.remember(42, SEEN).chips.value == {CHIP}


def test_a_signer_alone_needs_no_log(pins):
    pins.remember(42, SeenSigner(ADDRESS))
    assert pins.remember(42, SeenSigner(ADDRESS)).signer.value == ADDRESS
    assert pins.accepted_keys() == ()


def test_what_is_refused_waits_for_a_person(met, monkeypatch):
    monkeypatch.setattr("time.time", lambda: 5.0)
    for _ in range(2):
        with pytest.raises(PinMismatchError):
            met.remember(42, CHANGED)
        monkeypatch.setattr("time.time", lambda: 6.0)
    waiting = met.read().nodes[42].refused
    assert waiting == Pin(CHANGED, 5)
    with pytest.raises(PinMismatchError):
        met.remember(42, SeenKey(KEY))
    with pytest.raises(PinMismatchError, match="has changed meanwhile"):
        met.accept(42, waiting)
    with pytest.raises(PinMismatchError):
        met.accept(7, waiting)
    with pytest.raises(PinMismatchError):
        met.remember(42, CHANGED)
    met.accept(42, Pin(CHANGED, 6))
    assert met.remember(42, CHANGED).chips == Pin(CHANGED.chips, 6)
    with pytest.raises(PinMismatchError):
        met.remember(42, SEEN)


def test_a_forgotten_node_is_met_anew(met):
    with pytest.raises(InvalidInputError, match="node 7"):
        met.forget(7)
    met.forget(42)
    assert met.read() == Pins()
    assert met.remember(42, CHANGED) is None
    assert [key.fingerprint for key in met.accepted_keys()] == [KEY, KEY]


def test_a_mismatch_that_cannot_be_noted_is_still_one(met, monkeypatch):
    def full(*_):
        raise PinFileError("The disk is full.")

    monkeypatch.setattr(_private_files, "replace", full)
    with pytest.raises(PinMismatchError):
        met.remember(42, CHANGED)


def test_the_path_does_not_follow_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pins = PinFile("pins.json")
    pins.remember(42, SEEN)
    copy = pickle.loads(pickle.dumps(pins))
    monkeypatch.chdir("/")
    assert pins.remember(42, SEEN) == copy.remember(42, SEEN)
    assert pins.identity == copy.identity
    assert repr(copy) == f"PinFile({str(tmp_path / 'pins.json')!r})"


@pytest.mark.parametrize(
    ("platform", "given", "expected"),
    [
        ("linux", "/given", "/given/atoma/pins.json"),
        ("linux", "", "/home/me/.config/atoma/pins.json"),
        ("linux", "relative", "/home/me/.config/atoma/pins.json"),
        (
            "darwin",
            "/given",
            "/home/me/Library/Application Support/atoma/pins.json",
        ),
    ],
)
@posix
def test_where_it_is_kept(platform, given, expected, monkeypatch):
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setenv("XDG_CONFIG_HOME", given)
    monkeypatch.setenv("HOME", "/home/me")
    assert default_path() == PinFile().path == Path(expected)


@posix
def test_without_a_home_there_is_no_default(monkeypatch):
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    with pytest.raises(PinFileError, match="no home directory"):
        PinFile()


# --- over HTTP ----------------------------------------------------------------------


def test_keys_that_follow_each_other_are_accepted_and_logged(connect, atoma, pins):
    shell = connect(
        atoma, trust=TrustPolicy.on_first_use(pins, TrustPolicy.proxy_asserted())
    )
    keys = []
    for _ in range(2):
        assert shell.chat(MESSAGES).verdict.sealed
        assert shell.chat(MESSAGES).verdict.sealed
        keys.append(Recipient(atoma.node_public_key).fingerprint)
        atoma.rotate_key()
    assert [key.fingerprint for key in pins.accepted_keys()] == keys
    (node,) = pins.read().nodes.values()
    assert (node.key.value, node.chips) == (keys[-1], None)


def test_a_node_with_another_gpu_is_sent_nothing(connect, atoma, pins, recorded):
    def first_use(*chips):
        return TrustPolicy.on_first_use(pins, Witnessed(chips))

    verdict = connect(atoma, trust=first_use(CHIP)).chat(MESSAGES).verdict
    assert verdict.assurance == "gpu_witnessed"
    sealed = recorded.sealed
    with pytest.raises(
        PinMismatchError, match=f"Node {verdict.node} .*{OTHER_CHIP}"
    ) as no:
        connect(atoma, trust=first_use(OTHER_CHIP)).chat(MESSAGES)
    assert "not the content" in str(no.value)
    assert recorded.sealed == sealed
    pins.accept(verdict.node, pins.read().nodes[verdict.node].refused)
    assert connect(atoma, trust=first_use(OTHER_CHIP)).chat(MESSAGES).verdict.sealed


def test_pins_that_cannot_be_used_let_nothing_out(connect, atoma, met, recorded):
    met.path.write_bytes(b"{")
    policy = TrustPolicy.on_first_use(met, TrustPolicy.proxy_asserted())
    with pytest.raises(PinFileError) as no:
        connect(atoma, trust=policy).chat(MESSAGES)
    assert isinstance(no.value, ConfidentialError)
    assert recorded.sealed == 0


def test_the_store_is_all_that_a_policy_needs():
    """A store of one's own: in memory, from the parts that are public."""

    class Memory:
        identity = "memory"

        def __init__(self):
            self.nodes = {}

        def remember(self, node, seen):
            before = self.nodes.get(node)
            known = before or NodePins(node)
            if known.changes(seen):
                raise PinMismatchError("It has changed.")
            self.nodes[node] = known.remembering(seen, at=1)
            return before

    memory = Memory()
    assert memory.remember(1, SeenSigner(ADDRESS)) is None
    with pytest.raises(PinMismatchError):
        memory.remember(1, SeenSigner(OTHER_ADDRESS))
    assert TrustPolicy.on_first_use(memory, Witnessed()).identity
