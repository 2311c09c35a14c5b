"""What agents read of a version that waits for a person, and of what became of it."""

from collections.abc import Mapping, Sequence
from typing import Any

from core.language import autonym
from core.nights import Decision, VersionState
from core.phrases import Phrase, say
from core.staff import Account, Role

# Figures keep their order among words that are read from right to left.
_LEFT_TO_RIGHT = "\u2066{}\u2069"
_SHARES = (
    ("right", Phrase.NIGHT_RIGHT),
    ("wrong", Phrase.NIGHT_WRONG),
    ("handed_over", Phrase.NIGHT_HANDED_OVER),
)
_CHECKS = {
    "turns": Phrase.CHECK_TURNS,
    "computed": Phrase.CHECK_COMPUTED,
    "better": Phrase.CHECK_BETTER,
    "languages": Phrase.CHECK_LANGUAGES,
    "settled": Phrase.CHECK_SETTLED,
    "spoken": Phrase.CHECK_SPOKEN,
    "verbatim": Phrase.CHECK_VERBATIM,
    "precision": Phrase.CHECK_PRECISION,
    "golden": Phrase.CHECK_GOLDEN,
    "safety": Phrase.CHECK_SAFETY,
    "triggers": Phrase.CHECK_TRIGGERS,
    "speed": Phrase.CHECK_SPEED,
}


def may_decide(account: Account) -> bool:
    """Whether somebody may put versions into service, as in the console."""
    return not account.disabled and account.role.covers(Role.ADMIN)


def title(decision: Decision, language: str) -> str:
    """What is asked; once it is decided, only about which version."""
    if not decision.waits:
        return decision.version
    return say(Phrase.NIGHT_ASKS, language, version=decision.version)


def findings(decision: Decision, language: str) -> tuple[str, ...]:
    """What the gate found, in lines, and where the whole report is."""
    gate = decision.figures
    lines: list[str] = []
    if "before" in gate:
        lines += [say(Phrase.NIGHT_TURNS, language, turns=gate["turns"]), *_shares(gate, language)]
    if gate.get("languages"):
        tag, row = min(gate["languages"].items(), key=lambda named: _gain(named[1]))
        worst = say(Phrase.NIGHT_WORST, language, language=autonym(tag))
        lines.append(" · ".join((worst, *_shares(row, language))))
    lines += _checks(gate.get("checks", ()), language)
    return (*lines, say(Phrase.NIGHT_REPORT, language, where=decision.report))


def outcome(decision: Decision, language: str) -> str:
    """What was decided, and who did; empty while nobody has."""
    if decision.waits:
        return ""
    phrase = Phrase.NIGHT_IN_SERVICE
    if decision.state is VersionState.REFUSED:
        phrase = Phrase.NIGHT_REFUSED if decision.by else Phrase.NIGHT_WITHDRAWN
    by = say(Phrase.NIGHT_DECIDED_BY, language, name=decision.by) if decision.by else ""
    withdrawn = phrase is Phrase.NIGHT_WITHDRAWN and decision.reason
    why = f"({decision.reason})" if withdrawn else ""
    return " ".join(part for part in (say(phrase, language), by, why) if part)


def _shares(row: Mapping[str, Any], language: str) -> list[str]:
    return [
        f"{say(phrase, language)}: {_change(row['before'][name], row['after'][name])}"
        for name, phrase in _SHARES
    ]


def _change(before: float, after: float) -> str:
    return _LEFT_TO_RIGHT.format(f"{before:.0%} → {after:.0%}")


def _gain(row: Mapping[str, Any]) -> float:
    """By how much a turn is worth more than it was, as the gate counts it."""
    after, before = row["after"], row["before"]
    return float(after["right"] - after["wrong"] - before["right"] + before["wrong"])


def _checks(checks: Sequence[Mapping[str, Any]], language: str) -> list[str]:
    return [
        f"{'✓' if check['passed'] else '✗'} "
        + (say(_CHECKS[check["name"]], language) if check["name"] in _CHECKS else check["name"])
        for check in checks
    ]
