"""A line of the transcript in the form that the page shows."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from urllib.parse import urlsplit

import regex
from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml
from markdown_it.renderer import RendererHTML
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from pydantic import BaseModel, ConfigDict

from core.adapters.transcript import Line
from core.language import autonym
from core.survey import STARS
from core.turn import Author
from retrieval.loaders.markup import keep_numbers

# Chinese and Japanese put no space behind an address: what ends a sentence or a quotation ends it.
_SIGN = r"[\p{L}\p{M}\p{N}!#$%&'*+,\-./:;=?@_~]"
_ADDRESS = regex.compile(
    rf"((?i:https?)://(?:{_SIGN}|\({_SIGN}*\))+(?<![!'*,.:;?])"
    r"|(?<![\w.%+-])[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]{1,250}\.[A-Za-z0-9-]*[A-Za-z])"
)


class _Citation(BaseModel):
    document: str
    title: str
    passage: str = ""
    source: str = ""
    language: str = ""


class _Details(BaseModel):
    """What the delivery wrote about a reply; an agent's line has some of it."""

    model_config = ConfigDict(extra="ignore")

    turn: int | None = None
    outcome: str = ""
    citations: tuple[_Citation, ...] = ()
    choices: tuple[str, ...] = ()
    asks_rating: bool = False
    sender: str = ""
    offer_languages: tuple[str, ...] = ()


def shown(line: Line) -> dict[str, object]:
    """What the customer may know of a line: no probability, no model, no reason."""
    details = _Details.model_validate_json(line.details)
    return {
        "id": line.id,
        # What the browser called it: only the browser that wrote it waits for this.
        "key": line.event_id.rpartition(":")[2],
        "author": line.author,
        "language": line.language,
        "text": line.text,
        "html": _html(line),
        "turn": details.turn,
        "helpful": None if line.rating is None else line.rating > 0,
        "outcome": details.outcome,
        "citations": _sources(details.citations),
        "choices": list(details.choices),
        "ratings": list(STARS) if details.asks_rating else [],
        "sender": details.sender,
        "languages": [{"tag": tag, "name": autonym(tag)} for tag in details.offer_languages],
    }


def _html(line: Line) -> str:
    if line.author is Author.CUSTOMER:
        return ""
    return as_html(line.text) if line.author is Author.BOT else str(_literal().render(line.text))


def _sources(citations: Sequence[_Citation]) -> list[dict[str, str]]:
    """One for each document, with every passage of it."""
    passages: dict[str, list[str]] = {}
    for each in citations:
        passages.setdefault(each.document, []).append(each.passage)
    first = {each.document: each for each in reversed(citations)}
    return [_source(first[document], "\n\n".join(texts)) for document, texts in passages.items()]


def _source(citation: _Citation, text: str) -> dict[str, str]:
    return {
        "title": citation.title,
        "html": as_html(text),
        "language": citation.language,
        "href": citation.source if is_web_address(citation.source) else "",
    }


def is_web_address(url: str) -> bool:
    """Whether a reader can safely open it: no scripts, no files."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.netloc)


def as_html(text: str) -> str:
    """Markdown as HTML that holds no tag, link or picture other than the few we make."""
    return str(_markdown().render(text))


def _may_link(url: str) -> bool:
    return is_web_address(url) or url.startswith(("mailto:", "tel:"))


@lru_cache(maxsize=1)
def _markdown() -> MarkdownIt:
    markdown = _linking(MarkdownIt("commonmark", {"html": False, "breaks": True}).use(keep_numbers))
    markdown.enable("table").disable(["html_block", "html_inline"])
    # A picture would tell its server who reads this: its description stands in for it.
    markdown.add_render_rule("image", _describe_image)
    # A message is no document of its own: its headings must not join those of the page.
    markdown.add_render_rule("heading_open", lambda *_: "<p><strong>")
    markdown.add_render_rule("heading_close", lambda *_: "</strong></p>")
    return markdown


@lru_cache(maxsize=1)
def _literal() -> MarkdownIt:
    """What an agent wrote, letter by letter; code and links stay what they are, as in Slack."""
    markdown = _linking(MarkdownIt("zero", {"html": False, "breaks": True}))
    return markdown.enable(["newline", "fence", "backticks", "link"])


def _linking(markdown: MarkdownIt) -> MarkdownIt:
    """With safe links, also from addresses that stand as they are."""
    markdown.validateLink = _may_link  # type: ignore[method-assign]  # their way to set it
    markdown.add_render_rule("link_open", _open_link)
    markdown.core.ruler.push("addresses", _link_addresses)
    return markdown


def _link_addresses(state: StateCore) -> None:
    for block in state.tokens:
        if block.children:
            block.children = list(_linked(block.children, state.md))


def _linked(tokens: Sequence[Token], markdown: MarkdownIt) -> Iterator[Token]:
    in_link = False
    for token in tokens:
        if token.type in {"link_open", "link_close"}:
            in_link = token.type == "link_open"
        if token.type != "text" or in_link:
            yield token
            continue
        # Between two addresses stands what is none.
        for number, piece in enumerate(_ADDRESS.split(token.content)):
            text = Token("text", "", 0, content=piece)
            yield from _link(text, markdown) if number % 2 else (text,)


def _link(address: Token, markdown: MarkdownIt) -> tuple[Token, ...]:
    words = address.content
    url = markdown.normalizeLink(words if "://" in words else f"mailto:{words}")
    if not markdown.validateLink(url):
        return (address,)
    return Token("link_open", "a", 1, attrs={"href": url}), address, Token("link_close", "a", -1)


def _open_link(
    renderer: RendererHTML,
    tokens: Sequence[Token],
    index: int,
    options: OptionsDict,
    env: EnvType,
) -> str:
    tokens[index].attrSet("target", "_blank")
    tokens[index].attrSet("rel", "noopener noreferrer nofollow")
    return renderer.renderToken(tokens, index, options, env)


def _describe_image(
    renderer: RendererHTML,
    tokens: Sequence[Token],
    index: int,
    options: OptionsDict,
    env: EnvType,
) -> str:
    return escapeHtml(tokens[index].content)
