"""What the staff console needs, made from the parts of a running desk."""

import asyncio
from collections.abc import Mapping, Sequence

from bots.web.console.needs import ConsoleNeeds, CurvePoint, PartHealth, Provider
from bots.web.console.news import News
from core.adapters.accounts import Accounts
from core.adapters.canned_answers import CannedAnswers
from core.adapters.case_search import CaseSearch
from core.adapters.cases import Cases
from core.adapters.desk import Desk
from core.adapters.documents import Documents
from core.adapters.figures import Figures
from core.adapters.glossary import Glossary
from core.adapters.invitations import Invitations
from core.adapters.model_history import ModelHistory
from core.adapters.passwords import Passwords
from core.adapters.preferences import SqlPreferences
from core.adapters.proposals import Proposals
from core.adapters.sessions import Sessions
from core.adapters.suggestions import Suggestions
from core.adapters.unanswered import UnansweredQuestions
from core.errors import Misconfigured
from core.staff import Role
from core.turn import Found
from dragoman.channels import ChatChannel, switched_off
from dragoman.composition import Core, ask
from dragoman.health import Check, Health, limit_s, told
from dragoman.settings import Settings
from retrieval.calibration import ANY_ENCODER, Calibration


def console_needs(
    core: Core,
    *,
    preferences: SqlPreferences,
    health: Health,
    channels: Sequence[ChatChannel],
    desk: Desk,
    secret: bytes,
) -> ConsoleNeeds:
    """Everything the pages use.

    Raises: Misconfigured: a sign-in provider is set by half.
    """
    settings, database = core.settings, core.database
    cases = Cases(database)

    async def search(question: str, language: str | None) -> Found:
        return await core.retrieval.knowledge.search(core.workspace, question, language=language)

    async def threshold() -> float:
        calibration = await core.retrieval.calibration_of(core.workspace)
        return calibration.threshold((await preferences.of(core.workspace)).precision)

    async def curves() -> Mapping[str, Sequence[CurvePoint]]:
        return _curves(await core.retrieval.calibration_of(core.workspace))

    async def parts() -> Sequence[PartHealth]:
        checks = health.checks() | {str(channel.name): channel.check for channel in channels}
        looked = [_look(name, check) for name, check in checks.items()]
        page = PartHealth(name="web", line=settings.public_url or "/")
        off = [
            PartHealth(name=name, line=hint, off=True)
            for name, hint in switched_off(channels).items()
        ]
        return [page, *await asyncio.gather(*looked), *off]

    return ConsoleNeeds(
        workspace=core.workspace,
        secret=secret,
        accounts=Accounts(database),
        passwords=Passwords(),
        sessions=Sessions(database),
        invitations=Invitations(database),
        documents=Documents(database),
        knowledge=core.retrieval.knowledge,
        preferences=preferences,
        glossary=Glossary(database),
        canned=CannedAnswers(database),
        figures=Figures(database),
        desk=desk,
        cases=cases,
        search_cases=CaseSearch(database),
        suggestions=Suggestions(database),
        proposals=Proposals(database, core.translator),
        unanswered=UnansweredQuestions(database),
        model_history=ModelHistory(database),
        models=core.models,
        nights_dir=settings.data_dir / "nights",
        news=News(lambda: cases.latest(core.workspace)),
        search=search,
        ask=lambda text, language: ask(core, text, language),
        health=parts,
        threshold=threshold,
        curves=curves,
        provider=sign_in_provider(settings),
        base_url=settings.public_url,
        default_language=settings.default_language,
    )


async def _look(name: str, check: Check) -> PartHealth:
    line, fault = await told(check, limit_s(name))
    return PartHealth(name=name, line=line, fault=fault)


def _curves(calibration: Calibration) -> dict[str, tuple[CurvePoint, ...]]:
    """What was measured of this encoder; nothing of one that was not."""
    if calibration.encoder == ANY_ENCODER:
        return {}
    return {
        kind: tuple(
            CurvePoint(
                precision=float(precision),
                threshold=threshold,
                coverage=figures.coverage[precision],
            )
            for precision, threshold in figures.thresholds.items()
        )
        for kind, figures in calibration.figures.items()
    }


def sign_in_provider(settings: Settings) -> Provider | None:
    """Where staff may sign in, if anywhere.

    Raises: Misconfigured: not all is set that it takes.
    """
    secret = settings.oidc_client_secret.get_secret_value()
    given = (settings.oidc_issuer, settings.oidc_client_id, secret)
    if not any(given):
        return None
    if not all(given):
        raise Misconfigured(
            "a sign-in provider takes DRAGOMAN_OIDC_ISSUER, DRAGOMAN_OIDC_CLIENT_ID and"
            " DRAGOMAN_OIDC_CLIENT_SECRET"
        )
    return Provider(
        issuer=settings.oidc_issuer,
        client_id=settings.oidc_client_id,
        client_secret=secret,
        role=Role(settings.oidc_role) if settings.oidc_role else None,
    )
