import io
from collections.abc import Callable

import docx
import pytest
from docx.document import Document
from docx.enum.style import WD_STYLE_TYPE
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls, qn
from docx.oxml.xmlchemy import BaseOxmlElement
from pypdf import PdfReader, PdfWriter

from retrieval.hygiene import tidy
from retrieval.loaders.drafts import Body
from retrieval.loaders.office import _unwrap, docx_body, pdf_body
from tests.retrieval.loaders.test_files import pdf


def read(document: Document) -> Body:
    out = io.BytesIO()
    document.save(out)
    return docx_body(out.getvalue(), "a.docx")


def text(document: Document) -> str:
    return tidy(read(document).text)


def element(xml: str) -> BaseOxmlElement:
    """An element whose first tag has no attributes."""
    name, _, rest = xml.partition(">")
    found: BaseOxmlElement = parse_xml(f"{name} {nsdecls('w', 'r')}>{rest}")
    return found


def run(words: str, tag: str = "t") -> str:
    return f'<w:r><w:{tag} xml:space="preserve">{words}</w:{tag}></w:r>'


@pytest.mark.parametrize(
    "inserted",
    [
        f"<w:ins>{run('226 Euro')}</w:ins>",
        f"<w:moveTo>{run('226 Euro')}</w:moveTo>",
        f"<w:smartTag><w:smartTag>{run('226 Euro')}</w:smartTag></w:smartTag>",
        f"<w:sdt><w:sdtContent>{run('226 Euro')}</w:sdtContent></w:sdt>",
        f"<w:fldSimple>{run('226 Euro')}</w:fldSimple>",
        f"<w:ins>{run('226 ')}<w:del>{run('old', 'delText')}</w:del>{run('Euro')}</w:ins>",
        f"<w:ins>{run('226 Euro')}<w:moveFrom>{run(' there')}</w:moveFrom></w:ins>",
    ],
)
def test_a_word_file_is_read_as_if_its_changes_were_accepted(inserted: str) -> None:
    document = docx.Document()
    paragraph = document.add_paragraph("It costs ")
    paragraph._p.append(element(f"<w:del>{run('190 Euro', 'delText')}</w:del>"))
    paragraph._p.append(element(inserted))
    paragraph.add_run(" in all.")
    assert text(document) == "It costs 226 Euro in all."


def test_what_stands_in_content_controls_is_read_in_its_place() -> None:
    document = docx.Document()
    document.add_paragraph("First")
    second = f"<w:p>{run('Second')}</w:p>"
    hint = f"<w:p>{run('Click here')}</w:p>"
    contents = "<w:sdt><w:sdtContent>{}</w:sdtContent></w:sdt>"
    document.element.body.insert(1, element(contents.format(contents.format(second))))
    document.element.body.insert(
        2,
        element(
            "<w:sdt><w:sdtPr><w:showingPlcHdr/></w:sdtPr>"
            f"<w:sdtContent>{hint}</w:sdtContent></w:sdt>"
        ),
    )
    document.add_paragraph("Third")
    assert text(document) == "First\n\nSecond\n\nThird"


def test_deleted_items_and_rows_leave_nothing_behind() -> None:
    document = docx.Document()
    deleted = document.add_paragraph(style="List Bullet")
    deleted._p.append(element(f"<w:del>{run('Old', 'delText')}</w:del>"))
    document.add_paragraph("New", style="List Bullet")
    table = document.add_table(rows=2, cols=1)
    table.cell(0, 0).text, table.cell(1, 0).text = "Old", "New"
    table.rows[0]._tr.get_or_add_trPr().append(element("<w:del></w:del>"))
    assert text(document) == "- New\n\nNew"


def test_the_table_of_contents_is_left_out() -> None:
    document = docx.Document()
    document.styles.add_style("toc 1", WD_STYLE_TYPE.PARAGRAPH)
    document.add_paragraph("Fees\t3", style="toc 1")
    document.add_paragraph("Free.")
    assert text(document) == "Free."


def test_a_merged_cell_is_read_once_and_a_cell_stands_on_one_line() -> None:
    document = docx.Document()
    table = document.add_table(rows=2, cols=3)
    table.cell(0, 0).merge(table.cell(0, 2)).text = "Fees"
    table.cell(1, 0).text, table.cell(1, 1).text = "A\nB", "5 €"
    inner = table.cell(1, 2).add_table(rows=1, cols=2)
    inner.cell(0, 0).text, inner.cell(0, 1).text = "x", "y"
    assert text(document) == "Fees\nA B | 5 € | x | y"


def test_a_link_keeps_where_it_leads() -> None:
    document = docx.Document()
    part = document.part
    links = {
        "here": part.relate_to("https://a.b/c", RELATIONSHIP_TYPE.HYPERLINK, is_external=True),
        "e@a.b": part.relate_to("mailto:e@a.b", RELATIONSHIP_TYPE.HYPERLINK, is_external=True),
    }
    paragraph = document.add_paragraph("Book ")
    for words, link in links.items():
        hyperlink = element(f"<w:hyperlink>{run(words)}</w:hyperlink>")
        hyperlink.set(qn("r:id"), link)
        paragraph._p.append(hyperlink)
        paragraph.add_run(".")
    assert text(document) == "Book here (https://a.b/c).e@a.b."


def test_a_heading_of_two_lines_is_one_heading() -> None:
    document = docx.Document()
    document.add_heading("House\nrules")
    document.add_paragraph("Text")
    assert text(document) == "# House rules\n\nText"


def test_numbered_paragraphs_keep_their_numbers() -> None:
    document = docx.Document()
    for step in ("Pack it", "Send it"):
        document.add_paragraph(step, style="List Number")
    document.add_paragraph("Then:")
    third = document.add_paragraph("Wait", style="List Number")
    document.add_paragraph("at home", style="List Bullet 2")
    number = third.style.element.pPr.numPr.numId.val if third.style else 0
    definitions = document.part.numbering_part.numbering_definitions._numbering
    kind = definitions.num_having_numId(number).abstractNumId.val
    restarted = definitions.add_num(kind)
    restarted.add_lvlOverride(0).add_startOverride(1)
    for step in ("Unpack", "Ride"):
        properties = document.add_paragraph(step)._p.get_or_add_pPr().get_or_add_numPr()
        properties.get_or_add_numId().val = restarted.numId
    assert text(document).split("\n\n") == [
        "1. Pack it",
        "2. Send it",
        "Then:",
        "3. Wait",
        "- at home",
        "1. Unpack",
        "2. Ride",
    ]


def titled_word(title: str) -> Body:
    document = docx.Document()
    document.core_properties.title = title
    document.add_paragraph("Text")
    return read(document)


@pytest.mark.parametrize(
    ("lines", "read"),
    [
        (["Opening hours", "Monday to Friday 9-5", "Prices", "Parcel 5 EUR"], None),
        (
            ["You may return what you have bought within thirty", "Days, for whatever", "reason."],
            "You may return what you have bought within thirty Days, for whatever reason.",
        ),
        (["For free ship-", "ping."], "For free shipping."),
        (
            ["Self-service: self-", "service, by e-", "mail."],
            "Self-service: self-service, by e-mail.",
        ),
        (["The costs are high. Ship-", "costs rose."], "The costs are high. Shipcosts rose."),
        (
            ["Sie erhalten jede bei uns gekaufte", "Ware innerhalb von vierzehn", "Tagen."],
            "Sie erhalten jede bei uns gekaufte Ware innerhalb von vierzehn Tagen.",
        ),
        (
            [f"{'prose ' * 12}of the", "Warehouse ends.", "x" * 140],
            f"{'prose ' * 12}of the Warehouse ends.\n{'x' * 140}",
        ),
        (["By E-Mail-", "Formular."], "By E-Mail-Formular."),
    ],
)
def test_lines_of_a_pdf_are_joined_where_the_page_was_full(
    lines: list[str], read: str | None
) -> None:
    body = pdf_body(pdf(") Tj 0 -14 Td (".join(lines)), "a.pdf")
    assert body.text.strip() == (read or "\n".join(lines))


@pytest.mark.parametrize(
    "text",
    [
        "환불은 상품을 받은 날부터 십사일 이내에 신청할 수\n있으며 배송비는 고객이 부담합니다.",
        "يمكنك إرجاع المنتج خلال أربعة\nعشر يوما من تاريخ الاستلام.",
    ],
)
def test_lines_of_scripts_without_capitals_are_joined(text: str) -> None:
    assert _unwrap(text) == text.replace("\n", " ")


def titled_pdf(title: str) -> Body:
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(pdf("Text"))))
    writer.add_metadata({"/Title": title})
    out = io.BytesIO()
    writer.write(out)
    return pdf_body(out.getvalue(), "a.pdf")


@pytest.mark.parametrize("body", [titled_word, titled_pdf])
@pytest.mark.parametrize(
    ("title", "kept"),
    [
        ("Microsoft Word - Hausordnung_final_v3.docx", ""),
        ("Microsoft Word - Hausordnung", ""),
        ("untitled", ""),
        ("Unbenannt-1", ""),
        ("Flyer_2024.indd", ""),
        ("Prices.xlsx", ""),
        ("PowerPoint-Präsentation", ""),
        ("House rules", "House rules"),
        ("What is a .docx", "What is a .docx"),
    ],
)
def test_a_title_that_a_program_made_up_is_none(
    body: Callable[[str], Body], title: str, kept: str
) -> None:
    assert body(title).title == kept
