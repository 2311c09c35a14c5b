"""A reply turned into Telegram messages."""

import html
import json
import re
from dataclasses import asdict, dataclass
from itertools import chain

from bots.telegram.buttons import Button, Keyboard, keyboard
from bots.telegram.splitting import MAX_UNITS, split, units
from bots.telegram.texts import readable
from core.phrases import Phrase, say
from core.turn import Answer, Passage, Served, Turn, Words

MAX_TITLE_CHARS = 120
MAX_SOURCES = 3

# What Telegram would turn into a link, a mention or a command by itself.
_LIVE = re.compile(
    r"""[a-z][a-z0-9+.-]{1,20}://\S+
      | (?<![\w@])@\w{3,}
      | (?<![\w/])/[a-z]\w{0,31}(?:@\w+)?
      | (?<!\w)(?:[^\W_][\w-]{0,62}\.)+[^\W\d_]{2,}(?:[:/?\#]\S*)?""",
    re.IGNORECASE | re.VERBOSE,
)
_TRAILING = ".,;:!?)]}»”\"'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """One message to send; `plain` is what remains if Telegram cannot read the HTML."""

    html: str
    plain: str
    buttons: Keyboard = ()

    def to_json(self) -> str:
        """The text that waits in the outbox."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "Body":
        """Read a text of `to_json`."""
        fields = json.loads(text)
        return cls(
            html=fields["html"],
            plain=fields["plain"],
            buttons=tuple(tuple(Button(**button) for button in row) for row in fields["buttons"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """A last line of ours; `title` is linked to `url` where there is one."""

    before: str
    title: str = ""
    url: str = ""

    @property
    def plain(self) -> str:
        return self.before + self.title

    @property
    def html(self) -> str:
        title = html.escape(self.title)
        if self.url:
            title = f'<a href="{html.escape(self.url)}">{title}</a>'
        return html.escape(self.before) + (title if self.url else _still(self.title, frozenset()))


def render(served: Served, turn: Turn) -> tuple[str, ...]:
    """Cut a reply into bodies; the sources and the buttons stand under the last."""
    outcome = served.outcome
    citations = outcome.citations if isinstance(outcome, Answer) else ()
    if isinstance(outcome, Words):
        return _words(outcome, keyboard(served, turn.id))
    cited = frozenset(chain.from_iterable(_live(p.text) | _live(p.source) for p in citations))
    lines = _last_lines(served, citations)
    texts = [part for part in split(readable(outcome.text)) if part.strip()]
    plains = [part.strip("\n") for part in texts]
    htmls = [_still(part, cited) for part in plains]
    tail = "\n\n" + "\n".join(line.plain for line in lines) if lines else ""
    tail_html = "\n\n" + "\n".join(line.html for line in lines) if lines else ""
    if plains and units(plains[-1]) + units(tail) > MAX_UNITS:
        plains.append("")
        htmls.append("")
    if not plains:
        plains, htmls = [""], [""]
    plains[-1] += tail
    htmls[-1] += tail_html
    buttons = keyboard(served, turn.id)
    last = len(plains) - 1
    return tuple(
        Body(html=rich, plain=plain, buttons=buttons if index == last else ()).to_json()
        for index, (rich, plain) in enumerate(zip(htmls, plains, strict=True))
        if rich.strip()
    )


def _words(words: Words, buttons: Keyboard) -> tuple[str, ...]:
    """What a person wrote, under their name; nothing where they take it back."""
    files = "\n".join(f"📎 {readable(file.name) or file.kind}" for file in words.attachments)
    text = "\n".join(filter(None, (readable(words.text), files)))
    if not text.strip():
        return ()
    name = " ".join(readable(words.sender).split())[:MAX_TITLE_CHARS]
    parts = [part.strip("\n") for part in split(f"{name}\n{text}" if name else text)]
    parts = [part for part in parts if part.strip()]
    bodies = []
    for index, part in enumerate(parts):
        # What an agent links to may be followed; their name is no link.
        rich = html.escape(part)
        if name and index == 0:
            rich = f"<b>{html.escape(name)}</b>{html.escape(part[len(name) :])}"
        shown = buttons if index == len(parts) - 1 else ()
        bodies.append(Body(html=rich, plain=part, buttons=shown).to_json())
    return tuple(bodies)


def _last_lines(served: Served, citations: tuple[Passage, ...]) -> list[_Line]:
    """The sources of a reply, then the offer of another language."""
    sources = {passage.document: passage for passage in reversed(citations)}
    lines = [
        _Line(
            before=f"{say(Phrase.SOURCE, served.language)}: ",
            title=_title(passage),
            url=passage.source if passage.source.startswith(("https://", "http://")) else "",
        )
        for passage in list(reversed(sources.values()))[:MAX_SOURCES]
    ]
    if served.offer_languages and isinstance(served.outcome, Answer):
        lines.append(_Line(before=say(Phrase.OTHER_LANGUAGE, served.language)))
    return lines


def _title(passage: Passage) -> str:
    title = " ".join(readable(passage.title).split()) or passage.document
    return title if len(title) <= MAX_TITLE_CHARS else title[: MAX_TITLE_CHARS - 1] + "…"


def _live(text: str) -> frozenset[str]:
    return frozenset(match[0].rstrip(_TRAILING) for match in _LIVE.finditer(text))


def _still(text: str, cited: frozenset[str]) -> str:
    """The text as HTML; what is not in the cited passages is no link, mention or command.

    Inside `code` Telegram makes nothing clickable, so that the words stay and the address is dead.
    """
    pieces = []
    done = 0
    for match in _LIVE.finditer(text):
        found = match[0].rstrip(_TRAILING)
        if found in cited or not found:
            continue
        pieces.append(html.escape(text[done : match.start()]))
        pieces.append(f"<code>{html.escape(found)}</code>")
        done = match.start() + len(found)
    return "".join(pieces) + html.escape(text[done:])
