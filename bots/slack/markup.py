"""Slack's own markup in a text: read from customers, made harmless in replies."""

import re

# <@U1|ann>, <#C1|general>, <!here>, <https://a.example|label>: https://docs.slack.dev/messaging
_MARK = re.compile(r"<([^<>|\n]*)(?:\|([^<>\n]*))?>")
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
# Invisible characters that can carry hidden text: tags, variation selectors of the supplement,
# zero-width and direction overrides. Joiners stay: Persian and Indic scripts and emoji need them.
_INVISIBLE = re.compile("[\u200b\u2060\ufeff\u202a-\u202e\u2066-\u2069\U000e0000-\U000e01ef]")
_TRAILING = ".,;:!?…。，、！？"


def read(text: str, *, bot_user: str) -> str:
    """The text as its author saw it, without the mention of the bot."""
    shown = _MARK.sub(lambda mark: _shown(mark[1], mark[2], bot_user), text)
    return unescape(shown).strip()


def unescape(text: str) -> str:
    """Undo Slack's three entities; the ampersand last, so that nothing is undone twice."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def escape(text: str) -> str:
    """Text that Slack shows letter by letter where it expects mrkdwn."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


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
