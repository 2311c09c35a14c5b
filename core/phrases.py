"""Every sentence of ours that a customer reads, in their language."""

import gettext
from enum import StrEnum
from functools import cache, lru_cache
from pathlib import Path

LOCALE_DIR = Path(__file__).parent / "locale"

# Tags whose readers are served by a catalogue of another name.
_SERVED_BY = {
    "zh_TW": "zh_Hant",
    "zh_HK": "zh_Hant",
    "zh_MO": "zh_Hant",
    "yue": "zh_Hant",
    "no": "nb",
    "nn": "nb",
    "iw": "he",
    "in": "id",
}


def _(text: str) -> str:
    """Mark a text for extraction into the catalogues."""
    return text


class Phrase(StrEnum):
    """The English text, which is also the key in `core/locale/*/LC_MESSAGES/dragoman.po`."""

    # Replies of the bot
    GREETING = _("Hello! How can I help you?")
    WELCOME = _(
        "Ask me anything about our products and services, in your own language. I answer from our"
        " help articles and name the source. If I do not know, I pass you to a person."
    )
    THANKS = _("You're welcome. Is there anything else I can do for you?")
    ASK_FOR_WORDS = _(
        "Please describe your question in a few words, so that I can find the answer."
    )
    WHICH_ONE = _("I found several articles that may help. Which one do you mean?")
    # Translators: name your own language here, not English.
    LANGUAGE_SET = _("I will answer in English from now on.")
    OTHER_LANGUAGE = _("Would you like another language?")
    # Translators: {language} is a name such as "Deutsch" or "中文", which cannot be inflected.
    FOREIGN_ARTICLE = _("This article is only available in {language}:")
    SOURCE = _("Source")
    HANDOFF_UNSURE = _(
        "I am not sure about this one, so I am passing it to a person. They will answer you here."
    )
    HANDOFF_ASKED = _("I am passing you to a person. They will answer you here.")
    HANDOFF_FAULT = _(
        "Something went wrong on our side, so I am passing your message to a person. They will"
        " answer you here."
    )
    HANDOFF_FILE = _(
        "Thank you, I have received your file. I cannot look into it myself, so I am keeping it for"
        " a person, who will answer you here."
    )
    HANDOFF_VOICE = _(
        "Thank you for your voice message. I cannot listen to it myself, so I am keeping it for a"
        " person, who will answer you here."
    )
    HANDOFF_UPSET = _(
        "I am sorry about this. I am passing you to a person. They will answer you here."
    )
    HANDOFF_URGENT = _(
        "I understand that this is urgent, so I am passing you to a person. They will answer you"
        " here."
    )
    # Translators: {time} is a date and a time of day, which cannot be inflected.
    EXPECT_BY = _("You can expect an answer by {time}.")
    # Translators: {time} is a date and a time of day, which cannot be inflected.
    CLOSED_UNTIL = _("We are closed until {time}.")
    UNTRANSLATED = _("This message could not be translated, so you see it as it was written.")
    PERSON_JOINED = _("A person from our team is with you now.")
    PERSON_AWAY = _(
        "The person who was helping you is away at the moment. Somebody else from our team will"
        " answer you here."
    )
    BOT_RETURNED = _(
        "Our team has passed you back to me. Ask me anything else you would like to know."
    )
    RESOLVED = _(
        "Our team has marked your question as resolved. If anything is missing, just write again."
    )
    RATE_US = _(
        "How satisfied are you with the help you received? Please choose a number from 1 (not at"
        " all) to 5 (very satisfied)."
    )
    RATING_THANKS = _(
        "Thank you for your rating. If you would like to tell us more about it, just write it here."
    )
    STILL_WAITING = _("Your message is with our team. A person will answer you here.")
    TOO_LONG = _("This message is too long for me. Please keep it under {limit} characters.")
    TOO_FAST = _("You are writing faster than I can answer. Please wait a moment and try again.")
    FEEDBACK_THANKS = _("Thank you for your feedback.")

    # Buttons and menus
    TALK_TO_PERSON = _("Talk to a person")
    HELPFUL = _("Helpful")
    NOT_HELPFUL = _("Not helpful")
    CHOOSE_LANGUAGE = _("Choose a language")
    ASK_A_QUESTION = _("Ask a question")
    WHAT_I_CAN_DO = _("What I can do")
    # Translators: follows the name of the bot.
    LOOKING_UP = _("is looking that up…")
    PROMPT_RETURN = _("How do I return an item?")
    PROMPT_ORDER = _("Where is my order?")
    PROMPT_PAYMENT = _("Which payment methods can I use?")

    # What an agent is told first
    WROTE = _("The customer wrote: {text}")
    ANSWERED_FROM = _("The bot answered from: {titles}")
    ASKED_WHICH = _("The bot asked which article was meant: {titles}")
    HAD_NO_ANSWER = _("The bot had no answer.")

    # Why an agent cannot do something
    DESK_UNKNOWN = _("There is no such conversation.")
    # Translators: {name} is the agent who has it.
    DESK_TAKEN = _("{name} has this conversation.")
    DESK_NOT_CLAIMED = _("Nobody has claimed this conversation yet. Please claim it first.")
    DESK_WITH_BOT = _("The assistant has this conversation. Please take it over first.")
    DESK_CLOSED = _("This conversation is closed.")
    DESK_ONLY_READS = _("You may read here, but not write.")
    DESK_NOT_YOURS = _("Only the person who wrote this message can change it.")
    DESK_EMPTY = _("There is nothing to send.")

    # The chat page
    PAGE_TITLE = _("Customer support")
    MESSAGE_BOX = _("Write a message")
    SEND = _("Send")
    YOU = _("You")
    ASSISTANT = _("Assistant")
    TEAM = _("Our team")
    WRITING = _("The assistant is writing…")
    OFFLINE = _("The connection is lost. Trying again…")
    NOT_SENT = _("This message could not be sent. Please try again.")
    NEW_CONVERSATION = _("New conversation")
    NO_SCRIPT = _("This page needs JavaScript to show replies as they arrive.")


def _names(language: str) -> list[str]:
    """Catalogues to try for a BCP 47 tag in any case, closest first: `pt-br` is pt_BR, then pt."""
    first, *rest = language.replace("_", "-").split("-")
    parts = [first.lower(), *(part.title() if len(part) == 4 else part.upper() for part in rest)]
    names = ("_".join(parts[:length]) for length in range(len(parts), 0, -1))
    return [_SERVED_BY.get(name, name) for name in names]


@cache
def _translated() -> frozenset[str]:
    return frozenset(path.name for path in LOCALE_DIR.iterdir())


@lru_cache(maxsize=64)
def _catalogue(language: str) -> gettext.NullTranslations:
    # Not gettext.translation: its own expansion of names tries zh before zh_Hant for zh_Hant_HK.
    for name in _names(language):
        if name in _translated():
            with (LOCALE_DIR / name / "LC_MESSAGES" / "dragoman.mo").open("rb") as compiled:
                return gettext.GNUTranslations(compiled)
    return gettext.NullTranslations()


def say(phrase: Phrase, language: str, /, **fields: object) -> str:
    """The phrase in the language that a BCP 47 tag names, English where we have no catalogue.

    Raises: KeyError: a field that the phrase names is missing.
    """
    return _catalogue(language).gettext(phrase.value).format(**fields)
