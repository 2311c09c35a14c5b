"""A reply turned into Telegram messages."""

import html
import json
import re
from dataclasses import asdict, dataclass, replace
from itertools import chain

from bots.telegram.buttons import Button, Keyboard, keyboard
from bots.telegram.carrying import MAX_CAPTION_UNITS, Load, takes_words
from bots.telegram.splitting import MAX_UNITS, split, units
from bots.telegram.texts import readable
from core.phrases import Phrase, say
from core.turn import Answer, Attachment, Channel, Outcome, Passage, Served, Turn, Words

MAX_TITLE_CHARS = 120
MAX_SOURCES = 3

# What Telegram would turn into a link, a mention or a command by itself. Chinese and Japanese put
# no space behind an address; within a host their full stop is a dot like any other (UTS 46).
_LIVE = re.compile(
    r"""[a-z][a-z0-9+.-]{1,20}://[^\s/]+(?:/[^\s。，、！？；：）」』》】]*)?
      | (?<![\w@])@\w{3,}
      | (?<![\w/])/[a-z]\w{0,31}(?:@\w+)?
      | (?<!\w)(?:[^\W_][\w-]{0,62}\.)+[^\W\d_]{2,}(?:[:/?\#]\S*)?""",
    re.IGNORECASE | re.VERBOSE,
)
_TRAILING = ".,;:!?)]}»”\"'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """One message to send; `plain` is what remains if Telegram cannot read the HTML.

    With a `file` the text stands under it; its channel is Telegram where it names none. In a group
    it is shown as an answer to the message `reply_to`.
    """

    html: str
    plain: str
    buttons: Keyboard = ()
    file: Attachment | None = None
    reply_to: int | None = None

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
            file=Attachment(**fields["file"]) if fields.get("file") else None,
            # Not in what an older version has left in the outbox.
            reply_to=fields.get("reply_to"),
        )

    @property
    def load(self) -> Load | None:
        """The file to be carried, if there is one."""
        if self.file is None:
            return None
        origin = Channel(self.file.channel or Channel.TELEGRAM)
        return Load(file=self.file, origin=origin, caption=self.html)


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
        return html.escape(self.before) + (title if self.url else still(self.title, frozenset()))


def render(served: Served, turn: Turn) -> tuple[str, ...]:
    """Cut a reply into bodies; the sources and the buttons stand under the last.

    In a group each of them answers the customer's message: among comments on a channel's post,
    what answers none stands outside.
    """
    buttons = keyboard(served, turn.id)
    said = served.outcome
    bodies = _words(said, buttons) if isinstance(said, Words) else _reply(served, said, buttons)
    reply_to = _answered(turn)
    return tuple(replace(body, reply_to=reply_to).to_json() for body in bodies)


def _answered(turn: Turn) -> int | None:
    """The message that a reply in a group is to; of a button, the one that it stands under."""
    number = (turn.message_ref or "").partition("/")[0]
    return int(number) if turn.address.place.startswith("-") and number.isdecimal() else None


def _reply(served: Served, outcome: Outcome, buttons: Keyboard) -> tuple[Body, ...]:
    citations = outcome.citations if isinstance(outcome, Answer) else ()
    cited = frozenset(chain.from_iterable(_live(p.text) | _live(p.source) for p in citations))
    lines = _last_lines(served, citations)
    texts = [part for part in split(readable(outcome.text)) if part.strip()]
    plains = [part.strip("\n") for part in texts]
    htmls = [still(part, cited) for part in plains]
    tail = "\n\n" + "\n".join(line.plain for line in lines) if lines else ""
    tail_html = "\n\n" + "\n".join(line.html for line in lines) if lines else ""
    if plains and units(plains[-1]) + units(tail) > MAX_UNITS:
        plains.append("")
        htmls.append("")
    if not plains:
        plains, htmls = [""], [""]
    plains[-1] += tail
    htmls[-1] += tail_html
    last = len(plains) - 1
    return tuple(
        Body(html=rich, plain=plain, buttons=buttons if index == last else ())
        for index, (rich, plain) in enumerate(zip(htmls, plains, strict=True))
        if rich.strip()
    )


def _words(words: Words, buttons: Keyboard) -> tuple[Body, ...]:
    """What a person wrote, under their name; nothing where they take it back.

    It begins under the last file and goes on below, however long it is: a later change of the
    words finds each part where it was. A name alone is no message.
    """
    name = " ".join(readable(words.sender).split())[:MAX_TITLE_CHARS]
    text = readable(words.text)
    if not text.strip() and not words.attachments:
        return ()
    bodies = [Body(html="", plain="", file=file) for file in words.attachments]
    under_file = bool(words.attachments) and takes_words(words.attachments[-1])
    said: list[Body] = []
    if under_file or text.strip():
        said = _parts(name, text, MAX_CAPTION_UNITS if under_file else MAX_UNITS)
    if under_file and said:
        bodies[-1] = replace(said.pop(0), file=words.attachments[-1])
    bodies += said
    bodies[-1] = replace(bodies[-1], buttons=buttons)
    return tuple(bodies)


def _parts(name: str, text: str, first_units: int) -> list[Body]:
    """Messages of at most 4,096 units, the first of at most `first_units`."""
    whole = "\n".join(filter(None, (name, text))).strip()
    first = "".join(split(whole, first_units)[:1])
    cut = (part.strip("\n") for part in (first, *split(whole[len(first) :])))
    parts = [part for part in cut if part.strip()]
    return [_spoken(part, name if index == 0 else "") for index, part in enumerate(parts)]


def _spoken(part: str, name: str) -> Body:
    # What an agent links to may be followed; their name is no link.
    rich = html.escape(part)
    if name:
        rich = f"<b>{html.escape(name)}</b>{html.escape(part[len(name) :])}"
    return Body(html=rich, plain=part)


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


def still(text: str, cited: frozenset[str] = frozenset()) -> str:
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
