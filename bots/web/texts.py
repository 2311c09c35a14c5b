"""The languages that the chat page can be shown in."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from core.language import autonym, is_right_to_left, is_tag, normalise_tag
from core.phrases import LOCALE_DIR, Phrase, say

PAGE_PHRASES = (
    Phrase.GREETING,
    Phrase.WELCOME,
    Phrase.SOURCE,
    Phrase.TOO_LONG,
    Phrase.TOO_FAST,
    Phrase.FEEDBACK_THANKS,
    Phrase.TALK_TO_PERSON,
    Phrase.HELPFUL,
    Phrase.NOT_HELPFUL,
    Phrase.CHOOSE_LANGUAGE,
    Phrase.PROMPT_RETURN,
    Phrase.PROMPT_ORDER,
    Phrase.PROMPT_PAYMENT,
    Phrase.PAGE_TITLE,
    Phrase.MESSAGE_BOX,
    Phrase.SEND,
    Phrase.YOU,
    Phrase.ASSISTANT,
    Phrase.TEAM,
    Phrase.WRITING,
    Phrase.OFFLINE,
    Phrase.NOT_SENT,
    Phrase.NEW_CONVERSATION,
    Phrase.ASK_BEFORE_NEW,
    Phrase.STAY,
    Phrase.NO_SCRIPT,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageLanguage:
    """A language with its own name for itself; `direction` is `ltr` or `rtl`."""

    tag: str
    name: str
    direction: str


@lru_cache(maxsize=1)
def page_languages() -> Mapping[str, PageLanguage]:
    """Every language that we have a catalogue for, by tag, in the order of their own names."""
    folders = [path.name for path in LOCALE_DIR.iterdir() if (path / "LC_MESSAGES").is_dir()]
    languages = [_described(normalise_tag(name)) for name in ("en", *folders)]
    return {each.tag: each for each in sorted(languages, key=lambda each: each.name.casefold())}


def page_language(wanted: Iterable[str | None], default: str) -> str:
    """The first of these tags that the page can be shown in, or English."""
    for tag in (*wanted, default):
        known = normalise_tag(tag or "")
        for served in (known, known.partition("-")[0]):
            if served in page_languages():
                return served
    return "en"


def is_language(tag: str) -> bool:
    """Whether it names a language that we know by name."""
    known = normalise_tag(tag)
    return autonym(known) != known


def accepted(header: str) -> tuple[str, ...]:
    """The tags of an Accept-Language header, most wanted first."""
    weighted: list[tuple[float, str]] = []
    for item in header[:500].split(","):
        tag, _, quality = item.strip().partition(";q=")
        try:
            weight = float(quality or 1)
        except ValueError:
            continue
        if is_tag(tag) and weight > 0:
            weighted.append((-weight, tag))
    return tuple(tag for _, tag in sorted(weighted, key=lambda each: each[0]))


@lru_cache(maxsize=64)
def page_texts(language: str, *, max_chars: int) -> Mapping[str, str]:
    """Every text of the page, by the name of its phrase."""
    return {phrase.name: say(phrase, language, limit=max_chars) for phrase in PAGE_PHRASES}


def _described(tag: str) -> PageLanguage:
    direction = "rtl" if is_right_to_left(tag) else "ltr"
    return PageLanguage(tag=tag, name=autonym(tag), direction=direction)
