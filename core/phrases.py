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
    # Malay and Indonesian are read by each other, and short texts are taken for one another.
    "ms": "id",
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
    # Translators: to "are you a robot?"; WELCOME follows.
    BOT = _("I am an automated assistant.")
    THANKS = _("You're welcome. Is there anything else I can do for you?")
    # Translators: to "no, thank you" and to "goodbye".
    CLOSING = _("Thank you for writing to us. If you need anything else, just write again.")
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
    DESK_SAID_OTHERWISE = _(
        "Something else was sent from here before. Please check that, then send this again."
    )
    DESK_MEMBERS_ONLY = _("Only members of the desk's channel can do this.")
    DESK_NO_FILES = _("This customer's channel takes no files from us. Nothing was sent.")
    DESK_FILE_TOO_LARGE = _("{name} is larger than {limit} MB. Nothing was sent.")
    # Translators: follows a sentence that says who has the conversation.
    DESK_KEPT_AS_NOTE = _("This stays an internal note, which the customer does not read.")
    DESK_NOTE_STAYS = _("A note stays in the record as it was first written.")
    DESK_FILE_STAYS = _(
        "The customer still has the file. To take it back, delete your whole message."
    )

    # What an agent sees of a conversation on the desk of a chat platform
    DESK_WAITING = _("Waiting for an agent")
    DESK_CUSTOMER = _("Customer")
    DESK_MINE = _("My conversations")
    DESK_NOBODY_WAITS = _("Nobody is waiting.")
    DESK_AT_BOT = _("With the assistant")
    # Translators: {time} is a date and a time of day, or "3 minutes ago"; it cannot be inflected.
    DESK_SINCE = _("The customer has been waiting: {time}")
    # Translators: {time} is a date and a time of day, which cannot be inflected.
    DESK_DUE = _("Answer promised by: {time}")
    DESK_HIGH = _("High priority")
    DESK_URGENT = _("Urgent")
    DESK_TRIED = _("What the assistant tried")
    DESK_ARTICLES = _("Articles that may help")
    DESK_SUGGESTED = _("Suggested reply")
    DESK_HOW_TO = _(
        "Claim the conversation, then answer in this thread. What begins with ! stays among"
        " colleagues."
    )
    DESK_ONLY_INTERNAL = _("Internal talk is on: the customer reads nothing of this thread.")

    # Why a conversation was handed over
    WHY_ASKED = _("The customer asked for a person")
    WHY_UNSURE = _("The assistant was not sure")
    WHY_NO_KNOWLEDGE = _("No article answers this")
    WHY_FILE = _("The customer sent a file")
    WHY_FAULT = _("Something of ours was down")
    WHY_DELIVERY = _("A reply may not have arrived")
    WHY_MISSES = _("Several replies did not help")
    WHY_INSULT = _("The customer is insulting")
    WHY_NEGATIVE = _("The customer is upset")
    WHY_URGENT = _("The customer says it is urgent")
    WHY_RULE = _("A rule of yours says so")
    WHY_TAKEN = _("An agent took over")

    # What happened to a conversation, as its desk tells it
    DESK_AGAIN = _("The customer is back and waits for an agent.")
    DESK_RETURNED = _("{name} has returned the conversation to the assistant.")
    DESK_RESOLVED = _("{name} has marked the conversation as resolved.")
    DESK_RELEASED = _("{name} has put the conversation back in the queue.")
    DESK_LAPSED = _("The agent gave no sign of life, so the conversation waits for another.")
    # Translators: {time} is a date and a time of day, which cannot be inflected.
    DESK_SNOOZED = _("{name} has put the conversation off. It comes back: {time}")
    DESK_WOKEN = _("The conversation is back.")
    DESK_RATED = _("The customer's rating: {rating} of 5")
    DESK_LEFT = _("The customer has left this conversation.")
    DESK_UNDELIVERED = _("This did not reach the customer.")
    DESK_DELIVERY_UNKNOWN = _("Nobody can tell whether this reached the customer.")
    DESK_EDITED = _("This message was changed:")
    DESK_DELETED = _("This message was taken back.")
    DESK_SENT_AS_WRITTEN = _("This could not be translated. The customer reads it as written.")
    DESK_FILE_NOT_HERE = _("The file {name} could not be copied here.")

    # What an agent can press there
    DO_CLAIM = _("Claim")
    DO_RESOLVE = _("Resolve")
    DO_RETURN = _("Return to assistant")
    DO_SNOOZE = _("Snooze for an hour")
    DO_WAKE = _("Bring back now")
    DO_USE = _("Send as it is")
    DO_EDIT = _("Edit and send")
    DO_DISCARD = _("Discard")
    DO_TALK_INTERNALLY = _("Internal talk: on")
    DO_TALK_TO_CUSTOMER = _("Internal talk: off")
    DO_OPEN = _("Open")

    # What an agent in a Telegram group is told
    # Translators: {mark} is what to begin with, such as //; {command} is one such as /delete.
    DESK_HELP = _(
        "Once you have claimed a conversation, the customer receives what you write here. To write"
        " to the team only, begin with {mark} or reply to a colleague. To take something back,"
        " reply to it with {command}."
    )
    DESK_HOW_TO_EDIT = _("Copy the suggestion, change it, and send it as a reply to this message.")
    DESK_SENT_STAYS = _(
        "What the customer has received stays as it was. To take it back, reply to it with"
        " {command}."
    )
    DESK_NO_ANONYMOUS = _(
        "Please write under your own name: messages of anonymous admins and of channels are not"
        " passed on."
    )
    DESK_STALE = _(
        "This conversation has changed in the meantime. Please look at its newest state."
    )

    # What a night has found, where people decide what goes live
    # Translators: {version} is a name such as encoder-2027-01-31, a new version of the assistant.
    NIGHT_ASKS = _("A new version has passed its checks and waits for your decision: {version}")
    # Translators: {turns} is a number.
    NIGHT_TURNS = _("Tried with customers' questions that it had never seen: {turns}")
    # Translators: two percentages follow, before and after.
    NIGHT_RIGHT = _("Right answers")
    NIGHT_WRONG = _("Wrong answers")
    NIGHT_HANDED_OVER = _("Handed over to a person")
    # Translators: {language} is a name such as "Deutsch" or "中文", which cannot be inflected.
    NIGHT_WORST = _("Language that gains least: {language}")
    # Translators: {where} is a web address, or a command to type.
    NIGHT_REPORT = _("The whole report: {where}")
    NIGHT_STARTED = _("This version is being put into service. That can take some minutes.")
    NIGHT_IN_SERVICE = _("This version was put into service.")
    NIGHT_REFUSED = _("This version was refused.")
    NIGHT_WITHDRAWN = _("This version can no longer be put into service.")
    # Translators: {reason} is a sentence in English.
    NIGHT_FAILED = _("This version could not be put into service: {reason}")
    # Translators: {name} is a person's.
    NIGHT_DECIDED_BY = _("Decided by: {name}")
    NIGHT_ADMINS_ONLY = _("Only an admin of this desk can decide that.")
    DO_PROMOTE = _("Put into service")
    DO_REFUSE = _("Refuse")

    # What a new version has to show
    CHECK_TURNS = _("Enough questions")
    CHECK_COMPUTED = _("Everything could be computed")
    CHECK_BETTER = _("Better beyond chance")
    CHECK_LANGUAGES = _("Worse in no language")
    CHECK_SETTLED = _("As many questions settled")
    CHECK_SPOKEN = _("Replies in the customer's language")
    CHECK_VERBATIM = _("As often in its own words")
    CHECK_PRECISION = _("As often right as is wanted")
    CHECK_GOLDEN = _("Golden conversations")
    CHECK_SAFETY = _("Safety")
    CHECK_TRIGGERS = _("No trigger phrases")
    CHECK_SPEED = _("Speed")

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
    ASK_BEFORE_NEW = _(
        "Our team is still seeing to this conversation. If you start a new one, you will not see"
        " their answer here."
    )
    # Translators: a button; the other one says "New conversation".
    STAY = _("Stay here")
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


def _name(language: str) -> str:
    """The catalogue that serves a language, `en` where none does."""
    # Not gettext.translation: its own expansion of names tries zh before zh_Hant for zh_Hant_HK.
    return next((name for name in _names(language) if name in _translated()), "en")


@lru_cache(maxsize=64)
def _catalogue(language: str) -> gettext.NullTranslations:
    name = _name(language)
    if name == "en":
        return gettext.NullTranslations()
    with (LOCALE_DIR / name / "LC_MESSAGES" / "dragoman.mo").open("rb") as compiled:
        return gettext.GNUTranslations(compiled)


def said_in(language: str) -> str:
    """The tag of what `say` says in a language: its own with its region, or another's."""
    tag, name = language.replace("_", "-"), _name(language).replace("_", "-")
    return tag if tag.partition("-")[0].lower() == name.partition("-")[0] else name


def say(phrase: Phrase, language: str, /, **fields: object) -> str:
    """The phrase in the language that a BCP 47 tag names, English where we have no catalogue.

    Raises: KeyError: a field that the phrase names is missing.
    """
    return _catalogue(language).gettext(phrase.value).format(**fields)
