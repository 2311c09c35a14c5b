"""What answers a turn, put together without any channel."""

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import structlog

from core.adapters.database import Database, open_database
from core.adapters.detector import CombinedDetector
from core.adapters.expectation import Expectations
from core.adapters.generator import HttpGenerator
from core.adapters.glossary import Glossary
from core.adapters.holds import Holds
from core.adapters.preferences import SqlPreferences
from core.errors import Misconfigured, Unavailable
from core.escalation import Policy
from core.faithful import FaithfulTranslator
from core.language import normalise_tag
from core.pipeline import Pipeline, no_model
from core.ports import Detector
from core.preferences import Preferences
from core.turn import (
    Address,
    Answer,
    Channel,
    Clarify,
    ConversationId,
    Handoff,
    Outcome,
    Turn,
    TurnId,
    Words,
    WorkspaceId,
)
from dragoman.dialogues import open_dialogues
from dragoman.models import Models
from dragoman.settings import WORKSPACE, Settings
from dragoman.task_models import open_desk_translator, open_generator
from retrieval.calibration import Calibration
from retrieval.hearing import open_ear
from retrieval.knowledge import silent
from retrieval.loaders.files import read, sources
from retrieval.opening import Retrieval, open_retriever
from retrieval.writing import Progress

log = structlog.get_logger()

# Encoding the demo company takes that long on two busy cores.
DEMO_S = 180.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    """The parts, made once; without a generator, passages speak for themselves."""

    settings: Settings
    database: Database
    preferences: SqlPreferences
    detector: Detector
    retrieval: Retrieval
    models: Models
    generator: HttpGenerator | None
    translator: FaithfulTranslator
    pipeline: Pipeline

    @property
    def workspace(self) -> WorkspaceId:
        """The workspace of the web page and of channels with a single token."""
        return WorkspaceId(self.settings.workspace)


@asynccontextmanager
async def open_core(
    settings: Settings, *, workspace: str = "", model: bool = True
) -> AsyncIterator[Core]:
    """Open everything between a turn and its outcome, for another workspace if one is named.

    Raises: Misconfigured, Unavailable: a part cannot be used; the message says which.
    """
    if workspace:
        if not re.fullmatch(WORKSPACE, workspace):
            raise Misconfigured("a workspace is named by letters, digits, - and _ only")
        settings = settings.model_copy(update={"workspace": workspace})
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(settings.database))
        preferences = SqlPreferences(database, settings.preferences)
        detector = CombinedDetector()
        key = settings.sealing_key().decode()
        retrieval = await stack.enter_async_context(
            open_retriever(
                database,
                settings.data_dir,
                encoder=settings.encoder or None,
                reranker=settings.reranker or None,
                detector=detector,
                default_language=settings.default_language,
                allowed_hosts=settings.knowledge_hosts,
                key=key,
            )
        )
        models = Models(database, retrieval, settings.data_dir, key=key)
        stack.push_async_callback(models.close)
        generator = await stack.enter_async_context(open_generator(settings)) if model else None
        translator = await stack.enter_async_context(
            open_desk_translator(settings, generator, detector, Glossary(database).of)
            if model
            else nullcontext(FaithfulTranslator(None, detector))
        )
        dialogues = await stack.enter_async_context(open_dialogues(database, settings, generator))
        pipeline = Pipeline(
            detector,
            retrieval.retriever,
            dialogues.of if dialogues else no_model,
            policies=Policies(settings, retrieval, preferences).of,
            expects=Expectations(database, preferences).told,
            ear=open_ear(retrieval.encoder),
        )
        yield Core(
            settings=settings,
            database=database,
            preferences=preferences,
            detector=detector,
            retrieval=retrieval,
            models=models,
            generator=generator,
            translator=translator,
            pipeline=pipeline,
        )


class Policies:
    """What the pipeline goes by in each workspace, as its admins decided."""

    def __init__(
        self, settings: Settings, retrieval: Retrieval, preferences: SqlPreferences
    ) -> None:
        """Read for each turn; what the settings say holds while that fails."""
        self._settings = settings
        self._retrieval = retrieval
        self._preferences = preferences
        self._otherwise = self._under(settings.preferences, retrieval.calibration)

    async def of(self, workspace: WorkspaceId, conversation: ConversationId | None) -> Policy:
        """What holds now for a conversation."""
        try:
            calibration = await self._retrieval.calibration_of(workspace, conversation)
            return self._under(await self._preferences.of(workspace), calibration)
        except Unavailable:
            return self._otherwise

    def _under(self, preferences: Preferences, calibration: Calibration) -> Policy:
        threshold = calibration.threshold(preferences.precision)
        return Policy(
            default_language=normalise_tag(self._settings.default_language),
            languages=tuple(normalise_tag(tag) for tag in self._settings.languages) or None,
            answer_threshold=threshold,
            clarify_threshold=threshold / 2,
            misses=preferences.misses,
            handover_words=preferences.handover_words,
            handover_customers=preferences.handover_customers,
            handover_upset=preferences.handover_upset,
        )


async def ask(core: Core, text: str, language: str | None) -> dict[str, object]:
    """The outcome of one question from nowhere in particular, in the form of `ask --json`."""
    turn = Turn(
        id=TurnId(0),
        conversation=ConversationId(0),
        address=Address(workspace=core.workspace, channel=Channel.TERMINAL, place="ask"),
        text=text,
        language=normalise_tag(language) if language else None,
        chosen=bool(language),
    )
    served = await core.pipeline.answer(turn, _unseen)
    outcome = served.outcome
    citations = outcome.citations if isinstance(outcome, Answer) else ()
    return {
        "outcome": type(outcome).__name__.lower(),
        "language": served.language,
        "text": _in_full(outcome),
        "citations": [
            {"document": cited.document, "title": cited.title, "passage": cited.text}
            for cited in citations
        ],
        "probability": round(served.probability, 4),
        "reason": outcome.reason if isinstance(outcome, Handoff) else None,
        "model": served.model,
        "index": served.index,
        "timings_ms": served.timings_ms,
    }


def _in_full(outcome: Outcome | Words) -> str:
    """The text with the choices that a channel would show as buttons."""
    choices = outcome.choices if isinstance(outcome, Clarify) else ()
    return "\n".join((outcome.text, *(f"- {choice}" for choice in choices)))


async def _unseen(text: str) -> None:
    """Nobody watches a single question being answered."""


async def load_demo(core: Core, progress: Progress = silent) -> None:
    """Give an empty workspace the demo company, so that the first minute has something to ask."""
    knowledge = core.retrieval.knowledge
    if not core.settings.demo or await knowledge.list(core.workspace):
        return
    # Replicas that start together would all encode it.
    async with Holds(core.database).held(f"demo:{core.workspace}", DEMO_S):
        if not await knowledge.list(core.workspace):
            log.info("demo_loading")
            await knowledge.add(core.workspace, [str(demo_folder() / "knowledge")], progress)


async def demo_documents(core: Core) -> list[str]:
    """Ids of the demo company's documents in the workspace; another one of that name is not it."""
    root = demo_folder() / "knowledge"
    loaded = {(one.id, one.title) for source in sources(root) for one in read(source, root)}
    standing = await core.retrieval.knowledge.list(core.workspace)
    return [one.id for one in standing if (one.id, one.title) in loaded]


def demo_folder() -> Path:
    """The demo company: inside the package where it is installed, in `examples/` of a checkout."""
    installed = Path(str(files("dragoman"))) / "demo"
    return installed if installed.is_dir() else Path(__file__).parents[1] / "examples" / "demo"
