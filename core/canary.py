"""A new version serves a share of the conversations first, and is held against the rest.

It is looked at a fixed number of times, so that looking often is no way to find by chance that it
is worse: each time, each measure is tested one-sidedly at `LEVEL`, by Fisher's exact test.
"""

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from math import exp, lgamma

from core.nights import VersionKind
from core.turn import ConversationId, WorkspaceId

LOOKS = (25, 50, 100, 200, 400)
"""After so many conversations of the canary's it is held against the rest; the last one decides."""
LONGEST_S = 20 * 3600.0
"""By then it is decided with what there is: before the next night's version would replace it."""
MEASURES = 3
LEVEL = 0.05 / (MEASURES * (len(LOOKS) + 1))
"""Bonferroni over measures and looks, the one when the time is over among them: at most 5 in 100
versions that are as good as the one in service are taken for worse."""
WORSE = "worse as a canary"
"""How the reason begins for which a worse one returns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """A version under trial, with the newest of the `index`es that were built with it.

    `share` is that of the conversations that it serves, `since` in seconds since 1970. What is
    counted came after the message `after`; `looks` is how often it was held against the rest.
    """

    workspace: WorkspaceId
    kind: VersionKind
    name: str
    index: str
    share: float
    since: float
    after: int
    looks: int

    def serves(self, conversation: ConversationId | None) -> bool:
        """Whether a conversation is among those of the canary; for as long as it lasts."""
        return conversation is not None and _lot(self.name, conversation) < self.share


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How conversations went: each is counted once in a measure, and as bad if it ever was so.

    Those with an answer may have `fell_back` to a passage's own words, those with a rating be
    `disliked`.
    """

    conversations: int = 0
    handed_over: int = 0
    answered: int = 0
    fell_back: int = 0
    rated: int = 0
    disliked: int = 0

    @property
    def measures(self) -> tuple[tuple[str, int, int], ...]:
        """Each measure's name, how often it was bad, and of how many."""
        return (
            ("handed over", self.handed_over, self.conversations),
            ("fell back to the passage", self.fell_back, self.answered),
            ("rated badly", self.disliked, self.rated),
        )


class Verdict(StrEnum):
    """What follows from a look."""

    GO_ON = "go_on"
    RETURN = "return"
    GO_LIVE = "go_live"


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The `number`-th look at a canary, and why it returns."""

    number: int
    verdict: Verdict
    reason: str = ""


def look(canary: Canary, own: Tally, rest: Tally, *, now: float) -> Look | None:
    """Hold a canary against the rest; None if it is not time for another look."""
    number = sum(own.conversations >= size for size in LOOKS)
    over = now - canary.since >= LONGEST_S
    if number <= canary.looks and not over:
        return None
    if reason := _worse(own, rest):
        return Look(number=number, verdict=Verdict.RETURN, reason=reason)
    if over and not own.conversations:
        # A version that no process can load serves nobody, and has shown nothing.
        return Look(number=number, verdict=Verdict.RETURN, reason="it served no conversation")
    decided = over or number == len(LOOKS)
    return Look(number=number, verdict=Verdict.GO_LIVE if decided else Verdict.GO_ON)


def _worse(own: Tally, rest: Tally) -> str:
    """In what it is worse beyond chance, in a line; empty where in nothing."""
    for (name, bad, of), (_, others_bad, others) in zip(own.measures, rest.measures, strict=True):
        p = excess(bad, of, others_bad, others)
        if p < LEVEL:
            return f"{WORSE}: {bad} of {of} {name}, of the rest {others_bad} of {others}"
    return ""


def excess(bad: int, of: int, others_bad: int, others: int) -> float:
    """How likely at least `bad` of `of` are by chance, where `others_bad` of `others` were.

    Source: Fisher's exact test, one-sided (Fisher, The Design of Experiments, 1935).
    """
    all_bad, whole = bad + others_bad, of + others
    ways = _log_choose(whole, of)
    return sum(
        exp(_log_choose(all_bad, k) + _log_choose(whole - all_bad, of - k) - ways)
        for k in range(max(bad, of - (whole - all_bad)), min(of, all_bad) + 1)
    )


def _log_choose(n: int, k: int) -> float:
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)


def _lot(name: str, conversation: ConversationId) -> float:
    """A number in [0, 1) that a conversation draws once for each version.

    With the version's name in it, each night tries its version on other conversations.
    """
    drawn = hashlib.sha256(f"{name}:{conversation}".encode()).digest()
    return int.from_bytes(drawn[:7], "big") / 2**56
