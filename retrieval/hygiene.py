"""Text as we keep it: NFC, without characters that hide things from a reader."""

import re
import unicodedata

# Tags spell ASCII invisibly; the rest hides, joins or turns text around without being seen.
# ZWJ and ZWNJ (U+200D, U+200C) stay: Persian, Hindi and emoji are misspelt without them.
_INVISIBLE = re.compile(
    "[\U000e0000-\U000e007f\u200b\u2060-\u2064\u2066-\u206f\u202a-\u202e\ufeff\u00ad\u180e\ufff9-\ufffb]"
)
# Half of a pair (U+D800 to U+DFFF) is no character, and cannot be kept.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_SELECTORS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]+")
_BREAK = re.compile("\r\n?|\u2028|\u2029|\x85")
_SPACE = re.compile("[ \t\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]+")


def clean(text: str) -> str:
    """Return `text` in NFC with line feeds for breaks, invisible characters dropped."""
    text = _BREAK.sub("\n", text)
    text = _INVISIBLE.sub("", _CONTROL.sub("", text))
    return unicodedata.normalize("NFC", _SELECTORS.sub(_honest_selector, text))


def tidy(text: str) -> str:
    """Clean `text`, then squeeze spaces within lines, with one empty line at most in a row."""
    lines = (_SPACE.sub(" ", line).strip() for line in clean(text).split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _honest_selector(run: re.Match[str]) -> str:
    """Keep one selector after a symbol, digit or ideograph; any other carries hidden data."""
    if len(run.group()) > 1 or run.start() == 0:
        return ""
    bearer = unicodedata.category(run.string[run.start() - 1])
    return run.group() if bearer in {"So", "Sm", "Sk", "Po", "Nd", "Lo"} else ""
