"""The index on disk: what is embedded again, what is removed, what is damage."""

from pathlib import Path

import pytest
from counted import Counted, passages
from llama_index.core.storage.docstore import SimpleDocumentStore

from atoma_cli._console import CommandError
from atoma_cli._index import COLLECTION

# Qdrant leaves the files it could not use to the garbage collector.
LEFT_OPEN = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)
RECORDS = {"langchain": "records.sqlite", "llama-index": "docstore.json"}


def test_second_run_embeds_nothing_and_a_changed_passage_alone_is_embedded(
    tmp_path, refresh
):
    first, second, third = Counted(), Counted(), Counted()

    changed, _ = refresh(tmp_path, first, passages("one", "two", "three"))
    assert (changed.embedded, changed.unchanged, changed.removed) == (3, 0, 0)
    assert first.seen == [["one", "two", "three"]]

    changed, _ = refresh(tmp_path, second, passages("one", "two", "three"))
    assert (changed.embedded, changed.unchanged, changed.removed) == (0, 3, 0)
    assert second.seen == []

    changed, stored = refresh(tmp_path, third, passages("one", "TWO", "three"))
    assert (changed.embedded, changed.unchanged, changed.removed) == (1, 2, 1)
    assert third.seen == [["TWO"]]
    assert stored == {"one", "TWO", "three"}


def test_passages_of_a_deleted_file_are_removed(tmp_path, refresh):
    both = passages("one") + passages("two", source="b.md")

    refresh(tmp_path, Counted(), both)
    changed, stored = refresh(tmp_path, Counted(), both[1:])

    assert changed.removed == 1
    assert stored == {"two"}


def test_the_same_text_in_two_files_is_two_passages(tmp_path, refresh):
    both = passages("same") + passages("same", source="b.md")

    changed, _ = refresh(tmp_path, Counted(), both)

    assert changed.embedded == 2


def test_an_interrupted_run_goes_on_where_it_stopped(
    tmp_path, refresh, opened, batches_of
):
    batches_of(2)
    documents = passages(*"abcdef")
    broken, resumed = Counted(fail_after=2), Counted()
    stored = []

    with (
        pytest.raises(InterruptedError),
        opened(tmp_path, broken) as index,
    ):
        index.refresh(documents, stored.append)
    refresh(tmp_path, resumed, documents)

    assert stored == [0, 2, 4]
    assert resumed.seen == [["e", "f"]]


def test_points_a_kill_left_unrecorded_are_removed(
    tmp_path, monkeypatch, refresh, opened, framework
):
    with opened(tmp_path, Counted()) as index:
        record = {"langchain": "update", "llama-index": "save"}[framework]
        monkeypatch.setattr(index._records, record, _interrupted)
        with pytest.raises(InterruptedError):
            index.refresh(passages("orphan"), lambda _stored: None)

    _, stored = refresh(tmp_path, Counted(), passages("kept", source="b.md"))

    assert stored == {"kept"}


def _interrupted(*_args, **_kwargs):
    raise InterruptedError


def test_vectors_that_are_gone_are_embedded_again(tmp_path, refresh):
    refresh(tmp_path, Counted(), passages("one"))
    for path in sorted((tmp_path / "qdrant").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()

    changed, stored = refresh(tmp_path, Counted(), passages("one"))

    assert changed.embedded == 1
    assert stored == {"one"}


def test_a_vector_that_is_gone_is_embedded_again(tmp_path, opened, refresh):
    """As when a kill came after its record was written, or before it was removed."""
    given = passages("one", "two")
    refresh(tmp_path, Counted(), given)
    with opened(tmp_path, Counted()) as index:
        index._vectors.client.delete(COLLECTION, [given[0].key])

    changed, stored = refresh(tmp_path, Counted(), given)

    assert (changed.embedded, changed.unchanged, changed.removed) == (1, 1, 0)
    assert stored == {"one", "two"}


def test_another_vector_length_is_refused_and_the_index_survives(tmp_path, refresh):
    refresh(tmp_path, Counted(), passages("one"))

    with pytest.raises(CommandError, match="8 dimensions, and m gives 16"):
        refresh(tmp_path, Counted(size=16), passages("one"))

    changed, _ = refresh(tmp_path, Counted(), passages("one"))
    assert changed.unchanged == 1


@LEFT_OPEN
def test_an_index_in_use_is_said_to_be_in_use(tmp_path, opened):
    with (
        opened(tmp_path, Counted()),
        pytest.raises(CommandError, match="in use by another run"),
        opened(tmp_path, Counted()),
    ):
        pass


@LEFT_OPEN
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("index.json", b"{"),
        ("index.json", b"{}"),
        ("index.json", b"[]"),
        ("index.json", b"\xff"),
        ("RECORDS", b"not a database, and long enough to be read as one" * 9),
        ("qdrant/collection/passages/storage.sqlite", b"not a database" * 99),
        ("qdrant/meta.json", b"{"),
    ],
)
def test_a_damaged_index_is_one_sentence(tmp_path, name, content, refresh, framework):
    refresh(tmp_path, Counted(), passages("one"))
    (tmp_path / name.replace("RECORDS", RECORDS[framework])).write_bytes(content)

    with pytest.raises(CommandError, match="cannot be read") as refused:
        refresh(tmp_path, Counted(), passages("one"))

    assert f"Delete {tmp_path}" in refused.value.advice


@pytest.mark.parametrize("framework", ["langchain"])
def test_an_error_of_the_database_never_shows_what_was_to_be_stored(tmp_path, opened):
    def break_and_refresh():
        with opened(tmp_path, Counted()) as index:
            with index._records.engine.begin() as connection:
                connection.exec_driver_sql("DROP TABLE upsertion_record")
            index.refresh(passages("secret passage"), lambda _stored: None)

    with pytest.raises(CommandError, match="cannot be written") as refused:
        break_and_refresh()

    assert refused.value.message.endswith("no such table: upsertion_record.")


@pytest.mark.parametrize("framework", ["llama-index"])
@pytest.mark.parametrize(
    "content",
    [b"\xff", b"[]", b"7", b'{"docstore/metadata": 7}'],
)
def test_records_of_another_shape_are_damage(tmp_path, refresh, content):
    refresh(tmp_path, Counted(), passages("one"))
    (tmp_path / "docstore.json").write_bytes(content)

    with pytest.raises(CommandError, match="cannot be read"):
        refresh(tmp_path, Counted(), passages("one"))


@pytest.mark.parametrize("framework", ["llama-index"])
def test_a_kill_while_records_are_written_leaves_the_old_ones(
    tmp_path, refresh, monkeypatch
):
    def cut_short(_store, path, **_options):
        Path(path).write_text('{"docstore')
        raise KeyboardInterrupt

    refresh(tmp_path, Counted(), passages("one"))
    with monkeypatch.context() as patched:
        patched.setattr(SimpleDocumentStore, "persist", cut_short)
        with pytest.raises(KeyboardInterrupt):
            refresh(tmp_path, Counted(), passages("one", "two"))

    changed, _ = refresh(tmp_path, Counted(), passages("one", "two"))

    assert (changed.embedded, changed.unchanged) == (1, 1)


@pytest.mark.parametrize("framework", ["llama-index"])
@pytest.mark.parametrize("name", ["docstore.json", "docstore.new"])
def test_records_that_cannot_be_written_are_one_sentence(tmp_path, refresh, name):
    refresh(tmp_path, Counted(), passages("one"))
    (tmp_path / "docstore.json").unlink()
    (tmp_path / name).mkdir()

    with pytest.raises(CommandError, match="cannot be written: Is a directory"):
        refresh(tmp_path, Counted(), passages("two"))
