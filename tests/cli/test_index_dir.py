"""The directory of an index: whose it is, who may touch it, and what is left alone."""

import json
import os
import stat

import pytest
from counted import Counted, passages

from atoma_cli._console import CommandError
from atoma_cli._index_dir import Maker, check, default_directory


def test_another_model_is_refused_with_both_ways_out(tmp_path, refresh, framework):
    refresh(tmp_path, Counted(), passages("one"), model="old/model")

    with pytest.raises(CommandError) as refused:
        check(tmp_path, Maker(framework, "new/model"))

    assert "old/model, not new/model" in refused.value.message
    assert f"Delete {tmp_path}" in refused.value.advice
    assert "--index-dir" in refused.value.advice


def test_a_directory_that_cannot_be_written_is_one_sentence(tmp_path, refresh):
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(CommandError, match="cannot be written: Not a directory"):
        refresh(tmp_path / "file" / "index", Counted(), passages("one"))


def test_a_directory_with_other_things_in_it_is_left_alone(tmp_path, refresh):
    (tmp_path / ".gitignore").write_text("mine\n")

    with pytest.raises(CommandError, match="something else than an index"):
        refresh(tmp_path, Counted(), passages("one"))

    assert [path.name for path in tmp_path.iterdir()] == [".gitignore"]
    assert (tmp_path / ".gitignore").read_text() == "mine\n"


def test_a_directory_whose_making_was_cut_short_is_made_again(tmp_path, refresh):
    (tmp_path / "index.json.new").write_text("{")

    changed, _ = refresh(tmp_path, Counted(), passages("one"))

    assert changed.embedded == 1


def test_the_directory_is_private_and_ignored_by_git(tmp_path, refresh, framework):
    directory = tmp_path / "new" / "index"

    refresh(directory, Counted(), passages("one"))

    assert mode(directory) == 0o700
    assert (directory / ".gitignore").read_text() == "*\n"
    assert json.loads((directory / "index.json").read_text()) == {
        "framework": framework,
        "embedding_model": "m",
        "dimensions": 8,
    }


def mode(directory):
    return stat.S_IMODE(directory.stat().st_mode)


@pytest.mark.parametrize("before", [0o755, 0o777])
def test_an_empty_directory_becomes_private(tmp_path, before, refresh):
    (tmp_path / "index").mkdir()
    (tmp_path / "index").chmod(before)

    refresh(tmp_path / "index", Counted(), passages("one"))

    assert mode(tmp_path / "index") == 0o700


def test_a_directory_with_other_things_in_it_keeps_its_mode(tmp_path, refresh):
    (tmp_path / "mine").touch()
    tmp_path.chmod(0o755)

    with pytest.raises(CommandError, match="something else than an index"):
        refresh(tmp_path, Counted(), passages("one"))

    assert mode(tmp_path) == 0o755


@pytest.mark.parametrize("open_to", [0o720, 0o702])
def test_an_index_that_others_can_change_is_refused(
    tmp_path, open_to, refresh, framework
):
    refresh(tmp_path, Counted(), passages("one"))
    tmp_path.chmod(open_to)

    with pytest.raises(CommandError, match="can be changed by other users"):
        check(tmp_path, Maker(framework, "m"))


@pytest.mark.parametrize("made", [True, False])
def test_a_directory_of_another_user_is_refused(
    tmp_path, monkeypatch, made, refresh, framework
):
    if made:
        refresh(tmp_path, Counted(), passages("one"))
    somebody_else = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: somebody_else)

    with pytest.raises(CommandError, match="belongs to another user"):
        check(tmp_path, Maker(framework, "m"))


@pytest.mark.parametrize("letter", ["x", "ß", "漢", "\N{HONEYBEE}"])
def test_a_folder_with_the_longest_name_has_an_index(tmp_path, letter):
    longest = letter * (255 // len(letter.encode()))
    (tmp_path / longest).mkdir()
    (tmp_path / longest[:-1]).mkdir()

    directory = default_directory(tmp_path / longest, "f")

    assert len(os.fsencode(directory.name)) < 255
    assert directory != default_directory(tmp_path / longest[:-1], "f")


def test_a_name_that_is_too_long_is_said_to_be_too_long(tmp_path, framework):
    with pytest.raises(CommandError, match="cannot be written: File name too long"):
        check(tmp_path / ("x" * 256), Maker(framework, "m"))
