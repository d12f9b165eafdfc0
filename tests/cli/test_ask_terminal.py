"""What `atoma ask` shows of names and answers that a terminal could stumble over."""

import os
import re
from pathlib import Path

from documents import QUESTION


def test_an_answer_cannot_drive_the_terminal(ask, folder):
    (folder / "plans" / "launch.txt").write_text(
        "The launch of the \x1b]0;owned\x07Heron satellite is on the \x1b[2Jfourth."
    )

    done = ask(folder, QUESTION)

    assert done.exit_code == 0, done.stderr
    assert "Heron satellite" in done.stdout
    assert not {"\x1b", "\x07"} & {*done.stdout, *done.stderr}


def test_names_of_files_cannot_forge_lines_or_turn_them_around(ask, folder):
    (folder / "plans" / "launch.txt").rename(folder / "a\nSealed to node 1.\u202e.txt")
    (folder / "b\nSealed to node 2.txt").write_text("")

    done = ask(folder, QUESTION)

    assert done.exit_code == 0, done.stderr
    assert "[1] a Sealed to node 1..txt, passage 1: The launch" in done.stdout
    assert "Skipped b Sealed to node 2.txt: no text in it." in done.stderr
    lines = done.stdout.splitlines() + done.stderr.splitlines()
    assert len([line for line in lines if line.startswith("Sealed to node ")]) == 1
    assert "\u202e" not in done.stdout


def test_names_that_are_not_utf_8_are_sources_like_others(ask, folder):
    odd = Path(os.fsdecode(os.fsencode(folder) + b"-caf\xe9"))
    folder.rename(odd)
    (odd / "plans" / "launch.txt").rename(odd / os.fsdecode(b"caf\xe9.txt"))
    (odd / os.fsdecode(b"caf\xe8.txt")).write_text("")

    done = ask(odd, QUESTION, "-k", 1)

    assert done.exit_code == 0, done.output
    assert "[1] caf\\xe9.txt, passage 1: The launch" in done.stdout
    assert "Skipped caf\\xe8.txt: no text in it." in done.stderr
    assert Path(re.search("Index, in clear: (.+)", done.stderr)[1]).is_dir()


def test_a_terminal_without_the_characters_gets_others(network, folder, start):
    (folder / "größe.md").write_text("Die Größe des Satelliten Heron ist fünf Meter.")

    process = start(
        "atoma_cli",
        "ask",
        folder,
        "Die Größe des Satelliten?",
        "-k",
        1,
        PYTHONIOENCODING="ascii",
    )
    out, err = process.communicate(timeout=120)

    assert process.returncode == 0, err
    assert "[1] gr??e.md, passage 1: Die Gr??e des Satelliten" in out
    assert network.opened
