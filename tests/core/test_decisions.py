"""What agents read of a version that waits, in their language."""

import re
from pathlib import Path
from typing import Any

import pytest

from core.decisions import findings, may_decide, outcome, title
from core.nights import Decision, VersionState
from core.phrases import Phrase, say
from core.staff import Account, AccountId, Role
from core.turn import WorkspaceId

ROOT = Path(__file__).parents[2]
WHERE = "dragoman models show encoder-1"


def shares(right: float, wrong: float) -> dict[str, float]:
    return {"right": right, "wrong": wrong, "handed_over": 1 - right - wrong}


def row(before: dict[str, float], after: dict[str, float]) -> dict[str, Any]:
    return {"turns": 40, "before": before, "after": after}


def decision(state: VersionState = VersionState.READY, **more: Any) -> Decision:
    return Decision(version="encoder-1", state=state, report=WHERE, **more)


def test_a_language_that_answers_more_but_wrongly_is_the_one_that_gains_least() -> None:
    better = row(shares(0.5, 0.1), shares(0.6, 0.1))
    figures = {
        **better,
        "languages": {
            "de": better,
            "ja": row(shares(0.5, 0.1), shares(0.7, 0.3)),
            "en": row(shares(0.5, 0.1), shares(0.55, 0.1)),
        },
        "checks": [
            {"name": "better", "passed": True, "told": "…"},
            {"name": "newer", "passed": False, "told": "…"},
        ],
    }
    lines = findings(decision(figures=figures), "ar")
    [worst] = [line for line in lines if say(Phrase.NIGHT_WORST, "ar", language="日本語") in line]
    assert "\u206610% → 30%\u2069" in worst
    assert f"{say(Phrase.NIGHT_RIGHT, 'ar')}: \u206650% → 60%\u2069" in lines
    # A check that this version does not know is called as the night called it.
    assert lines[-3:-1] == (f"✓ {say(Phrase.CHECK_BETTER, 'ar')}", "✗ newer")


def test_a_version_without_figures_says_where_to_look() -> None:
    assert findings(decision(), "fr") == (say(Phrase.NIGHT_REPORT, "fr", where=WHERE),)


def test_what_is_decided_waits_no_longer() -> None:
    assert title(decision(), "en") == say(Phrase.NIGHT_ASKS, "en", version="encoder-1")
    assert title(decision(VersionState.LIVE), "en") == "encoder-1"


@pytest.mark.parametrize(
    ("state", "by", "reason", "told"),
    [
        (VersionState.READY, "", "", ""),
        (VersionState.LIVE, "", "", "This version was put into service."),
        (VersionState.RETIRED, "Ada", "", "This version was put into service. Decided by: Ada"),
        (VersionState.REFUSED, "Ada", "declined", "This version was refused. Decided by: Ada"),
        (
            VersionState.REFUSED,
            "",
            "a customer was erased",
            "This version can no longer be put into service. (a customer was erased)",
        ),
    ],
)
def test_an_outcome_says_what_and_who(state: VersionState, by: str, reason: str, told: str) -> None:
    assert outcome(decision(state, by=by, reason=reason), "en") == told


@pytest.mark.parametrize(
    ("role", "disabled", "may"),
    [
        (Role.ADMIN, False, True),
        (Role.ADMIN, True, False),
        (Role.AGENT, False, False),
        (Role.VIEWER, False, False),
    ],
)
def test_only_admins_decide(role: Role, disabled: bool, may: bool) -> None:
    account = Account(
        id=AccountId(1),
        workspace=WorkspaceId("default"),
        name="Ada",
        role=role,
        language="en",
        disabled=disabled,
    )
    assert may_decide(account) is may


def test_every_rule_of_the_gate_has_a_name_for_people() -> None:
    rules = "".join(path.read_text() for path in (ROOT / "workers/nightly").glob("*.py"))
    names = sorted(set(re.findall(r'\bCheck\(\s*name="(\w+)"', rules)))
    assert {"turns", "settled", "triggers"} <= set(names)
    checks = [{"name": name, "passed": True, "told": ""} for name in names]
    lines = findings(decision(figures={"checks": checks}), "en")
    page = (ROOT / "bots/web/console/templates/models.html").read_text()
    assert [name for name in names if f"✓ {name}" in lines or f'"{name}": _(' not in page] == []
