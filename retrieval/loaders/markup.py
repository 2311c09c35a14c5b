"""HTML and Markdown to plain text with headings."""

import re
from collections.abc import Iterator

import yaml
from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from mdit_py_plugins.front_matter import front_matter_plugin
from selectolax.lexbor import LexborHTMLParser, LexborNode

from core.errors import Rejected
from retrieval.loaders.drafts import Body

_BLOCK = re.compile(
    "address|article|aside|blockquote|button|dd|details|div|dl|dt|figcaption|figure|footer|form"
    "|header|hr|main|ol|p|section|summary|table|td|th|ul"
)
_SILENT = (
    "script, style, noscript, template, iframe, object, svg, head, nav, dialog,"
    " [role=navigation], [role=dialog], [role=alertdialog], input, select, textarea, datalist"
)
# Some systems make the whole page one form.
_FRAME = ", ".join(
    f"{parent} > {part}"
    for parent in ("body", "body > form")
    for part in ("header", "footer", "aside")
)
_HEADINGS = "h1, h2, h3, h4, h5, h6"
_HEADING = re.compile(r"h[1-6]")
_MARKS = re.compile(r"^(#{1,6} )", re.MULTILINE)
# What an accordion shows while its answers are folded up.
_QUESTION = {"h1", "h2", "h3", "h4", "h5", "h6", "dt", "summary"}
_ASKING = f"{_HEADINGS}, dt, button"
# Deeper trees come from machines that mean harm; the walk below is recursive.
_MAX_DEPTH = 150
# A few lines stand there; brackets in brackets take the longer, the more there are.
_MAX_FRONT_CHARS = 20_000
_NULL = "tag:yaml.org,2002:null"
_TOO_DEEP = " > ".join("*" * _MAX_DEPTH)


def markdown_body(text: str, name: str) -> Body:
    """Read Markdown, its front matter included.

    Raises: Rejected: the front matter is no YAML mapping.
    """
    parser = MarkdownIt("commonmark").enable("table").use(front_matter_plugin).use(keep_numbers)
    tokens = parser.parse(text)
    front: dict[str, str] = {}
    if tokens and tokens[0].type == "front_matter":
        front = _front_matter(tokens[0].content, name)
    body = html_body(parser.renderer.render(tokens, parser.options, {}), name)
    return Body(
        text=body.text,
        title=front.get("title", "") or body.title,
        language=front.get("language", "") or front.get("lang", ""),
        source=front.get("source", "") or front.get("url", ""),
    )


def keep_numbers(parser: MarkdownIt) -> None:
    """Have items keep the numbers they were written with: a date can begin a line as well.

    Where each of a list is a 1, they are left to be counted.
    """
    parser.core.ruler.push("keep_numbers", _keep_numbers)


def _keep_numbers(state: StateCore) -> None:
    lists: list[list[Token]] = []
    for token in state.tokens:
        if token.type.endswith("_list_open"):
            lists.append([])
        elif token.type == "list_item_open":
            lists[-1].append(token)
        elif token.type.endswith("_list_close"):
            items = lists.pop()
            if any(item.info not in {"", "1"} for item in items):
                for item in items:
                    item.attrSet("value", item.info)


def _front_matter(content: str, name: str) -> dict[str, str]:
    """What stands there as written, but for lists and the like, which are left out.

    No value is made of it: `language: no` is Norwegian rather than false, no date can be wrong, and
    no alias is put in for another until memory is full.
    """
    if len(content) > _MAX_FRONT_CHARS:
        raise Rejected(f"{name}: the front matter is longer than {_MAX_FRONT_CHARS} characters")
    try:
        front = yaml.compose(content, Loader=yaml.SafeLoader)
    # Others than its own come from an escape that is no character, and from brackets in brackets.
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        raise Rejected(f"{name}: the front matter between the --- lines is not YAML") from error
    if front is None:
        return {}
    if not isinstance(front, yaml.MappingNode):
        raise Rejected(f"{name}: the front matter must be lines of the form `title: …`")
    return {
        key.value.lower(): "" if value.tag == _NULL else value.value
        for key, value in front.value
        if isinstance(key, yaml.ScalarNode) and isinstance(value, yaml.ScalarNode)
    }


def html_body(html: str, name: str) -> Body:
    """Read HTML: the main part of the page, without menus, fields or scripts.

    Raises: Rejected: the elements are nested too deeply to be a page.
    """
    tree = LexborHTMLParser(html)
    title = tree.css_first("title")
    page = tree.css_first("html")
    language = (page.attributes.get("lang") or "") if page else ""
    titled = " ".join(title.text().split()) if title else ""
    _drop(tree.css(_SILENT))
    if tree.css_first(_TOO_DEEP) is not None:
        raise Rejected(f"{name}: the page is nested more than {_MAX_DEPTH} levels deep")
    _prune(tree)
    _number(tree)
    root = tree.css_first("main") or tree.css_first("article") or tree.body
    if root is None:
        return Body(text="", title=titled, language=language)
    first = root.css_first("h1")
    return Body(
        text="".join(_walk(root)),
        title=(_line(first) if first else "") or titled,
        language=language,
    )


def _drop(nodes: list[LexborNode]) -> None:
    """Inner nodes go first, since outer ones take them along."""
    for node in reversed(nodes):
        node.decompose()


def _prune(tree: LexborHTMLParser) -> None:
    """Take out what no reader is meant to see, but nothing that a click unfolds."""
    _drop(tree.css(_FRAME))
    controlled = {
        name
        for node in tree.css("[aria-controls]")
        for name in (node.attributes["aria-controls"] or "").split()
    }
    hidden = tree.css("[hidden], [aria-hidden=true]")
    _drop([node for node in hidden if not _unfolds(node, controlled)])
    answers = {
        node.id for node in tree.css("[id]") if node.id in controlled and not _only_links(node)
    }
    _drop([node for node in tree.css("button") if not _asks(node, answers)])
    _drop([node for node in tree.css("form label") if not _is_question(node)])
    _drop([form for form in tree.css("form") if not _tells(form)])
    # An address in a heading would stand in the title.
    for heading in tree.css(_HEADINGS):
        heading.unwrap_tags(["a"])


def _unfolds(node: LexborNode, controlled: set[str]) -> bool:
    """Whether a hidden part is an answer that is shown on a click, and no menu."""
    # A search finds the node itself as well.
    first = node.css_first("p, li, dd")
    holds_text = first is not None and first != node
    answer = node.id in controlled or holds_text or _below_question(node)
    return answer and not _only_links(node)


def _below_question(node: LexborNode) -> bool:
    above = node.prev
    while above is not None and not above.is_element_node:
        above = above.prev
    if above is None or not _BLOCK.fullmatch(node.tag or ""):
        return False
    return above.css_matches(_ASKING) or above.css_first(_ASKING) is not None


def _only_links(node: LexborNode) -> bool:
    texts = (part for part in node.traverse(include_text=True) if part.is_text_node)
    return all(_above(text, {"a"}) for text in texts if (text.text_content or "").strip())


def _asks(button: LexborNode, answers: set[str]) -> bool:
    """Whether a button is the question that an answer hangs on."""
    controls = (button.attributes.get("aria-controls") or "").split()
    return _is_question(button) or not answers.isdisjoint(controls)


def _is_question(node: LexborNode) -> bool:
    """Whether a heading has its words from this node, which else may just say "Copy"."""
    heading = _above(node, _QUESTION)
    return heading is not None and 2 * len(_line(node)) >= len(_line(heading))


def _above(node: LexborNode, tags: set[str]) -> LexborNode | None:
    above = node.parent
    while above is not None and above.tag not in tags:
        above = above.parent
    return above


def _tells(form: LexborNode) -> bool:
    """Whether a form has more to say than the names of its fields."""
    return any(node.text().strip() for node in form.css(f"{_HEADINGS}, p"))


def _number(tree: LexborHTMLParser) -> None:
    """Give each step the number that a browser would show, as its `value`."""
    for steps in tree.css("ol"):
        number = _integer(steps.attributes.get("start"), 1)
        for step in steps.iter():
            if step.tag == "li":
                number = _integer(step.attributes.get("value"), number)
                step.attrs["value"] = str(number)
                number += 1


def _integer(text: str | None, otherwise: int) -> int:
    return int(text) if text and re.fullmatch(r"-?[0-9]{1,9}", text) else otherwise


def _walk(node: LexborNode) -> Iterator[str]:
    """Yield the text of a node's children, blocks on lines of their own."""
    child = node.child
    while child is not None:
        if child.is_text_node:
            yield re.sub(r"\s+", " ", child.text_content or "")
        elif child.is_element_node:
            yield from _element(child)
        child = child.next


def _element(node: LexborNode) -> Iterator[str]:
    tag = node.tag or ""
    if _HEADING.fullmatch(tag):
        line = _line(node)
        yield f"\n\n{'#' * int(tag[1])} {line}\n\n" if line else "\n\n"
    elif tag == "br":
        yield "\n"
    elif tag == "pre":
        yield f"\n\n{_unheaded(node.text())}\n\n"
    elif tag == "li":
        yield _item(node)
    elif tag == "tr" and not _is_layout(node):
        yield "\n" + " | ".join(_line(cell) for cell in node.iter() if cell.tag in {"td", "th"})
    elif tag == "a":
        yield from _walk(node)
        yield _address(node)
    else:
        gap = "\n\n" if _stands_alone(node) else ""
        yield gap
        yield from _walk(node)
        yield gap


def _stands_alone(node: LexborNode) -> bool:
    """A list within a list item continues it."""
    nested = node.parent is not None and node.parent.tag == "li" and node.tag in {"ul", "ol"}
    return not nested and _BLOCK.fullmatch(node.tag or "") is not None


def _is_layout(row: LexborNode) -> bool:
    """Old pages arrange their parts in a table."""
    return row.css_first("table, h1") is not None


def _item(item: LexborNode) -> str:
    """An item behind its number or dash, which stands on the line of its first words."""
    words = "".join(_walk(item)).lstrip()
    if not words:
        return ""
    step = item.parent is not None and item.parent.tag == "ol"
    number = f"{item.attributes.get('value')}. " if step else ""
    if _MARKS.match(words):
        return "\n\n" + _MARKS.sub(lambda marks: marks[1] + number, words, count=1)
    return f"\n{number or '- '}{words}"


def _line(node: LexborNode) -> str:
    """The words of a heading or a cell on one line."""
    return " ".join(_MARKS.sub("", "".join(_walk(node))).split())


def _unheaded(code: str) -> str:
    """Comments of code would be read as headings later; without the blank they stay comments."""
    return re.sub(r"^([^\S\n]*#{1,6})[^\S\n]+", r"\1", code, flags=re.MULTILINE)


def _address(link: LexborNode) -> str:
    return address_behind(link.text(), link.attributes.get("href") or "")


def address_behind(words: str, address: str) -> str:
    """Where a link leads, unless its words say so already or it stays on the page."""
    address = address.strip()
    if not address.startswith(("https://", "http://", "mailto:")):
        return ""
    address = address.removeprefix("mailto:")
    return "" if address in words else f" ({address})"
