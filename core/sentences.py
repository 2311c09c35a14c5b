"""Cuts running text into sentences, also while it is still being written."""

import re
import unicodedata

MAX_CHARS = 1_000
_END = re.compile(
    r"""(?:
          (?P<full> [。！？｡؟۔।॥…።။។‼⁇]+ )          # ends a sentence wherever it stands
        | (?P<dot> [.!?]+ (?= [\s"”’»)\]\[」』【［] | $ ) )  # only before a gap
        )
        ["”’»)\]」』]*                              # what closes with the sentence
        (?: \s* [\[【［] \s* \d{1,2} (?: \s* , \s* \d{1,2} )* \s* [\]】］] )*   # its source marks
        | \n+
    """,
    re.VERBOSE,
)
_OPEN_MARK = re.compile(r"[\[【［]\s*[\d,\s]*$")
_LONGEST_ABBREVIATION = 20
_LAST_WORD = re.compile(r"(?P<word>[^\s(\[\"“„«]+)$")
# Two sentences left together are checked as one, which is harmless; half a sentence is not.
_ABBREVIATIONS_TEXT = """
    approx art av bspw bzw ca cf co corp dept dr etc evtl fig ggf hr inc inkl jr ltd m max
    mio min mme mr mrs ms mwst no nr núm núms p pag pág prof s sr sra srta st str tel tlf u
    usw v vgl vs zzgl г гг др напр п пр п.п рис руб см ст стр т тел ул e.g i.e z.b d.h u.a
    p.ej т.д т.п т.е т.к a.m p.m
"""
_ABBREVIATIONS = frozenset(_ABBREVIATIONS_TEXT.split())


def _breaks(text: str, start: int, match: re.Match[str]) -> bool:
    """Whether a full stop ends a sentence; it may also belong to a number or an abbreviation."""
    if match["dot"] != ".":
        return True
    # From where the sentence begins, each stop in a long one would go through all of it again.
    start = max(start, match.start() - _LONGEST_ABBREVIATION)
    before = _LAST_WORD.search(text, start, match.start())
    word = before["word"].casefold() if before else ""
    if len(word) == 1 and (word in "%‰°" or unicodedata.category(word) == "Sc"):
        return True  # "It costs 8 €. Until then ..."
    if len(word) <= 1 or word in _ABBREVIATIONS:
        return False
    # "3. Mai", "2. Open the app": an ordinal or the number of a step
    return not (len(word) <= 2 and word.isdigit())


def _ends(text: str) -> list[int]:
    ends = [0]
    for match in _END.finditer(text):
        if _breaks(text, ends[-1], match):
            ends.append(match.end())
    return ends[1:]


def split(text: str) -> list[str]:
    """The sentences of `text`, each with the white space after it; joined they are `text`."""
    splitter = Splitter()
    return splitter.feed(text) + splitter.rest()


class Splitter:
    """Takes a text piece by piece and gives each sentence out once it is surely complete."""

    def __init__(self) -> None:
        """Start with nothing read."""
        self._text = ""

    def feed(self, piece: str) -> list[str]:
        """Add a piece; return the sentences that it completed."""
        self._text += piece
        done: list[str] = []
        start = 0
        for end in _ends(self._text):
            after = self._text[end:]
            following = after.lstrip()
            if not following or _OPEN_MARK.match(following):
                break  # more white space or a source mark may still follow
            stop = end + len(after) - len(following)
            done.append(self._text[start:stop])
            start = stop
        self._text = self._text[start:]
        while len(self._text) > MAX_CHARS:
            done.append(self._text[:MAX_CHARS])
            self._text = self._text[MAX_CHARS:]
        return [sentence for sentence in done if sentence]

    def rest(self) -> list[str]:
        """What is left when the text has ended."""
        rest, self._text = self._text, ""
        return [rest] if rest.strip() else []
