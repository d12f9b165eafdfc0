"""`atoma trust`: what is pinned, and what a person decides about it."""

import pytest

from atoma_confidential import PinFile, PinMismatchError
from atoma_confidential.attestation import SeenKey, SeenSigner
from atoma_local import Node

KEY = "00112233aabbccdd"
ADDRESS = "0x" + "1a" * 32
OTHER_ADDRESS = "0x" + "2b" * 32
OLD, NEW = frozenset({"CHIP1", "CHIP2"}), frozenset({"CHIP2", "CHIP3"})


@pytest.fixture
def pins(network, monkeypatch):
    """The pin file that the commands use by default, with node 42 in it."""
    monkeypatch.setattr("time.time", lambda: 1_795_132_800.0)
    pins = PinFile()
    pins.remember(42, SeenKey(KEY, OLD))
    pins.remember(42, SeenSigner(ADDRESS))
    pins.remember(7, SeenSigner(ADDRESS))
    return pins


@pytest.fixture
def changed(pins):
    """The same, after node 42 came with another GPU."""
    with pytest.raises(PinMismatchError):
        pins.remember(42, SeenKey(KEY, NEW))
    return pins


SHOWN = f"""\
Node 42
  GPUs    CHIP1, CHIP2, since 2026-11-20
  signer  {ADDRESS}, since 2026-11-20
  key     {KEY}, since 2026-11-20
"""
REFUSED = """\
  refused since 2026-11-20
    + GPU CHIP3
    - GPU CHIP1
"""


def test_list_shows_each_node(atoma_command, pins):
    done = atoma_command("trust", "list")

    assert done.exit_code == 0
    assert done.stdout == (f"Node 7\n  signer  {ADDRESS}, since 2026-11-20\n" + SHOWN)


def test_list_shows_what_was_refused(atoma_command, changed):
    assert atoma_command("trust", "list").stdout.endswith(SHOWN + REFUSED)


def test_list_says_where_there_is_nothing(atoma_command, tmp_path):
    path = tmp_path / "none [of] it.json"
    done = atoma_command("trust", "list", "--pins", path)

    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == f"Nothing is pinned in {path}.\n"
    assert not path.exists()


def test_list_keys_shows_every_key_ever_accepted(atoma_command, pins):
    pins.remember(42, SeenKey("f" * 16, OLD))
    pins.forget(42)
    done = atoma_command("trust", "list", "--keys")

    assert done.stdout == (
        f"2026-11-20  node 42  {KEY}\n2026-11-20  node 42  {'f' * 16}\n"
    )


@pytest.mark.parametrize("yes", [[], ["--yes"]])
def test_accept_shows_the_change_and_pins_it(atoma_command, changed, yes):
    done = atoma_command("trust", "accept", 42, *yes, input="" if yes else "y\n")

    assert done.exit_code == 0
    # The runner shows what is typed.
    assert done.stdout.startswith(SHOWN + REFUSED)
    assert done.stderr.endswith("Accepted for node 42.\n")
    assert ("Accept what was refused?" in done.stderr) is not bool(yes)
    node = changed.read().nodes[42]
    assert (node.chips.value, node.refused) == (NEW, None)
    assert changed.remember(42, SeenKey(KEY, NEW)) == node


def test_accept_shows_a_signer_s_change(atoma_command, pins):
    with pytest.raises(PinMismatchError):
        pins.remember(7, SeenSigner(OTHER_ADDRESS))
    done = atoma_command("trust", "accept", "7", "--yes")

    assert f"    - signer {ADDRESS}\n    + signer {OTHER_ADDRESS}\n" in done.stdout
    assert pins.read().nodes[7].signer.value == OTHER_ADDRESS


@pytest.mark.parametrize("answer", ["n\n", "\n", ""])
@pytest.mark.parametrize("command", ["accept", "forget"])
def test_without_a_yes_nothing_changes(atoma_command, changed, command, answer):
    before = changed.read()
    done = atoma_command("trust", command, 42, input=answer)

    assert done.exit_code == 1
    assert changed.read() == before


@pytest.mark.parametrize("node", [42, 7, 5])
def test_accept_says_that_nothing_was_refused(atoma_command, pins, node):
    done = atoma_command("trust", "accept", node, "--yes")

    assert done.exit_code == 1
    assert done.stderr.startswith(f"Error: Nothing of node {node} was refused.\n")


def test_accept_takes_only_what_was_shown(atoma_command, changed, monkeypatch):
    """Between the question and the answer, the node comes with yet another GPU."""

    def answer(*_, **__):
        with pytest.raises(PinMismatchError):
            changed.remember(42, SeenKey(KEY, frozenset({"CHIP4"})))
        return True

    monkeypatch.setattr("typer.confirm", answer)
    done = atoma_command("trust", "accept", 42)

    assert done.exit_code == 1
    assert "has changed meanwhile" in done.stderr
    assert changed.read().nodes[42].chips.value == OLD


@pytest.mark.parametrize("yes", [[], ["--yes"]])
def test_forget_shows_what_it_drops(atoma_command, pins, yes):
    done = atoma_command("trust", "forget", 42, *yes, input="" if yes else "y\n")

    assert done.exit_code == 0
    assert done.stdout.startswith(SHOWN)
    assert pins.read().nodes.keys() == {7}


def test_forget_says_that_nothing_is_pinned(atoma_command, pins):
    done = atoma_command("trust", "forget", 5)

    assert done.exit_code == 1
    assert done.stderr.startswith("Error: Nothing is pinned for node 5.\n")


@pytest.mark.parametrize(
    "command", [["list"], ["list", "--keys"], ["accept", "42"], ["forget", "42"]]
)
def test_a_file_that_cannot_be_used_is_one_red_line(atoma_command, pins, command):
    pins.path.chmod(0o644)
    done = atoma_command("trust", *command)

    assert done.exit_code == 1
    assert done.stdout == ""
    first, *_, last = done.stderr.splitlines()
    assert first.startswith("Error: ")
    assert "mode 0644" in first
    assert last.startswith("Next: Put it right")


@pytest.mark.parametrize("arguments", [["accept"], ["accept", "-1"], ["forget", "x"]])
def test_a_node_that_is_no_number_is_a_usage_error(atoma_command, arguments):
    assert atoma_command("trust", *arguments).exit_code == 2


@pytest.mark.parametrize("mode", ["live", "buffered"])
def test_a_conversation_keeps_a_node_to_its_signer(
    atoma_command, network, tmp_path, monkeypatch, mode
):
    """The pin is made by the first answer, and a stranger's answer is not shown."""
    file = tmp_path / "own" / "pins.json"
    arguments = ("chat", "--pins", file, "--stream-mode", mode)
    first = atoma_command(*arguments, input="Hello\n")
    assert first.exit_code == 0, first.stderr
    (pins,) = PinFile(file).read().nodes.values()
    assert pins.signer.value == network.node.address

    monkeypatch.setattr(network.node, "sign", Node().sign)
    second = atoma_command(*arguments, input="Hello\n")
    assert second.exit_code == 1
    assert "atoma trust accept" in second.stderr
    assert "stand-in" not in second.stdout
