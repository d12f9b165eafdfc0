"""What `atoma ask` says when it cannot answer: an error, and a next step."""

import os

import pytest
from documents import QUESTION, SECRETS


@pytest.mark.parametrize("content", [None, "   \n"])
def test_a_folder_with_nothing_to_read_is_an_error(
    atoma_command, network, tmp_path, content
):
    empty = tmp_path / "empty"
    empty.mkdir()
    if content:
        (empty / "blank.md").write_text(content)

    done = atoma_command("ask", empty, QUESTION)

    assert done.exit_code == 1
    assert f"Error: There is nothing to read in {empty}." in done.stderr
    assert "Next: Point to a folder with .md, .pdf, .txt files" in done.stderr
    assert network.exchanges == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nowhere", "q"), "does not exist"),
        ((".", "  "), "it is empty"),
        ((".", "q", "--model", ""), "it is empty"),
        ((".", "q", "--embedding-model", " "), "it is empty"),
        ((".", "q", "-k", "0"), "greater than or equal to 1"),
        ((".", "q", "--stream-mode", "fast"), "'fast' is not one of"),
        ((".", "q", "--framework", "haystack"), "'haystack' is not one of"),
        ((".",), "Missing argument 'QUESTION'"),
    ],
)
def test_usage_errors_exit_with_2_and_send_nothing(
    atoma_command, network, arguments, said
):
    done = atoma_command("ask", *arguments)

    assert done.exit_code == 2
    assert said in done.stderr
    assert network.exchanges == []


def test_without_a_key_it_says_how_to_get_going(ask, folder, monkeypatch):
    monkeypatch.delenv("ATOMA_API_KEY")

    done = ask(folder, QUESTION)

    assert done.exit_code == 1
    assert "Error: " in done.stderr
    assert "ATOMA_API_KEY" in done.stderr
    assert "atoma local" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("ATOMA_API_KEY", "wrong", "API key"),
        ("ATOMA_BASE_URL", "http://127.0.0.1:9", "connection"),
        ("ATOMA_BASE_URL", "http://example.org", "http"),
        ("ATOMA_BASE_URL", "not a url", "URL"),
    ],
)
def test_errors_of_the_network_are_a_line_and_a_next_step(
    ask, folder, monkeypatch, variable, value, said
):
    monkeypatch.setenv(variable, value)

    done = ask(folder, QUESTION)

    assert done.exit_code == 1
    assert done.stderr.count("Error: ") == 1
    assert said.lower() in done.stderr.lower()
    assert "Left this process: " in done.stderr
    assert "Next: " in done.stderr
    assert "Traceback" not in done.stderr
    assert not [secret for secret in SECRETS if secret in done.stderr]


def test_an_engine_without_money_behind_it_says_what_to_top_up(ask, network, folder):
    network.faults.always("lock-402")

    done = ask(folder, QUESTION)

    assert done.exit_code == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 3
    assert "Next: Top up" in done.stderr


def test_a_question_with_half_a_character_is_one_line(ask, network, folder):
    done = ask(folder, os.fsdecode(b"caf\xe9?"))

    assert done.exit_code == 1
    assert done.stderr.count("Error: ") == 1
    assert network.opened == []
