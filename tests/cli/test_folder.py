"""What `atoma ask` reads of a folder, and what it says about the rest."""

import zlib

import pytest
from pypdf import PdfWriter

from atoma_cli._folder import label, read_folder


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

    assert [(label(it), it.page_content) for it in folder.passages] == [
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
    assert all(len(passage.page_content) <= 1000 for passage in passages)
    assert [passage.metadata["passage"] for passage in passages] == [
        *range(1, len(passages) + 1)
    ]
    joined = "".join(passage.page_content for passage in passages)
    assert all(sentence in joined for sentence in sentences)


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

    assert [passage.page_content for passage in folder.passages] == ["Good text."]
    assert folder.skipped == [f"{name}: {reason}"]


def test_a_byte_order_mark_is_not_text(tmp_path):
    (tmp_path / "bom.txt").write_bytes(b"\xef\xbb\xbfHello there")

    assert read_folder(tmp_path).passages[0].page_content == "Hello there"
