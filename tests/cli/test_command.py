"""The command as a whole: help, speed of its import, and a missing extra."""

import subprocess
import sys

import pytest


def python(script):
    return subprocess.run(  # noqa: S603  our own script
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_importing_it_is_light():
    done = python(
        "import sys, atoma_cli, atoma_cli._app\n"
        "heavy = {'langchain_core', 'qdrant_client', 'langchain_atoma', 'pypdf',"
        " 'llama_index', 'llama_index_atoma', 'langchain_text_splitters',"
        " 'uvicorn', 'starlette', 'sqlalchemy', 'numpy'}\n"
        "print(sorted(heavy & {*sys.modules}))"
    )

    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_a_missing_extra_is_one_sentence(missing):
    done = python(
        f"import sys; sys.modules[{missing!r}] = None\nimport atoma_cli\n"
        "atoma_cli.app()"
    )

    assert done.returncode == 1
    assert done.stderr.strip() == (
        f"atoma: {missing} is not installed. Run: pip install 'atoma-confidential[cli]'"
    )


@pytest.mark.parametrize(
    ("framework", "missing"),
    [
        ("langchain", "langchain_core"),
        ("llama-index", "llama_index"),
        ("llama-index", "langchain_text_splitters"),
    ],
)
def test_what_only_one_command_needs_is_named_when_it_is_used(
    folder, framework, missing
):
    asked = ["atoma", "ask", "--framework", framework, str(folder), "q"]
    done = python(
        f"import sys; sys.modules[{missing!r}] = None\nimport atoma_cli\n"
        f"sys.argv = {asked!r}\natoma_cli.app()"
    )

    assert done.returncode == 1
    assert done.stderr.strip() == (
        f"atoma: {missing} is not installed. Run: pip install 'atoma-confidential[cli]'"
    )


def test_our_own_broken_import_is_not_disguised(monkeypatch):
    import atoma_cli

    monkeypatch.setitem(sys.modules, "atoma_cli._app", None)

    with pytest.raises(ModuleNotFoundError):
        atoma_cli.app()


def test_help_names_the_commands(atoma_command):
    done = atoma_command("--help")

    assert done.exit_code == 0
    assert all(name in done.stdout for name in ("ask", "chat", "local", "models"))


def test_without_a_command_it_shows_the_help(atoma_command):
    done = atoma_command()

    assert done.exit_code == 2
    assert "Usage: " in done.stdout + done.stderr


def test_advice_names_the_option_and_not_the_python_parameter(capsys):
    from atoma_cli._console import say_error
    from atoma_confidential import NonceReuseError

    say_error(NonceReuseError("A nonce came twice."))

    said = capsys.readouterr().err
    assert said.startswith("Error: A nonce came twice.\n")
    assert "--stream-mode buffered" in said
    assert "stream_mode=" not in said


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("tab\t, line\n", "tab\t, line\n"),
        ("\x1b[2J\x07\r\x9b", "[2J"),
        ("half \ud83d of it", "half ? of it"),
        ("a\u202etxt.exe\u2066b\u2069", "atxt.exeb"),
        ("שלום\u200f! 👩\u200d🔬", "שלום\u200f! 👩\u200d🔬"),
    ],
)
def test_what_is_printed_cannot_drive_the_terminal(text, shown):
    from atoma_cli._console import printable

    assert printable(text) == shown


def test_a_note_is_one_line(capsys):
    from atoma_cli._console import note

    note("In a\nb\u2028c\x85d  e")

    assert capsys.readouterr().err == "In a b cd  e\n"
