"""Slack's own markup in a text: read from people, made harmless in replies."""

import re
import unicodedata
from collections.abc import Mapping
from types import MappingProxyType

# <@U1|ann>, <#C1|general>, <!here>, <https://a.example|label>: https://docs.slack.dev/messaging
_MARK = re.compile(r"<([^<>|\n]*)(?:\|([^<>\n]*))?>")
# What `plain` looks at one by one: code and `<…>` are left as they are there.
_TOKEN = re.compile(
    r"```.*?```|`[^`\n]+`|<[^<>\n]*>|\n"
    r"|:(?P<emoji>[^\s:<>`]+(?:::skin-tone-[2-6])?):"
    r"|(?P<sign>(?<!\*)\*(?!\*)|(?<!_)_(?!_))",
    re.DOTALL,
)
# What Slack could take for a mention, a command or a link, whatever follows.
_OPENING = re.compile(r"<(?=[!@#]|/?[A-Za-z][A-Za-z0-9+.-]*:)")
_MARKDOWN_LINK = re.compile(
    r"(?P<image>!?)\[(?P<label>[^\]\n]*)\]\((?P<url>[^()\s]+)(?:\s[^)\n]*)?\)"
)
# Chinese and Japanese put no space behind an address; within a host their full stop is a dot like
# any other (UTS 46).
_URL = re.compile(
    r"(?:https?://|www\.|mailto:)[^\s/<>()\[\]\"'`|]+(?:/[^\s<>()\[\]\"'`|。，、！？；：）」』》】]*)?",
    re.IGNORECASE,
)
# What a person's words must not be taken for in Slack's Markdown, beside code, links and addresses.
# Lists and quotations may be: they read the same.
# Source: https://docs.slack.dev/reference/block-kit/blocks/markdown-block
_MARKDOWN = re.compile(
    rf"(?P<verbatim>```.*?```|`[^`\n]+`|{_MARKDOWN_LINK.pattern}|(?:{_URL.pattern})\[?"
    r"|^[ \t]*\*(?=[ \t]))"
    r"|(?P<sign>[\\`*~\[]|(?<![^\W_])_|_(?![^\W_]))"
    r"|(?P<entity>&)(?=#?\w+;)"
    # Headings, rules, and what makes a table of the line above.
    r"|^[ \t]*(?=#{1,6}(?:\s|$)|[-|:][-|: \t]*$)",
    re.DOTALL | re.IGNORECASE | re.MULTILINE,
)
_ESCAPED = re.compile(r"\\([\\`*_~\[\]#|:-])")
# Invisible characters that can carry hidden text: tags, variation selectors of the supplement,
# zero-width and direction overrides. Joiners stay: Persian and Indic scripts and emoji need them.
_INVISIBLE = re.compile("[\u200b\u2060\ufeff\u202a-\u202e\u2066-\u2069\U000e0000-\U000e01ef]")
_TRAILING = ".,;:!?…。，、！？"


def plain(
    mrkdwn: str, *, bot_user: str = "", emoji: Mapping[str, str] = MappingProxyType({})
) -> str:
    """What somebody wrote in Slack, as they saw it, for readers elsewhere.

    The mention of the bot goes, bold and italics become plain, code stays as it is, and so does
    what is struck out: without its signs it would read as if it held. `emoji` are the signs that
    stand for names, as `emoji_in` finds them; names that it does not know stay.
    """
    pieces: list[str] = []
    opened: dict[str, int] = {}
    end = 0
    for token in _TOKEN.finditer(mrkdwn):
        pieces.append(mrkdwn[end : token.start()])
        end = token.end()
        found = token.group()
        if token["emoji"]:
            found = emoji.get(token["emoji"], found)
        elif token["sign"]:
            found = _sign(token, pieces, opened)
        elif found == "\n":
            opened.clear()
        pieces.append(found)
    pieces.append(mrkdwn[end:])
    shown = _MARK.sub(lambda mark: _shown(mark[1], mark[2], bot_user), "".join(pieces))
    return unescape(shown).strip()


def _sign(token: re.Match[str], pieces: list[str], opened: dict[str, int]) -> str:
    """What is left of a sign of bold or italics; takes out the one that it closes as well.

    Slack counts signs at the edges of words only, within a line.
    """
    sign, text = token.group(), token.string
    before = text[token.start() - 1 : token.start()]
    after = text[token.end() : token.end() + 1]
    if sign in opened and not before.isspace() and not after.isalnum():
        pieces[opened.pop(sign)] = ""
        return ""
    if after and not before.isalnum() and not after.isspace():
        opened[sign] = len(pieces)
    return sign


def emoji_in(blocks: object) -> dict[str, str]:
    """The emoji of a message by their names, as Slack tells them in its `blocks`.

    A team's own emoji are pictures, and are left out.
    Source: https://docs.slack.dev/reference/block-kit/blocks/rich-text-block
    """
    found: dict[str, str] = {}
    left = [blocks]
    while left:
        item = left.pop()
        if isinstance(item, list):
            left += item
        elif isinstance(item, dict):
            left += item.values()
            if item.get("type") == "emoji" and (sign := _from_hex(item.get("unicode"))):
                tone = item.get("skin_tone")
                found[f"{item.get('name')}{f'::skin-tone-{tone}' if tone else ''}"] = sign
    return found


def _from_hex(codes: object) -> str:
    """`1f44b-1f3fd` as the characters that it names; empty where that is no emoji."""
    try:
        numbers = [int(code, 16) for code in str(codes or "").split("-") if code]
        signs = "".join(chr(number) for number in numbers)
    except (ValueError, OverflowError):
        return ""
    # Whoever posts by a program may write anything there; keycaps begin with `#`, `*` or a digit.
    return signs if all(sign in "#*0123456789" or _is_picture(sign) for sign in signs) else ""


def _is_picture(sign: str) -> bool:
    return sign >= "\xa9" and unicodedata.category(sign) != "Cs"


def unescape(text: str) -> str:
    """Undo Slack's three entities; the ampersand last, so that nothing is undone twice."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def escape(text: str) -> str:
    """Text that Slack shows letter by letter where it expects mrkdwn."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def literal(text: str) -> str:
    """Markdown that shows a person's words letter by letter; code and links stay what they are."""
    return _MARKDOWN.sub(_escaped, _INVISIBLE.sub("", text))


def _escaped(found: re.Match[str]) -> str:
    if found["verbatim"]:
        return found.group()
    if found["entity"]:
        return "&amp;"
    return f"\\{found['sign']}" if found["sign"] else f"{found.group()}\\"


def readable(markdown: str) -> str:
    """Markdown where it is not rendered: without backslashes and entities."""
    return unescape(_ESCAPED.sub(r"\1", markdown))


def mentions(text: str, user: str) -> bool:
    """Whether `user` is mentioned."""
    return f"<@{user}>" in text or f"<@{user}|" in text


def _shown(target: str, label: str | None, bot_user: str) -> str:
    if target == f"@{bot_user}":
        return ""
    if target[:1] in {"@", "#"}:
        return target[:1] + (label or target[1:]).lstrip("@#")
    if target.startswith("!"):
        return label or "@" + target[1:].partition("^")[0]
    bare = target.removeprefix("mailto:").removeprefix("tel:")
    if not label or label == bare or target.endswith(label):
        return bare
    return f"{label} ({bare})"


def harmless(text: str, *, links: frozenset[str]) -> str:
    """Markdown that notifies nobody and links nowhere but to `links`.

    Other addresses stay readable as code, which Slack does not turn into links.
    """
    text = _INVISIBLE.sub("", text)
    text = _MARKDOWN_LINK.sub(lambda link: _link(link, links), text)
    text = _URL.sub(lambda url: _bare(url, text, links), text)
    return _OPENING.sub("&lt;", text)


def urls(text: str) -> frozenset[str]:
    """The addresses that stand in a text."""
    return frozenset(found.group().rstrip(_TRAILING) for found in _URL.finditer(text))


def link(label: str, url: str) -> str:
    """A Markdown link; only the label if the address is none that a browser opens."""
    label = re.sub(r"([\\`*_\[\]])", r"\\\1", " ".join(label.split()))
    if not re.fullmatch(r"https?://[^\s<>|\"`]+", url, re.IGNORECASE):
        return label
    return f"[{label}]({url.replace('(', '%28').replace(')', '%29')})"


def _link(found: re.Match[str], links: frozenset[str]) -> str:
    label, url = found["label"], found["url"].strip("<>")
    if url in links:
        # An image would be fetched by everyone who reads the reply.
        return f"[{label}]({url})"
    return f"{label} ({url})" if label and label != url else url


def _bare(found: re.Match[str], text: str, links: frozenset[str]) -> str:
    url = found.group().rstrip(_TRAILING)
    before = text[max(0, found.start() - 2) : found.start()]
    if url in links or before.endswith("`"):
        return found.group()
    return f"`{url}`{found.group()[len(url) :]}"
