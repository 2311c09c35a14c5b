"""What the page is given to show: the reply, and nothing that could act by itself."""

import json
from dataclasses import replace
from html import escape
from html.parser import HTMLParser

import pytest

from bots.web.shown import as_html, is_web_address, shown
from core.adapters.transcript import Line
from core.turn import Author
from tests.bots.web.desk import EVIL

TABLE = ("table", "thead", "tbody", "tr", "th", "td")


class Tags(HTMLParser):
    """What a browser would make of it."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, {name: value or "" for name, value in attrs}))


def line(author: Author, text: str, **details: object) -> Line:
    return Line(
        id=1, author=author, text=text, language="en", details=json.dumps(details), created_at=0.0
    )


@pytest.mark.parametrize(
    "text",
    [
        EVIL,
        "[x](javascript:alert(1))",
        "[x](data:text/html,<script>alert(1)</script>)",
        "![x](https://tracker.example/x.png)",
        "<javascript:alert(1)>",
        "[x](JaVaScRiPt:alert(1))",
        '[x](https://a.example "\\" onmouseover=alert(1) ")',
        "`<img src=x>`",
        "| a |\n|---|\n| <svg onload=alert(1)> |",
    ],
)
def test_markdown_lets_no_tag_script_or_picture_through(text: str) -> None:
    found = Tags()
    found.feed(as_html(text))
    assert {tag for tag, _ in found.seen} <= {"p", "a", "code", *TABLE}
    for _, attributes in found.seen:
        assert set(attributes) <= {"href", "title", "target", "rel"}
        assert attributes.get("href", "https://").startswith("https://")


def test_a_link_opens_a_window_that_knows_nothing_of_ours() -> None:
    html = as_html("See [returns](https://shop.example/r) or <mailto:help@shop.example>.")
    assert '<a href="https://shop.example/r" target="_blank" rel="noopener' in html
    assert 'href="mailto:help@shop.example"' in html


@pytest.mark.parametrize(
    ("text", "href", "label"),
    [
        ("See https://shop.example/t?id=5&n=a_b_c.", "https://shop.example/t?id=5&n=a_b_c", ""),
        ("请见https://shop.example/t?id=5。谢谢", "https://shop.example/t?id=5", ""),
        ("(**https://shop.example/a_(b)**!)", "https://shop.example/a_(b)", ""),
        ("'https://shop.example/L'Avare'.", "https://shop.example/L'Avare", ""),
        ("“https://пример.рф”", "https://xn--e1afmkfd.xn--p1ai", "https://пример.рф"),
        ("Write to help@shop.example.", "mailto:help@shop.example", "help@shop.example"),
        ("邮箱：help@shop.example谢谢", "mailto:help@shop.example", "help@shop.example"),
        ("[https://a.example](https://b.example)", "https://b.example", "https://a.example"),
    ],
)
@pytest.mark.parametrize("author", [Author.BOT, Author.AGENT])
def test_an_address_that_stands_as_it_is_is_a_link(
    author: Author, text: str, href: str, label: str
) -> None:
    found = Tags()
    html = str(shown(line(author, text))["html"])
    found.feed(html)
    [link] = [attributes for tag, attributes in found.seen if tag == "a"]
    rel = "noopener noreferrer nofollow"
    assert link == {"href": href, "target": "_blank", "rel": rel}
    assert f">{escape(label or href, quote=False)}</a>" in html


@pytest.mark.parametrize("text", ["readme.md", "ftp://a.example/b", "`https://a.example`", "ü@b"])
def test_what_is_no_address_or_stands_in_code_is_no_link(text: str) -> None:
    assert "<a" not in as_html(text)


@pytest.mark.parametrize(
    "text", ["*21*0301#", "2*3*4", r"C:\_data\*", "# 1 &amp; 2", "24. Dezember\n1. Januar", "- a"]
)
def test_an_agents_words_are_shown_letter_by_letter(text: str) -> None:
    html = escape(text).replace("\n", "<br>\n")
    assert shown(line(Author.AGENT, text))["html"] == f"<p>{html}</p>\n"


@pytest.mark.parametrize("author", [Author.BOT, Author.AGENT])
def test_no_words_but_a_customers_let_a_tag_script_or_picture_through(author: Author) -> None:
    text = f"{EVIL}\n\n[x](javascript:alert(1)) ![x](https://tracker.example/x.png)"
    found = Tags()
    found.feed(str(shown(line(author, text))["html"]))
    assert {tag for tag, _ in found.seen} <= {"p", "a"}


@pytest.mark.parametrize(
    ("written", "numbers"),
    [
        ("24. Dezember: zu\n31. Dezember: bis 14 Uhr\n1. Januar: zu", ["24", "31", "1"]),
        ("1. ledna: zavřeno\n6. dubna: zavřeno", ["1", "6"]),
        ("6. joulukuuta: kiinni\n\n24. joulukuuta: kiinni", ["6", "24"]),
        ("1. Open it\n1. Close it", [None, None]),
    ],
)
def test_a_date_at_the_start_of_a_line_stays_the_day_it_is(
    written: str, numbers: list[str | None]
) -> None:
    found = Tags()
    found.feed(as_html(written))
    assert [attributes.get("value") for tag, attributes in found.seen if tag == "li"] == numbers


def test_a_picture_is_its_description() -> None:
    assert as_html("![a <b> label](https://tracker.example/x.png)") == "<p>a &lt;b&gt; label</p>\n"


def test_a_heading_is_not_one_of_the_page() -> None:
    assert as_html("# Returns") == "<p><strong>Returns</strong></p>"


@pytest.mark.parametrize(
    "address",
    [
        "",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "//evil.example",
        "https://",
        "http://[",
        "x",
    ],
)
def test_only_web_addresses_become_links(address: str) -> None:
    assert not is_web_address(address)


def test_a_customers_words_are_never_html() -> None:
    assert shown(line(Author.CUSTOMER, EVIL, attachments=[]))["html"] == ""


def test_what_a_customer_wrote_has_the_key_that_their_browser_gave_it() -> None:
    written = replace(line(Author.CUSTOMER, "Hello"), event_id="visitor.1:key-00001")
    assert shown(written)["key"] == "key-00001"
    assert shown(line(Author.BOT, "Hello"))["key"] == ""


@pytest.mark.parametrize(("rating", "helpful"), [(1, True), (-1, False), (None, None)])
def test_a_reply_has_the_verdict_on_it(rating: int | None, helpful: bool | None) -> None:
    assert shown(replace(line(Author.BOT, "Hello"), rating=rating))["helpful"] is helpful


def test_languages_on_offer_have_their_own_names() -> None:
    offered = shown(line(Author.BOT, "?", offer_languages=["de", "ar", "x-what"]))["languages"]
    assert offered == [
        {"tag": "de", "name": "Deutsch"},
        {"tag": "ar", "name": "العربية"},
        {"tag": "x-what", "name": "x-what"},
    ]


def test_a_document_is_one_source_with_all_its_passages() -> None:
    passages = [
        {"document": name, "title": f"Of {name}", "passage": text, "language": "en"}
        for name, text in (("a", "One."), ("b", "Two."), ("a", "Three."))
    ]
    sources = shown(line(Author.BOT, "?", citations=passages))["citations"]
    assert isinstance(sources, list)
    assert [(each["title"], each["html"]) for each in sources] == [
        ("Of a", "<p>One.</p>\n<p>Three.</p>\n"),
        ("Of b", "<p>Two.</p>\n"),
    ]
