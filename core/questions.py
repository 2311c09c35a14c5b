"""What a message asks: by itself, with the one before it, or beside other things."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from core.sentences import split
from core.words import content

_MAX_FOLLOW_UP = 4
_MAX_ELLIPSIS = 2
_FOLLOW_UP = re.compile(
    r"(?:[¿¡]\s*)?(?:and|but|or|what about|how about|und|aber|oder|et|mais|y|pero|o|e|ed|ma|mas|en"
    r"|maar|и|а|но|і|але|i|oraz|ale|ve|peki|ya|dan|lalu|terus|kalau|và|còn|thế|و|ماذا عن|और|तो)"
    r"(?=[\s,])|(?:那|还有|還有|那么|那麼|じゃあ|では|あと|それと|그럼|그리고|그러면|و)"
)
# Behind one of those, these ask for something by themselves; "and what if it breaks?" does not.
_QUESTION_WORDS = re.compile(
    r"(?<!\w)(?:where|when|how|why|who|wo|wann|wie(?! ist| sieht| steht| wäre)|warum|wer|où|quand"
    r"|comment|combien|pourquoi|d[oó]nde|cu[aá]ndo|cómo|(?<!en )cu[aá]nt[oa]s?(?! al? )|por qu[eé]"
    r"|quién|onde|cadê|quando|com[oe](?= (?:faço|posso|puedo|hago|fa)(?!\w))|quem|dov|dove|perché"
    r"|quant[oaie]s?(?! (?:[aà]o?s?|a[il]|all\w*|riguarda)(?!\w))|waar|wanneer|hoe(?! zit| dan)"
    r"|hoeveel|waarom|где|когда|сколько|почему|куда|де|коли|скільки|чому|куди|gdzie|kiedy"
    r"|(?:как|як)(?= (?:\w+(?:ть|ться|ти|тися|чь)|мне|мені|долго|довго|можно|можна)(?!\w))"
    r"|jak(?! ze? )|dlaczego|nerede|ne zaman|nasıl(?= \w)|ne kadar|kaç|mana|kapan|berapa|đâu"
    r"|bagaimana(?! dengan)|khi nào|bao giờ|(?<!thì )thế nào|làm sao|bao nhiêu|bao lâu|أين|وين"
    r"|متى|كيف(?! بالنسبة)|كم|कहाँ|कहां|कब|कैसे(?= \w)|कितना|कितनी|कितने)(?!\w)"
    r"|哪|怎么(?!样)|怎麼(?!樣)|如何|多少|多久|什么时候|什麼時候|どこ|いつ|どうや|どうす|いくら"
    r"|어디|언제|어떻게|얼마"
)
_SIGNS = ("?", "？", "؟")
_CLOSING = " \n\t)]»”’\"'」』"
# More of them are a story, in which each belongs to the others.
_MOST = 3
_ENOUGH_WORDS = 2


@dataclass(frozen=True, slots=True)
class Question:
    """A question with the sentences around it; `alone` without them, empty if there are none."""

    text: str
    alone: str = ""


def questions(text: str) -> tuple[Question, ...]:
    """What a message asks, in reading order; nothing if that is more than three questions.

    One that says too little by itself ("and to Canada?") belongs to the one before. Where nothing
    is asked, what is wanted mostly stands last.
    """
    sentences = split(text)
    if not any(map(_is_question, sentences)):
        return (_question(text, sentences[-1:]),)
    parts: list[list[str]] = []
    said: list[str] = []
    for sentence in sentences:
        said.append(sentence)
        if not _is_question(sentence):
            continue
        if _says_enough("".join(said)):
            parts.append(said)
        elif parts:
            parts[-1] += said
        else:
            continue
        said = []
    if not 1 <= len(parts) <= _MOST:
        return ()
    parts[-1] += said
    return tuple(_question("".join(part), [*filter(_is_question, part)]) for part in parts)


def _question(text: str, sentences: Sequence[str]) -> Question:
    whole, alone = text.strip(), "".join(sentences).strip()
    return Question(whole, alone if alone != whole and _says_enough(alone) else "")


def _is_question(sentence: str) -> bool:
    return sentence.rstrip(_CLOSING).endswith(_SIGNS)


def _says_enough(text: str) -> bool:
    return len(content(text)) >= _ENOUGH_WORDS or _asks_by_itself(text)


def leans_on_context(text: str) -> bool:
    """Whether a message may be half a question: "and to Canada?", "how much?"."""
    carries = content(text)
    if len(carries) <= 1:
        return True
    return len(carries) <= _MAX_FOLLOW_UP and bool(_FOLLOW_UP.match(text.strip().casefold()))


def is_ellipsis(text: str) -> bool:
    """Whether a message makes no sense by itself: "and for a bicycle?"."""
    # Of a script without spaces, content is pairs of characters: about two of them to a word.
    words = sum(1 if len(word) > 2 else 0.5 for word in content(text))
    follows = _FOLLOW_UP.match(text.strip().casefold())
    return words <= _MAX_ELLIPSIS and bool(follows) and not _asks_by_itself(text)


def _asks_by_itself(text: str) -> bool:
    """Whether a question word and something to ask about stand behind the conjunctions."""
    rest = text.strip().casefold()
    while follows := _FOLLOW_UP.match(rest):
        rest = rest[follows.end() :].lstrip(" ,")
    return bool(_QUESTION_WORDS.search(rest)) and bool(content(_QUESTION_WORDS.sub(" ", rest)))
