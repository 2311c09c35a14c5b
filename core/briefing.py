"""What an agent is told first of a conversation: what the customer wants, and what was tried."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from core import facts, redaction
from core.escalation import last_question
from core.language import autonym
from core.phrases import Phrase, say
from core.sentences import split
from core.tones import Tone, tone
from core.turn import Author, Message, Passage
from core.verify import supported, visible
from core.words import normal

MAX_QUOTE_CHARS = 300
MAX_ENTITIES = 20
_LAST_TONES = 3
# A date or an amount says what it is; a bare number is one of an order where it is long.
_ORDER_DIGITS = re.compile(r"(?<![\w.,+-])\d{5,20}(?![\w.,-])")
_DATE = re.compile(
    r"\d{4}\s?[-./]\s?\d{1,2}\s?[-./]\s?\d{1,2}|\d{1,2}\s?[-./]\s?\d{1,2}\s?[-./]\s?(?:\d{4}|\d{2})"
    r"|(?:\d+\s?[年년]\s?)?\d+\s?[月월]\s?\d+\s?[日号號일]|\d{1,2}\.\s?\d{1,2}\.(?!\d)"
)
_CURRENCY = re.compile(r"[€$£¥￥₩₹₽₴₺₫฿円圆元원]")
_SHORTEST_NAME = 3
_MOST_OF_A_NAME = 60


class EntityKind(StrEnum):
    """What something is that the customer named."""

    ORDER = "order"
    EMAIL = "email"
    PHONE = "phone"
    DATE = "date"
    AMOUNT = "amount"
    PRODUCT = "product"
    LINK = "link"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """Something that the customer named, as they wrote it."""

    kind: EntityKind
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Article:
    """A document that may help the agent."""

    document: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Briefing:
    """What an agent sees first, in their language; `language` is the customer's.

    What could not be made is empty. `model` names what wrote the summary, empty where it is the
    customer's own words.
    """

    summary: str
    language: str
    tone: Tone
    tried: tuple[str, ...] = ()
    entities: tuple[Entity, ...] = ()
    articles: tuple[Article, ...] = ()
    reply: str = ""
    model: str = ""

    def as_json(self) -> str:
        """The form in which it is stored with its case."""
        return json.dumps(asdict(self), ensure_ascii=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A public line of the conversation; `read` is how the desk reads it, `details` JSON.

    `id` is the line's in the transcript, `read_in` the language that it is read in.
    """

    author: Author
    text: str
    language: str
    read: str = ""
    read_in: str = ""
    details: str = "{}"
    id: int = 0


def question(lines: Sequence[Said]) -> Said | None:
    """What the customer wants to know: the last thing they asked, else the last they wrote."""
    customers = [line for line in lines if line.author is Author.CUSTOMER and line.text.strip()]
    history = [Message(author=line.author, text=line.text, language="") for line in customers]
    asked = last_question(history).rpartition("\n")[2]
    found = [line for line in customers if asked and line.text.rpartition("\n")[2] == asked]
    return (found or customers)[-1] if customers else None


def tone_of(lines: Sequence[Said]) -> Tone:
    """The strongest tone of the customer's last messages."""
    customers = [line for line in lines if line.author is Author.CUSTOMER]
    heard = {tone(line.text) for line in customers[-_LAST_TONES:]}
    return next(each for each in Tone if each in heard or each is Tone.CALM)


def tried(lines: Sequence[Said], language: str) -> tuple[str, ...]:
    """What the bot did about it, in sentences of the desk's language, each once."""
    done = [_attempt(line, language) for line in lines if line.author is Author.BOT]
    return tuple(dict.fromkeys(filter(None, done)))


def _attempt(line: Said, language: str) -> str:
    details: Mapping[str, object] = json.loads(line.details)
    cited = details.get("citations")
    if isinstance(cited, list) and cited:
        titles = dict.fromkeys(str(one.get("title") or one.get("document")) for one in cited)
        return say(Phrase.ANSWERED_FROM, language, titles=_listed(titles))
    choices = details.get("choices")
    if isinstance(choices, list) and choices:
        return say(Phrase.ASKED_WHICH, language, titles=_listed(map(str, choices)))
    unknown = details.get("reason") in ("low_confidence", "no_knowledge")
    return say(Phrase.HAD_NO_ANSWER, language) if unknown else ""


def _listed(titles: Iterable[str]) -> str:
    return "; ".join(titles)


def extract(asked: Said | None, attempts: Sequence[str], language: str) -> str:
    """A summary without a model: the customer's own words, and what came of them."""
    if asked is None:
        return attempts[-1] if attempts else ""
    words = " ".join((asked.read or asked.text).split())
    if len(words) > MAX_QUOTE_CHARS:
        words = words[: MAX_QUOTE_CHARS - 1].rstrip() + "…"
    wrote = say(Phrase.WROTE, language, text=words)
    return "\n".join([wrote, *attempts[-1:]])


# What the customer named

_PERSONAL = {
    redaction.Type.EMAIL_ADDRESS: EntityKind.EMAIL,
    redaction.Type.PHONE_NUMBER: EntityKind.PHONE,
    redaction.Type.DOMAIN_NAME: EntityKind.LINK,
}


def entities(lines: Sequence[Said], titles: Sequence[str]) -> tuple[Entity, ...]:
    """What the customer named, each once, in the order of naming.

    Products are named in the `titles` of the knowledge. What must not be shown around, such as the
    number of a card, is left out.
    """
    found: dict[Entity, None] = {}
    products = _product_names(titles)
    for line in lines:
        if line.author is Author.CUSTOMER:
            found |= dict.fromkeys(_named(line.text, products))
    return tuple(found)[:MAX_ENTITIES]


def _named(text: str, products: Sequence[str]) -> list[Entity]:
    """Everything named in a text, in reading order; what is one thing is no other as well."""
    spans: list[tuple[int, int, EntityKind | None]] = [
        (span.start, span.end, _PERSONAL.get(span.type)) for span in redaction.find(text)
    ]
    spans += [(*span, EntityKind.DATE) for span in _spans(_DATE, text)]
    plain = facts.ascii_digits(text)
    if len(plain) == len(text):
        amounts = (number for number in facts.numbers(plain) if number.unit not in ("", "%"))
        spans += [(*_with_unit(text, n.start, n.end), EntityKind.AMOUNT) for n in amounts]
    for start, end in facts.literals(text, plain_numbers=False):
        if _CURRENCY.search(text, start, end):
            spans.append((start, end, EntityKind.AMOUNT))
        elif facts.codes(text[start:end]):
            spans.append((start, end, EntityKind.ORDER))
    spans += [(*span, EntityKind.ORDER) for span in _spans(_ORDER_DIGITS, text)]
    spans += [
        (*span, EntityKind.PRODUCT)
        for name in products
        for span in _spans(_whole(name), normal(text))
        if len(normal(text)) == len(text)
    ]
    taken: list[tuple[int, int, EntityKind | None]] = []
    for start, end, kind in spans:
        if not any(start < other_end and other < end for other, other_end, _ in taken):
            taken.append((start, end, kind))
    return [
        Entity(kind=kind, text=text[start:end])
        for start, end, kind in sorted(taken, key=lambda span: span[0])
        if kind is not None
    ]


def _spans(pattern: re.Pattern[str], text: str) -> list[tuple[int, int]]:
    return [match.span() for match in pattern.finditer(text)]


def _with_unit(text: str, start: int, end: int) -> tuple[int, int]:
    """A number with the currency that stands before or behind it."""
    before = re.search(r"[^\W\d_]{2,10}\s?$|[^\w\s]\s?$", text[:start])
    if before and facts.numbers(facts.ascii_digits(before[0] + text[start:end]))[-1].unit:
        return before.start(), end
    after = re.match(r"\s?(?:[^\W\d_]+|[^\w\s])", text[end:])
    return start, end + (after.end() if after else 0)


def _product_names(titles: Sequence[str]) -> tuple[str, ...]:
    """What titles name, longer names first."""
    named = {" ".join(run) for title in titles for run in _runs(title)}
    fitting = (name for name in named if _SHORTEST_NAME <= len(name) <= _MOST_OF_A_NAME)
    return tuple(sorted(fitting, key=lambda name: (-len(name), name)))


def _runs(title: str) -> list[list[str]]:
    """The names in a title, with the numbers and codes that go on behind them."""
    names, codes = facts.names(title, ""), facts.codes(title)
    runs: list[list[str]] = [[]]
    for word in title.split():
        bare = word.strip(",;:.!?()[]\"'“”„«»")
        if bare in names or bare.casefold() in codes or (runs[-1] and bare.isdigit()):
            runs[-1].append(bare)
        if (bare not in names and not bare.isdigit()) or bare != word:
            runs.append([])
    return [run for run in runs if run]


def _whole(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(normal(name))}(?!\w)")


# What a model wrote


def dialogue(lines: Sequence[Said]) -> str:
    """The conversation for a model to sum up, one message a line behind who wrote it."""
    return "\n".join(
        f"{line.author.value.title()}: {' '.join(visible(line.text).split())}"
        for line in lines
        if line.text.strip()
    )


def held(summary: str, lines: Sequence[Said], *, language: str) -> str:
    """The sentences of a summary whose numbers, links and names the conversation holds."""
    said = "\n".join(f"{line.text}\n{line.read}" for line in lines)
    transcript = Passage(id="", document="", title="", text=said, language="und")
    # Whoever sums up may name who spoke, and in which language.
    free = " ".join(
        ["Customer Bot Agent", *(autonym(line.language) for line in lines), autonym(language)]
    )
    kept = [
        sentence
        for sentence in split(visible(summary))
        if supported(sentence, [transcript], free, language=language, claim_holds=True).ok
    ]
    return "".join(kept).strip()
