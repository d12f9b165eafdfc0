"""What `atoma ask` reads of a folder, and what it says about the rest."""

import os
import zlib
from itertools import pairwise
from pathlib import Path

import pytest
from langchain_text_splitters import TextSplitter
from pypdf import PdfWriter

from atoma_cli._folder import read_folder


def pdf(*pages):
    """Write a PDF by hand: pypdf reads text and does not set it."""
    objects = [b"<</Type/Catalog/Pages 2 0 R>>", b""]
    kids = []
    for text in pages:
        body = f"BT /F1 12 Tf 72 700 Td ({text}) Tj ET".encode()
        stream = zlib.compress(body)
        objects.append(
            b"<</Length %d/Filter/FlateDecode>>stream\n%s\nendstream"
            % (len(stream), stream)
        )
        kids.append(len(objects) + 1)
        objects.append(
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents %d 0 R"
            b"/Resources<</Font<</F1<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"
            b">>>>>>" % (len(objects))
        )
    objects[1] = b"<</Type/Pages/Count %d/Kids[%s]>>" % (
        len(kids),
        b" ".join(b"%d 0 R" % kid for kid in kids),
    )
    out, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return out + (
        b"xref\n0 %d\n0000000000 65535 f \n%strailer<</Size %d/Root 1 0 R>>\n"
        b"startxref\n%d\n%%%%EOF"
        % (len(objects) + 1, table, len(objects) + 1, len(out))
    )


def test_reads_markdown_text_and_pdf_below_the_folder_in_a_stable_order(tmp_path):
    (tmp_path / "b.md").write_text("# Bees\n\nBees dance.")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.TXT").write_text("Ants walk.")
    (tmp_path / "c.pdf").write_bytes(pdf("Cats sleep.", "Cats hunt."))
    (tmp_path / "d.html").write_text("Dogs bark.")

    folder = read_folder(tmp_path)

    assert [(it.label, it.text) for it in folder.passages] == [
        ("b.md, passage 1", "# Bees\n\nBees dance."),
        ("c.pdf, page 1, passage 1", "Cats sleep."),
        ("c.pdf, page 2, passage 1", "Cats hunt."),
        ("deep/a.TXT, passage 1", "Ants walk."),
    ]
    assert folder.files == 3
    assert folder.skipped == []


def test_cuts_long_documents_into_passages_that_overlap(tmp_path):
    sentences = [f"Sentence number {n} says something." for n in range(200)]
    (tmp_path / "long.txt").write_text(" ".join(sentences))

    passages = read_folder(tmp_path).passages

    assert len(passages) > 5
    assert all(len(passage.text) <= 1000 for passage in passages)
    assert [passage.number for passage in passages] == [*range(1, len(passages) + 1)]
    joined = "".join(passage.text for passage in passages)
    assert all(sentence in joined for sentence in sentences)


@pytest.mark.parametrize("name", ["long.txt", "long.md"])
@pytest.mark.parametrize("unit", ["0123456789", " ", "\n"])
def test_text_without_words_is_not_cut_character_by_character(
    tmp_path, monkeypatch, name, unit
):
    (tmp_path / name).write_text(f"begin{unit * 10_000}end")
    joined = []
    merge = TextSplitter._merge_splits

    def counting(self, splits, separator):
        joined.extend(splits)
        return merge(self, splits, separator)

    monkeypatch.setattr(TextSplitter, "_merge_splits", counting)

    texts = [passage.text for passage in read_folder(tmp_path).passages]

    assert len(joined) < 10_000 * len(unit) / 25
    assert texts[0].startswith("begin")
    assert texts[-1].endswith("end")
    assert all(len(text) <= 1000 for text in texts)
    if not unit.isspace():
        assert all(before[-150:] == after[:150] for before, after in pairwise(texts))


def test_hidden_files_and_folders_are_not_documents(tmp_path):
    for name in (".atoma/note.md", ".git/x.txt", ".secret.md"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("hidden")

    assert read_folder(tmp_path).passages == []


def encrypted_pdf(path):
    writer = PdfWriter()
    writer.add_blank_page(100, 100)
    writer.encrypt("password", algorithm="AES-256")
    writer.write(path)


def blank_pdf(path):
    writer = PdfWriter()
    writer.add_blank_page(100, 100)
    writer.write(path)


@pytest.mark.parametrize(
    ("name", "write", "reason"),
    [
        ("locked.pdf", encrypted_pdf, "it needs a password"),
        (
            "scan.pdf",
            blank_pdf,
            "no text in it (a scanned PDF needs text recognition first)",
        ),
        (
            "fake.pdf",
            lambda path: path.write_bytes(b"hello"),
            "not a PDF, or a damaged one",
        ),
        (
            "cut.pdf",
            lambda path: path.write_bytes(pdf("Cats sleep.")[:200]),
            "not a PDF, or a damaged one",
        ),
        ("empty.pdf", lambda path: path.touch(), "not a PDF, or a damaged one"),
        ("empty.md", lambda path: path.write_text(" \n"), "no text in it"),
        (
            "latin.txt",
            lambda path: path.write_bytes("Grüße".encode("latin-1")),
            "not UTF-8 text",
        ),
        (
            "gone.txt",
            lambda path: path.symlink_to("nowhere"),
            "No such file or directory",
        ),
    ],
)
def test_a_file_without_text_is_named_and_passed_over(tmp_path, name, write, reason):
    (tmp_path / "good.md").write_text("Good text.")
    write(tmp_path / name)

    folder = read_folder(tmp_path)

    assert [passage.text for passage in folder.passages] == ["Good text."]
    assert folder.skipped == [f"{name}: {reason}"]


def too_large(path):
    with path.open("wb") as file:
        file.truncate(8 * 2**20 + 1)


def too_large_pdf(path):
    with path.open("wb") as file:
        file.write(pdf("Cats sleep."))
        file.truncate(32 * 2**20 + 1)


@pytest.mark.parametrize(
    ("name", "write", "reason"),
    [
        (
            "link.txt",
            lambda path: path.symlink_to("../secret"),
            "a link to outside of the folder",
        ),
        (
            "two.md",
            lambda path: path.symlink_to("../folder-too/secret"),
            "a link to outside of the folder",
        ),
        (
            "zero.txt",
            lambda path: path.symlink_to("/dev/zero"),
            "a link to outside of the folder",
        ),
        (
            "loop.txt",
            lambda path: path.symlink_to("loop.txt"),
            "Too many levels of symbolic links",
        ),
        ("pipe.txt", os.mkfifo, "not a regular file"),
        ("large.txt", too_large, "larger than 8 MiB"),
        ("large.pdf", too_large_pdf, "larger than 32 MiB"),
    ],
)
def test_a_file_that_would_harm_the_reader_is_not_opened(
    tmp_path, monkeypatch, name, write, reason
):
    folder = tmp_path / "folder"
    (tmp_path / "folder-too").mkdir()
    folder.mkdir()
    for secret in (tmp_path / "secret", tmp_path / "folder-too" / "secret"):
        secret.write_text("Secret text.")
    write(folder / name)

    def opened(path, *_args, **_kwargs):
        pytest.fail(f"{path} was opened")

    monkeypatch.setattr(Path, "open", opened)  # a pipe would never end, nor a device
    monkeypatch.setattr(Path, "read_text", opened)

    found = read_folder(folder)

    assert found.passages == []
    assert found.skipped == [f"{name}: {reason}"]


def test_links_within_the_folder_are_read_also_when_it_is_one_itself(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "note.bak").write_text("Good text.")
    (tmp_path / "real" / "note.txt").symlink_to("note.bak")
    (tmp_path / "linked").symlink_to("real")

    folder = read_folder(tmp_path / "linked")

    assert [passage.label for passage in folder.passages] == ["note.txt, passage 1"]
    assert folder.skipped == []


def test_names_that_are_not_utf_8_are_escaped_and_stay_distinct(tmp_path):
    for name in (b"caf\xe8.txt", b"caf\xe9.txt"):
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_text("Same text.")

    passages = read_folder(tmp_path).passages

    assert [passage.label for passage in passages] == [
        "caf\\xe8.txt, passage 1",
        "caf\\xe9.txt, passage 1",
    ]
    assert len({passage.source for passage in passages}) == 2


def test_a_name_cannot_make_a_line_of_its_own(tmp_path):
    (tmp_path / "a\n\u2028Sealed\r.txt").write_text("Text.")
    (tmp_path / f"b{' ' * 80}Sealed.txt").write_text("")

    folder = read_folder(tmp_path)

    assert folder.passages[0].label == "a Sealed .txt, passage 1"
    assert folder.skipped == ["b Sealed.txt: no text in it"]


def test_a_byte_order_mark_is_not_text(tmp_path):
    (tmp_path / "bom.txt").write_bytes(b"\xef\xbb\xbfHello there")

    assert read_folder(tmp_path).passages[0].text == "Hello there"
