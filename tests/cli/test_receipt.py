"""`atoma chat --receipt`, and `atoma receipt verify` on what it wrote."""

import json
import stat
import sys

import pytest
from schemas import Findings

from atoma_cli._findings import State

SECRET = "My cat is called Mephistopheles the Third."


@pytest.fixture
def kept(atoma_command, network, tmp_path):
    """A file with two answers and their receipts."""
    path = tmp_path / "answers.jsonl"
    done = atoma_command("chat", "--receipt", path, input=f"{SECRET}\nAnd my dog?\n")
    assert done.exit_code == 0, done.output
    assert f"Answers are kept, in clear, in {path}" in done.stderr.replace("\n", "")
    return path


@pytest.fixture
def verify(atoma_command, kept):
    def run(*more):
        return atoma_command("receipt", "verify", kept, *more)

    return run


def test_the_file_is_its_owners_alone(kept):
    lines = kept.read_text().splitlines()
    assert len(lines) == 2
    assert [*json.loads(lines[0])] == ["receipt", "answer"]
    if sys.platform != "win32":
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_answers_come_whole(kept, network):
    streams = [body.get("stream") for path, body in network.opened]
    assert streams == [False, False]


def test_without_an_address_nobody_vouches_for_the_signer(verify, network):
    done = verify()
    assert done.exit_code == 0
    assert network.node.address in done.stdout
    assert "nobody vouches" in done.stdout
    told = Findings.model_validate_json(verify("--json").stdout)
    assert [one.state for one in told.findings] == [State.NOTE] * 2


def test_the_address_is_compared(verify, network):
    done = verify("--address", network.node.address, "--json")
    told = Findings.model_validate_json(done.stdout)
    assert done.exit_code == 0
    assert [one.state for one in told.findings] == [State.OK] * 2
    done = verify("--address", "0x" + "0" * 64)
    assert done.exit_code == 1
    assert "WRONG" in done.stdout


@pytest.mark.parametrize(
    "spoil",
    [
        lambda line: line | {"answer": line["answer"].replace(":", ": ", 1)},
        lambda line: line | {"receipt": line["receipt"] | {"address": "0x" + "1" * 64}},
        lambda line: line | {"receipt": line["receipt"] | {"signature": "AAAA"}},
    ],
)
def test_whatever_was_changed_is_told(verify, kept, spoil):
    first, second = map(json.loads, kept.read_text().splitlines())
    kept.write_text(f"{json.dumps(first)}\n{json.dumps(spoil(second))}\n")
    told = Findings.model_validate_json(verify("--json").stdout)
    assert [one.state for one in told.findings] == [State.NOTE, State.WRONG]
    assert told.exit_code == 1


@pytest.mark.parametrize(
    "line",
    [
        b"{}",
        b"nothing",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"receipt": 1, "answer": 2}',
        b'{"receipt": {}, "answer": "\\ud800"}',
        b'{"receipt": {}, "answer": "", "more": 1}',
    ],
    ids=lambda line: line[:24],
)
def test_a_line_of_something_else_is_named_and_the_others_are_checked(
    verify, kept, line
):
    first, second = kept.read_bytes().splitlines()
    kept.write_bytes(b"\n".join([first, line, second]) + b"\n")
    done = verify("--json")
    assert done.exit_code == 1
    told = Findings.model_validate_json(done.stdout)
    assert [one.state for one in told.findings] == [
        State.NOTE,
        State.WRONG,
        State.NOTE,
    ]
    assert told.findings[1].name == "answer 2"


def test_a_line_that_was_cut_off_is_refused(verify, kept):
    kept.write_text(kept.read_text()[:-20])
    assert verify().exit_code == 1


def test_an_empty_file_is_not_well(verify, kept):
    kept.write_text("")
    assert verify().exit_code == 2


def test_what_is_no_address_is_a_usage_error(verify):
    assert verify("--address", "0x12").exit_code == 64


def test_a_file_that_others_can_read_is_told(atoma_command, kept):
    assert (
        "Other users" not in atoma_command("chat", "--receipt", kept, input="").stderr
    )
    kept.chmod(0o644)
    assert "Other users" in atoma_command("chat", "--receipt", kept, input="").stderr


def test_what_is_no_file_is_a_usage_error(atoma_command, network, tmp_path):
    assert atoma_command("receipt", "verify", tmp_path / "none").exit_code == 64


def test_plain_answers_have_no_receipts(atoma_command, network, tmp_path):
    done = atoma_command("chat", "--receipt", tmp_path / "x", "--no-confidential")
    assert done.exit_code == 2
    assert network.exchanges == []


def test_a_file_that_cannot_be_written_is_said(atoma_command, network, tmp_path):
    done = atoma_command("chat", "--receipt", tmp_path / "no" / "x", input="Hello\n")
    assert done.exit_code == 1
    assert "cannot be written" in done.stderr
