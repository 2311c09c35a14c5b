"""The model that does a task, found by its setting."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import structlog

from core.adapters.detector import CombinedDetector
from core.adapters.generator import HttpGenerator, Limits
from core.adapters.translator import LIMITS, DialogueTranslator
from core.errors import Misconfigured
from core.faithful import FaithfulTranslator, Manner, Terms
from core.ports import Detector
from core.translation import PLAIN_BRACKETS, Guard
from dragoman.settings import Settings, variables
from workers.model_server import only_points, serve_model

if TYPE_CHECKING:
    from workers.chat_writing import ChatWriter
    from workers.classification import EntityTagger, SentimentClassifier
    from workers.evaluation.summary import Summariser
    from workers.evaluation.translation import Translator

log = structlog.get_logger()

# A server of our own on a CPU may work long at a text that no customer waits for.
_PATIENT = Limits(first_token_s=120, between_tokens_s=30, total_s=300, max_tokens=1_024)


@asynccontextmanager
async def open_generator(
    settings: Settings, limits: Limits | None = None
) -> AsyncIterator[HttpGenerator | None]:
    """The dialogue model at a URL, or one that we serve from a folder; None if none is set.

    Raises: Misconfigured: the folder cannot be served.
    """
    url, model = settings.model_url, settings.model
    key = settings.model_api_key.get_secret_value() or None
    if url:
        async with HttpGenerator(url, model=model or None, api_key=key, limits=limits) as made:
            yield made
    elif model:
        log.info("model_starting", folder=model)
        async with serve_model(Path(model), settings.data_dir) as server:
            points = only_points(Path(model))
            async with HttpGenerator(
                server.url, model=server.model, api_key=key, limits=limits, only_points=points
            ) as made:
                yield made
    else:
        yield None


def sentiment_classifier(settings: Settings) -> "SentimentClassifier":
    """What tells sentiment: the model that is set, else the head that ships.

    Raises: Misconfigured: the model cannot be used, or none is set and the head does not fit the
    encoder that is.
    """
    from retrieval.encoder import open_encoder
    from workers.classification import SentimentHead, SentimentModel

    if settings.sentiment:
        return _made(SentimentModel, settings, "sentiment")
    try:
        return SentimentHead(open_encoder(settings.encoder or None))
    except Misconfigured as error:
        raise Misconfigured(f"{_none_set('sentiment')}; {error}") from error


def entity_tagger(settings: Settings) -> "EntityTagger":
    """What finds names.

    Raises: Misconfigured: no model is set, or it cannot be used.
    """
    from workers.classification import EntityTagger

    return _made(EntityTagger, settings, "entities")


@asynccontextmanager
async def open_desk_translator(
    settings: Settings,
    generator: HttpGenerator | None,
    detector: Detector,
    terms: Terms | None = None,
    *,
    limits: Limits = LIMITS,
    warm: bool = True,
) -> AsyncIterator[FaithfulTranslator]:
    """What translates on the desk: a translator of its own if one is set, else the dialogue model.

    Without both, everybody reads what was written.
    Raises: Misconfigured: the translator that is set cannot be used.
    """
    manner = Manner(translate_s=limits.total_s)
    if settings.translator:
        from workers.translation import SequenceTranslator

        sequence: SequenceTranslator = _made(SequenceTranslator, settings, "translator")
        if warm:
            await sequence.warm()
        guards = (Guard.MOST, Guard.LEAST)
        manner = replace(manner, brackets=PLAIN_BRACKETS, guards=guards)
        yield FaithfulTranslator(sequence, detector, terms=terms, manner=manner)
    elif generator is not None and not generator.only_points:
        async with generator.with_limits(limits) as patient:
            dialogue = DialogueTranslator(patient)
            yield FaithfulTranslator(dialogue, detector, terms=terms, manner=manner)
    else:
        yield FaithfulTranslator(None, detector)


@asynccontextmanager
async def open_translator(settings: Settings) -> AsyncIterator["Translator"]:
    """The translator of the desk, with more patience, for files of texts.

    Raises:
        Misconfigured: there is none, or it cannot be used.
        Unavailable: the dialogue model does not answer.
    """
    from workers.evaluation.translation import AsOnTheDesk

    if not (settings.translator or _writes(settings)):
        raise Misconfigured(_none_set("translator") + _OR_DIALOGUE)
    async with AsyncExitStack() as stack:
        generator, name = None, Path(settings.translator).name
        if not settings.translator:
            generator = await stack.enter_async_context(open_generator(settings, _PATIENT))
            assert generator is not None
            await generator.check()
            name = generator.model
        desk = open_desk_translator(
            settings, generator, CombinedDetector(), limits=_PATIENT, warm=False
        )
        yield AsOnTheDesk(await stack.enter_async_context(desk), name)


@asynccontextmanager
async def open_summariser(settings: Settings) -> AsyncIterator["Summariser"]:
    """The dialogue model; without one, a conversation's own central sentences speak for it.

    Raises:
        Misconfigured: the dialogue model or the encoder cannot be used.
        Unavailable: the dialogue model does not answer.
    """
    from retrieval.encoder import open_encoder
    from workers.extracting import Extractor

    async with _open_writer(settings) as writer:
        yield writer or Extractor(open_encoder(settings.encoder or None))


@asynccontextmanager
async def _open_writer(settings: Settings) -> AsyncIterator["ChatWriter | None"]:
    """The dialogue model, once it has answered; None if none is set."""
    from workers.chat_writing import ChatWriter

    if not _writes(settings):
        yield None
        return
    async with open_generator(settings, _PATIENT) as generator:
        assert generator is not None
        await generator.check()
        yield ChatWriter(generator)


def _writes(settings: Settings) -> bool:
    """Whether a dialogue model is set that can do more than point at sentences."""
    model = settings.model
    return bool(settings.model_url or (model and not only_points(Path(model))))


_OR_DIALOGUE = "; DRAGOMAN_MODEL or DRAGOMAN_MODEL_URL of a dialogue model will do too"
M = TypeVar("M")


def _none_set(field: str) -> str:
    return f"there is no model for this: set {variables()[field]} to a folder or hub id"


def _made(make: Callable[[str], M], settings: Settings, field: str) -> M:
    """The model whose folder or hub id a setting names."""
    variable, named = variables()[field], getattr(settings, field)
    if not named:
        raise Misconfigured(_none_set(field))
    try:
        return make(named)
    except Misconfigured as error:
        raise Misconfigured(f"{variable}: {error}") from error
