import pytest

from core.errors import Rejected
from retrieval.hygiene import tidy
from retrieval.loaders.drafts import Body
from retrieval.loaders.markup import html_body, markdown_body


def page(html: str) -> str:
    return tidy(html_body(html, "page.html").text)


def article(markdown: str) -> str:
    return tidy(markdown_body(markdown, "page.md").text)


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<h2><button>Refund?</button></h2><p>Yes.</p>", "## Refund?\n\nYes."),
        ("<dl><dt><button>Fee?</button></dt><dd>5 €</dd></dl>", "Fee?\n\n5 €"),
        ("<details><summary><button>Fee?</button></summary>5 €</details>", "Fee?\n\n5 €"),
        ("<button aria-controls=a>Fee?</button><div id=a hidden>5 €</div>", "Fee?\n\n5 €"),
        ("<div><h3>Fee?</h3></div><div aria-hidden=true>5 €</div>", "### Fee?\n\n5 €"),
        ("<span>Fee?</span><div hidden><p>5 €</p></div>", "Fee?\n\n5 €"),
    ],
)
def test_a_folded_accordion_keeps_its_questions_and_answers(html: str, text: str) -> None:
    assert page(html) == text


@pytest.mark.parametrize(
    "html",
    [
        "<button>Buy</button>",
        "<dl><dt>Yes.<button>Copy</button></dt></dl>",
        "<p hidden>secret</p>",
        "<p>Yes.<span aria-hidden=true>★</span></p>",
        "<div role=dialog><p>Cookies?</p></div>",
        "<div role=navigation><p>Home</p></div>",
        "<dialog open><p>Subscribe!</p></dialog>",
        "<button aria-controls=m>Menu</button><ul id=m hidden><li><a href=/a>Start</a></ul>",
        "<button aria-controls=d>Help</button><div role=dialog id=d hidden><p>Hi</p></div>",
    ],
)
def test_what_a_page_hides_for_other_reasons_stays_away(html: str) -> None:
    assert page(f"{html}<p>The text.</p>").removeprefix("Yes.\n\n") == "The text."


def test_a_page_that_is_one_form_loses_only_its_fields() -> None:
    html = (
        "<form><header>Logo</header><h1>Returns</h1><p>Within 30 days.</p>"
        "<label>Search <input></label><select><option>German</select><button>Go</button></form>"
    )
    assert page(html) == "# Returns\n\nWithin 30 days."


def test_a_form_that_says_nothing_is_left_out_with_its_labels() -> None:
    form = "<form><p><label>Your name <input></label></p><div>or</div><button>Send</button></form>"
    assert page(f"<p>The text.</p>{form}") == "The text."


def test_cells_keep_their_lines_apart_and_their_links() -> None:
    html = (
        "<table><tr><th>Cake</th><th>Price</th></tr><tr><td>Small<br>Large</td>"
        "<td><p>10 €</p><p>20 €</p></td><td><a href=https://a.b/c>Order</a></td></tr></table>"
    )
    assert page(html) == "Cake | Price\nSmall Large | 10 € 20 € | Order (https://a.b/c)"


def test_a_table_within_a_table_is_read_once() -> None:
    inner = "<table><tr><td>x</td><td>y</td></tr></table>"
    assert page(f"<table><tr><td>Form{inner}</td></tr></table>") == "Form\n\nx | y"


def test_empty_headings_are_left_out() -> None:
    assert page("<h2> </h2><p>The text.</p><h3><img src=a></h3>") == "The text."


def test_steps_have_the_numbers_of_their_author() -> None:
    html = "<ol start=4><li>Four<li value=7>Seven<li>Eight<ul><li>a</ul></ol><ol><li>One</ol>"
    assert page(html) == "4. Four\n7. Seven\n8. Eight\n- a\n\n1. One"
    assert page("<ol start=x><li value=-99999999999>One</ol>") == "1. One"


def test_an_item_that_begins_with_a_heading_keeps_it() -> None:
    html = "<ol><li><h2>Pack</h2><p>Well.</p></li></ol><ul><li><h3>Send</h3>Soon.</li></ul>"
    assert page(html) == "## 1. Pack\n\nWell.\n\n### Send\n\nSoon."


def test_items_with_blank_lines_between_them_stay_behind_their_numbers() -> None:
    loose = "1. Pack it.\n\n2. Send it:\n\n   - by post\n\n   - by bike\n\n3. Wait.\n"
    assert article(loose) == "1. Pack it.\n\n2. Send it:\n\n- by post\n\n- by bike\n\n3. Wait."


@pytest.mark.parametrize(
    "dates",
    [
        "24. Dezember: zu\n31. Dezember: bis 14 Uhr\n1. Januar: zu",
        "1. ledna: zavřeno\n6. dubna: zavřeno",
        "6. joulukuuta: kiinni\n\n24. joulukuuta: kiinni",
        "15. március: zárva\n20. augusztus: zárva\n23. október: zárva",
    ],
)
def test_a_date_at_the_start_of_a_line_stays_the_day_it_is(dates: str) -> None:
    assert article(dates) == dates


def test_steps_that_are_each_a_one_are_counted() -> None:
    assert article("1. Open\n   1. Turn\n   1. Pull\n1. Close") == (
        "1. Open\n1. Turn\n2. Pull\n2. Close"
    )


def test_a_list_goes_on_behind_a_block_of_code() -> None:
    assert article("1. One\n\n```\nrun\n```\n\n2. Two\n3. Three") == (
        "1. One\n\nrun\n\n2. Two\n3. Three"
    )


def test_comments_of_code_are_no_headings_and_get_no_signs() -> None:
    code = "```sh\n# as root\n./run\n    ## twice\n```\n"
    assert article(f"Text\n\n{code}") == "Text\n\n#as root\n./run\n##twice"


@pytest.mark.parametrize(
    ("heading", "title"),
    [
        ("How to use <b>Foo</b> app", "How to use Foo app"),
        ("Kündigung des <strong>Mandats</strong>", "Kündigung des Mandats"),
        ("How to<br>return", "How to return"),
        ("The <a href=https://a.b/c>form</a>", "The form"),
    ],
)
def test_the_words_of_a_title_stay_apart(heading: str, title: str) -> None:
    body = html_body(f"<title>Shop</title><h1>{heading}</h1><p>x</p>", "page.html")
    assert body.title == title
    assert tidy(body.text) == f"# {title}\n\nx"


def test_a_page_without_words_in_its_first_heading_is_named_by_its_title() -> None:
    body = html_body("<title>Our\n shop</title><h1><img src=a></h1><p>x</p>", "page.html")
    assert body == Body(text=body.text, title="Our shop")


def test_deep_nesting_is_refused_before_the_page_is_read() -> None:
    with pytest.raises(Rejected, match="nested more than 150 levels"):
        html_body("<div hidden>" * 5_000 + "x", "page.html")
    assert page("<div>" * 140 + "x") == "x"


def with_front(lines: str) -> Body:
    return markdown_body(f"---\n{lines}\n---\nWords.\n", "page.md")


LAUGHS = "a0: &a0 [ha]\n" + "".join(
    f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, 12)
)


@pytest.mark.parametrize(
    "line",
    [
        "date: 2024-02-30",
        "date: 0000-00-00",
        f"number: {'9' * 5_000}",
        "tags: [a, b]",
        "? [a, b]\n: c",
        pytest.param(LAUGHS, id="a billion laughs"),
    ],
)
def test_front_matter_that_says_something_else_as_well_is_read(line: str) -> None:
    body = with_front(f"{line}\nTitle: Returns\nlanguage: no\nsource: ~")
    assert (body.title, body.language, body.source) == ("Returns", "no", "")


@pytest.mark.parametrize(
    "lines",
    ["x: " + "[" * 5_000, 'title: "\\UFFFFFFFF"', "- a", "title: [", "title: " + "a" * 20_000],
    ids=["brackets", "no character", "a list", "open", "long"],
)
def test_front_matter_that_cannot_be_read_is_refused_in_one_line(lines: str) -> None:
    with pytest.raises(Rejected, match=r"^page\.md: the front matter [^\n]*$"):
        with_front(lines)
