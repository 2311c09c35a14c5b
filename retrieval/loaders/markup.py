"""HTML and Markdown to plain text with headings."""

import re
from collections.abc import Iterator

import yaml
from markdown_it import MarkdownIt
from mdit_py_plugins.front_matter import front_matter_plugin
from selectolax.lexbor import LexborHTMLParser, LexborNode

from core.errors import Rejected
from retrieval.loaders.drafts import Body

_BLOCK = re.compile(
    "address|article|aside|blockquote|dd|details|div|dl|dt|figcaption|figure|footer|header|hr"
    "|main|ol|p|section|summary|table|ul"
)
_SILENT = (
    "script, style, noscript, template, iframe, object, svg, head, nav, [hidden],"
    " [aria-hidden=true], form, button"
)
_HEADING = re.compile(r"h[1-6]")
# Deeper trees come from machines that mean harm; the walk below is recursive.
_MAX_DEPTH = 150


def markdown_body(text: str, name: str) -> Body:
    """Read Markdown, its front matter included.

    Raises: Rejected: the front matter is no YAML mapping.
    """
    parser = MarkdownIt("commonmark").enable("table").use(front_matter_plugin)
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


def _front_matter(content: str, name: str) -> dict[str, str]:
    try:
        front = yaml.safe_load(content)
    except yaml.YAMLError as error:
        raise Rejected(f"{name}: the front matter between the --- lines is not YAML") from error
    if front is None:
        return {}
    if not isinstance(front, dict):
        raise Rejected(f"{name}: the front matter must be lines of the form `title: …`")
    # YAML 1.1 reads `language: no` as false: Norwegian is meant.
    return {str(k).lower(): "no" if v is False else str(v) for k, v in front.items()}


def html_body(html: str, name: str) -> Body:
    """Read HTML: the main part of the page, without menus, forms or scripts.

    Raises: Rejected: the elements are nested too deeply to be a page.
    """
    tree = LexborHTMLParser(html)
    title = tree.css_first("title")
    page = tree.css_first("html")
    language = (page.attributes.get("lang") or "") if page else ""
    titled = title.text(strip=True) if title else ""
    for node in tree.css(_SILENT):
        node.decompose()
    for node in tree.css("body > header, body > footer, body > aside"):
        node.decompose()
    root = tree.css_first("main") or tree.css_first("article") or tree.body
    if root is None:
        return Body(text="", title=titled, language=language)
    first = root.css_first("h1")
    return Body(
        text="".join(_walk(root, name, 0)),
        title=(first.text(strip=True) if first else "") or titled,
        language=language,
    )


def _walk(node: LexborNode, name: str, depth: int) -> Iterator[str]:
    """Yield the text of a node's children, blocks on lines of their own."""
    if depth > _MAX_DEPTH:
        raise Rejected(f"{name}: the page is nested more than {_MAX_DEPTH} levels deep")
    child = node.child
    while child is not None:
        if child.is_text_node:
            yield re.sub(r"\s+", " ", child.text_content or "")
        elif child.is_element_node:
            yield from _element(child, name, depth + 1)
        child = child.next


def _element(node: LexborNode, name: str, depth: int) -> Iterator[str]:
    tag = node.tag or ""
    if _HEADING.fullmatch(tag):
        yield f"\n\n{'#' * int(tag[1])} {_line(node)}\n\n"
    elif tag == "br":
        yield "\n"
    elif tag == "pre":
        yield f"\n\n{_unheaded(node.text())}\n\n"
    elif tag == "li":
        yield f"\n{_marker(node)} "
        yield from _walk(node, name, depth)
    elif tag == "tr":
        yield "\n" + " | ".join(_line(cell) for cell in node.css("th, td"))
    elif tag == "a":
        yield from _walk(node, name, depth)
        yield _address(node)
    else:
        gap = "\n\n" if _stands_alone(node) else ""
        yield gap
        yield from _walk(node, name, depth)
        yield gap


def _stands_alone(node: LexborNode) -> bool:
    """A list within a list item continues it."""
    nested = node.parent is not None and node.parent.tag == "li" and node.tag in {"ul", "ol"}
    return not nested and _BLOCK.fullmatch(node.tag or "") is not None


def _marker(item: LexborNode) -> str:
    """The number of a step, or a dash."""
    if item.parent is None or item.parent.tag != "ol":
        return "-"
    steps = (step for step in item.parent.iter() if step.tag == "li")
    return f"{1 + next((n for n, step in enumerate(steps) if step == item), 0)}."


def _line(node: LexborNode) -> str:
    return re.sub(r"\s+", " ", node.text()).strip()


def _unheaded(code: str) -> str:
    """Comments of code would be read as headings later."""
    return re.sub(r"^(#{1,6}) ", r"\\\1 ", code, flags=re.MULTILINE)


def _address(link: LexborNode) -> str:
    """Where a link leads, unless its text says so already or it stays on the page."""
    address = (link.attributes.get("href") or "").strip()
    if not address.startswith(("https://", "http://", "mailto:")):
        return ""
    address = address.removeprefix("mailto:")
    return "" if address in link.text() else f" ({address})"
