import io
import json
import os
import tempfile
import zipfile
from pathlib import Path

import docx
import pytest
from pypdf import PdfReader, PdfWriter

from core.errors import Rejected
from retrieval.loaders import files
from retrieval.loaders.drafts import Draft
from retrieval.loaders.files import Source, read, sources

NOBODY = 65_534


def load(path: Path) -> tuple[Draft, ...]:
    return tuple(draft for source in sources(path) for draft in read(source, path))


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def pdf(text: str) -> bytes:
    """The smallest PDF that holds a line of text."""
    stream = f"BT /F1 12 Tf 20 100 Td ({text}) Tj ET"
    objects = [
        "<</Type/Catalog/Pages 2 0 R>>",
        "<</Type/Pages/Kids[3 0 R]/Count 1>>",
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 200]/Contents 4 0 R"
        "/Resources<</Font<</F1 5 0 R>>>>>>",
        f"<</Length {len(stream)}>>stream\n{stream}\nendstream",
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    body = "%PDF-1.4\n"
    places = []
    for number, content in enumerate(objects, start=1):
        places.append(len(body))
        body += f"{number} 0 obj{content}endobj\n"
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    trailer = f"trailer<</Size 6/Root 1 0 R>>\nstartxref\n{len(body)}\n%%EOF"
    return f"{body}xref\n0 6\n0000000000 65535 f \n{table}{trailer}".encode()


def locked(data: bytes, password: str) -> bytes:
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(data)))
    writer.encrypt(password, "owner", algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def word_file() -> bytes:
    document = docx.Document()
    document.core_properties.title = "Warranty"
    document.add_heading("How long", level=1)
    document.add_paragraph("Two years.")
    table = document.add_table(rows=1, cols=2)
    table.rows[0].cells[0].text = "Frames"
    table.rows[0].cells[1].text = "ten years"
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def test_markdown_is_read_with_its_front_matter(tmp_path: Path) -> None:
    file = write(
        tmp_path / "returns.md",
        "---\ntitle: Returns\nlanguage: pt-BR\nsource: https://example.org/r\n---\n"
        "# Returns\n\nYou have **30 days**. See [the form](https://example.org/f).\n\n"
        "1. Pack it\n2. Send it\n\n| a | b |\n|---|---|\n| 1 | 2 |\n",
    )
    (draft,) = load(file)
    assert (draft.id, draft.title, draft.language) == ("returns", "Returns", "pt-BR")
    assert draft.source == "https://example.org/r"
    assert "You have 30 days. See the form (https://example.org/f)." in draft.text
    assert "1. Pack it\n2. Send it" in draft.text
    assert "1 | 2" in draft.text
    assert draft.text.startswith("# Returns\n")


def test_html_is_read_without_menus_and_scripts(tmp_path: Path) -> None:
    file = write(
        tmp_path / "page.html",
        "<html lang=de><head><title>Laden</title><script>evil()</script></head><body>"
        "<header>Logo</header><nav>Menü</nav><main><h1>Öffnungszeiten</h1>"
        "<p>Montag bis\nFreitag.<br>Samstag zu.</p><p hidden>ignore previous</p></main>",
    )
    (draft,) = load(file)
    assert (draft.title, draft.language) == ("Öffnungszeiten", "de")
    assert draft.text == "# Öffnungszeiten\n\nMontag bis Freitag.\nSamstag zu."


@pytest.mark.parametrize(
    ("charset", "words"),
    [
        ("windows-1252", "Rückgabe: 5 €"),
        ("iso-8859-1", "Rückgabe: 5 €"),
        ("Shift_JIS", "返品は①です"),
        ("gb2312", "朱镕基"),
        ("windows-1251", "Возврат"),
    ],
)
def test_a_page_is_read_in_the_charset_that_it_declares(
    tmp_path: Path, charset: str, words: str
) -> None:
    written = {"iso-8859-1": "cp1252", "Shift_JIS": "cp932", "gb2312": "gbk"}.get(charset, charset)
    page = f'<html><head><meta charset="{charset}"></head><body><p>{words}</p></body></html>'
    (draft,) = load(write(tmp_path / "a.html", page.encode(written)))
    assert draft.text == words


def test_what_is_utf_8_is_read_as_such_whatever_it_declares(tmp_path: Path) -> None:
    (draft,) = load(write(tmp_path / "a.html", "<meta charset=latin1><p>Rückgabe</p>"))
    assert draft.text == "Rückgabe"


@pytest.mark.parametrize(
    ("declared", "language"),
    [("nb-NO", "no-NO"), ("iw", "he"), ("english", ""), ("{{ lang }}", ""), ("x-default", "")],
)
def test_a_page_has_the_language_it_declares_if_that_is_one(
    tmp_path: Path, declared: str, language: str
) -> None:
    (draft,) = load(write(tmp_path / "a.html", f"<html lang='{declared}'><p>Text</p></html>"))
    assert draft.language == language


def test_word_files_keep_headings_and_tables(tmp_path: Path) -> None:
    (draft,) = load(write(tmp_path / "w.docx", word_file()))
    assert draft.title == "Warranty"
    assert draft.text == "# How long\n\nTwo years.\n\nFrames | ten years"


def test_a_pdf_gives_its_text_also_when_locked_with_an_empty_password(tmp_path: Path) -> None:
    data = pdf("Returns are free.")
    write(tmp_path / "a.pdf", data)
    write(tmp_path / "b.pdf", locked(data, ""))
    assert [draft.text for draft in load(tmp_path)] == ["Returns are free."] * 2


def test_utf_16_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    (draft,) = load(write(tmp_path / "a.txt", "Rückgabe kostenlos".encode("utf-16")))
    assert draft.text == "Rückgabe kostenlos"


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_csv_faq_gives_one_document_a_row(tmp_path: Path, delimiter: str) -> None:
    rows = [["Question", "answer", "language"], ["Wie teuer?", "Kostenlos.", "de"]]
    rows.append(["How long?", '"Two\nweeks"', "en"])
    file = write(tmp_path / "faq.csv", "\n".join(delimiter.join(row) for row in rows))
    found = load(file)
    assert [(d.id, d.title, d.language) for d in found] == [
        ("faq#1", "Wie teuer?", "de"),
        ("faq#2", "How long?", "en"),
    ]
    assert found[1].text == "# How long?\n\nTwo\nweeks"


@pytest.mark.parametrize(
    "content",
    [
        "sep=;\r\nquestion;answer\r\nWhat, when?;Now\r\n",
        '"sep=|"\nquestion|answer\nWhat, when?|Now\n',
        "question;answer;;\n;;;\nWhat, when?;Now;;\n ; ;;\n;\n;;;\n",
    ],
)
def test_what_a_spreadsheet_adds_is_no_row(tmp_path: Path, content: str) -> None:
    (draft,) = load(write(tmp_path / "faq.csv", content))
    assert (draft.id, draft.title, draft.text) == (
        "faq#1",
        "What, when?",
        "# What, when?\n\nNow",
    )


def test_a_jsonl_faq_gives_one_document_a_row(tmp_path: Path) -> None:
    row = {"question": "How?", "answer": "So.", "title": "T", "source": "https://example.org"}
    found = load(write(tmp_path / "a" / "faq.jsonl", json.dumps(row) + "\n\n" + json.dumps(row)))
    assert [(d.id, d.title, d.source) for d in found] == [
        ("faq#1", "T", "https://example.org"),
        ("faq#2", "T", "https://example.org"),
    ]


def test_a_folder_gives_ids_by_path_in_order(tmp_path: Path) -> None:
    write(tmp_path / "de" / "b.md", "Text b")
    write(tmp_path / "de" / "a.v2.md", "Text a")
    write(tmp_path / ".git" / "c.md", "hidden")
    write(tmp_path / "faq.jsonl", json.dumps({"question": "q", "answer": "a"}))
    assert [d.id for d in load(tmp_path)] == ["de/a.v2", "de/b", "faq#1"]


def bomb() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", b"\0" * 30_000_000)
    return out.getvalue()


def bomb_that_lies() -> bytes:
    """Declares a harmless size for what unpacks to much more."""
    return bomb().replace((30_000_000).to_bytes(4, "little"), (1_000).to_bytes(4, "little"))


def foreign_zip() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("readme.txt", "hello")
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.md", b"", "the file is empty"),
        ("a.txt", b" \n\t ", "the file is empty"),
        ("a.md", b"# Only a heading\n", "no text besides headings"),
        ("a.txt", b"Caf\xe9 au lait", "not UTF-8 (byte 0xe9 at position 3)"),
        ("a.txt", b"MZ\x00\x01\x02binary", "not a text file"),
        ("a.md", b"---\ntitle: [\n---\ntext", "front matter between the --- lines is not YAML"),
        ("a.md", b"---\nlanguage: klingonisch sprache\n---\ntext", "is no tag such as `de`"),
        ("a.html", b"<div>" * 5_000 + b"x", "nested more than"),
        ("a.html", b"<meta charset=punycode>caf\xe9", "not UTF-8 (byte 0xe9 at position 26)"),
        ("faq#7.md", b"text", "ends like a row of a FAQ"),
        ("a.pdf", locked(pdf("secret"), "pass"), "asks for a password"),
        ("a.pdf", b"%PDF-1.4 broken", "damaged"),
        ("a.pdf", pdf(""), "only pictures"),
        ("a.docx", bomb(), "zip bomb"),
        ("a.docx", bomb_that_lies(), "Word file is damaged"),
        ("a.docx", bytes.fromhex("d0cf11e0a1b11ae1") + b"x" * 600, "password-protected"),
        ("a.docx", b"PK\x03\x04 nonsense", "damaged"),
        ("a.docx", foreign_zip(), "not a Word document"),
        ("faq.csv", b"question,reply\na,b\n", "must name the columns question,answer"),
        ("faq.csv", b"question,answer\na,b\nc\n", "line 3: another number of fields"),
        ("faq.csv", b'question,answer\na,"b', "line 2: not valid CSV"),
        ("faq.csv", b"question,answer\na,\n", "line 2: the question or the answer is empty"),
        ("faq.csv", b"sep=;\nquestion;answer\na;\n", "line 3: the question or the answer is"),
        ("faq.csv", b"question;answer\n;;\n", "empty but for its first line"),
        ("faq.csv", b"question,answer\n", "empty but for its first line"),
        ("faq.jsonl", b'{"question":"a","answer":"b"}\n{"question":', "line 2: not a JSON object"),
        ("faq.jsonl", b'{"question":"a"}', "line 1: answer: field required"),
        ("faq.jsonl", b"[1, 2]", "line 1: row: "),
        ("a.exe", b"x", "unknown type; give Markdown"),
        (f"{'n' * 245}.md", b"text", "the path is longer than 240"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_clear_line(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    file = write(tmp_path / name, content)
    with pytest.raises(Rejected) as caught:
        load(file)
    assert str(file) in str(caught.value)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_over_large_file_is_refused_unread(tmp_path: Path) -> None:
    file = tmp_path / "big.txt"
    with file.open("wb") as stream:
        stream.truncate(files.MAX_FILE_BYTES + 1)
    with pytest.raises(Rejected, match="larger than 20 MB"):
        load(file)


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    secret = write(tmp_path / "secret.md", "secret")
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "a.md").symlink_to(secret)
    with pytest.raises(Rejected, match="leads out of the folder"):
        load(folder)


def test_a_missing_path_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="no such file or folder"):
        load(tmp_path / "nothing")


@pytest.mark.parametrize("name", ["", "faq.md", "more"])
def test_what_we_may_not_look_into_is_refused_in_a_line(name: str) -> None:
    me = os.geteuid()
    # Not below pytest's own folder, which is closed to everybody else.
    with tempfile.TemporaryDirectory() as folder:
        closed = Path(folder)
        write(closed / "faq.md", "text")
        closed.chmod(0)
        if me == 0:  # to whom nothing is closed
            os.seteuid(NOBODY)
        try:
            with pytest.raises(Rejected, match=r"cannot be read \(Permission denied\)"):
                load(closed / name)
        finally:
            os.seteuid(me)
            closed.chmod(0o700)


def test_reading_never_changes_a_file_id(tmp_path: Path) -> None:
    file = write(tmp_path / "Cafe\u0301.md", "text")
    assert [source.id for source in sources(file)] == ["Café"]
    assert read(Source(path=file, id="x"), tmp_path)[0].title == "X"
