"""The demonstration finds nothing when sealed, everything when not, and can fail."""

import subprocess
import sys
from dataclasses import replace

import pytest
from documents import QUESTION
from typer.testing import CliRunner

from atoma_cli._ask import ask
from atoma_cli._endpoint import Framework
from atoma_cli.demo import cli


@pytest.fixture
def demo(monkeypatch, framework):
    """Run the demonstration in this process."""
    monkeypatch.setenv("COLUMNS", "120")

    def run(*arguments):
        asked = ["--framework", framework, *map(str, arguments)]
        return CliRunner().invoke(cli, asked)

    return run


def test_sealed_nothing_is_found_with_either_framework(start, folder):
    process = start("atoma_cli.demo", folder, QUESTION)
    out, err = process.communicate(timeout=120)

    assert process.returncode == 0, out + err
    langchain, name, llama_index = out.partition("\nLlamaIndex ")
    assert langchain.startswith("LangChain ")
    assert name
    for part in (langchain, llama_index):
        assert "fourth of May" in part
        assert "Found: 0 of 5" in part
        assert "None of your text could be read on the way." in part
        assert "2 times POST /v1/confidential/embeddings" in part
        assert "plaintext_body_hash" in part


@pytest.mark.clear_text
def test_in_clear_everything_is_found(demo, folder):
    done = demo(folder, QUESTION, "--no-confidential")

    assert done.exit_code == 0, done.output
    assert "Found: 5 of 5" in done.stdout
    assert "Without sealing, all of it could be read on the way." in done.stdout
    assert "4 times POST /v1/embeddings" in done.stdout


@pytest.fixture
def asking(monkeypatch):
    """Have the frameworks ask sealed or in clear, whatever they are told."""

    def set_to(confidential):
        def asked(question, endpoint, framework):
            told = replace(endpoint, confidential=confidential(framework))
            return ask(question, told, framework)

        monkeypatch.setattr("atoma_cli.demo.ask", asked)

    return set_to


@pytest.mark.clear_text
def test_a_leak_is_found_and_fails(demo, folder, asking):
    """Whatever is printed about sealing, the recorded bytes decide."""
    asking(lambda _framework: False)

    done = demo(folder, QUESTION)

    assert done.exit_code == 1
    assert "Found: 5 of 5" in done.stdout
    assert "It leaked." in done.stdout


@pytest.mark.clear_text
@pytest.mark.parametrize("leaking", Framework)
def test_one_leak_of_the_two_is_enough_to_fail(folder, asking, leaking):
    asking(lambda framework: framework is not leaking)

    done = CliRunner().invoke(cli, [str(folder), QUESTION])

    assert done.exit_code == 1
    assert done.stdout.count("Found: 5 of 5") == 1
    assert done.stdout.count("It leaked.") == 1
    assert done.stdout.count("None of your text could be read on the way.") == 1


def test_claiming_to_be_in_clear_while_sealed_fails(demo, folder, asking):
    asking(lambda _framework: True)

    done = demo(folder, QUESTION, "--no-confidential")

    assert done.exit_code == 1
    assert "The search missed texts that crossed in clear." in done.stdout


def test_runs_against_the_network_that_the_environment_names(demo, folder, network):
    done = demo(folder, QUESTION)

    assert done.exit_code == 0, done.output
    assert f"On the wire to {network.base_url}" in done.stdout
    assert network.opened


def test_an_error_is_one_line(demo, folder, network, monkeypatch):
    monkeypatch.setenv("ATOMA_API_KEY", "wrong")

    done = demo(folder, QUESTION)

    assert done.exit_code == 1
    assert done.stderr.count("Error: ") == 1
    assert "Traceback" not in done.stderr


def test_a_question_is_not_taken_for_markup(demo, folder):
    done = demo(folder, "What does [/x] mean, [bold]Heron[/bold]?")

    assert done.exit_code == 0, done.output
    assert '"What does [/x] mean, [bold]Heron[/bold]?"' in done.stdout


@pytest.mark.parametrize("module", ["atoma_cli.demo", "atoma_cli._app"])
def test_an_unexpected_error_shows_no_variables(module):
    """Typer's own report of an error would print the key and the question."""
    script = (
        f"from {module} import cli\n"
        "@cli.command('fail')\n"
        "def fail() -> None:\n"
        "    key = 'SECRET'.lower()\n"
        "    raise ZeroDivisionError\n"
        "cli(['fail'])\n"
    )
    done = subprocess.run(  # noqa: S603  our own script
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 1
    assert done.stderr.startswith("Traceback (most recent call last):")
    assert done.stderr.rstrip().endswith("ZeroDivisionError")
    assert "secret" not in done.stderr


def test_what_is_too_short_to_search_for_is_named(demo, tmp_path):
    folder = tmp_path / "short"
    folder.mkdir()
    (folder / "bees.md").write_text("Bees!")
    (folder / "owls.md").write_text("Owls fly at night.")
    done = demo(folder, "Why?")

    assert done.exit_code == 0, done.output
    assert "1 passages, the answer:" in done.stdout
    assert "Too short to tell from chance: 1 passages, the question." in done.stdout


def test_a_search_for_nothing_shows_nothing(demo, folder, monkeypatch):
    monkeypatch.setattr("atoma_cli._wire_report.SHORTEST", 10**6)
    done = demo(folder, QUESTION)

    assert done.exit_code == 1
    assert "nothing was shown" in done.stdout
