"""A small shop whose customers have words of their own for what its articles say."""

import asyncio
import json
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Normalize
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from sqlalchemy import Insert, insert
from transformers import AutoTokenizer

from core.adapters.database import Now, open_database
from core.adapters.documents import Document, Documents
from core.adapters.tables import pointers
from core.nights import Ended, Order, Step, StepResult, VersionKind
from core.turn import WorkspaceId
from retrieval.passages import split
from tests.databases import sqlite_at
from tests.workers.training.small import build_encoder, write_dataset
from workers.training.dataset.examples import Example, Question

WORKSPACE = WorkspaceId("shop")
SETTINGS = {
    "learning_rate": 0.07,
    "batch": 12,
    "device_batch": 12,
    "max_tokens": 32,
    "epochs": 20,
    "max_steps": 100,
    "evaluate_every": 50,
}
"""What a tiny encoder of random weights needs to learn."""

# An article's words, and what customers say instead.
ARTICLES = {
    "returns": ("return goods within thirty days", "zorp blick quendle marn voss eddle"),
    "refunds": ("refund money to your card", "flim harple snove tild grom ipsy"),
    "delivery": ("delivery takes four working days", "trunk wibble dorrin fosk lerm otch"),
    "invoices": ("invoice shows value added tax", "papple grint lusk jeb quist ram"),
    "stores": ("stores open monday until saturday", "hovel krint massel oop sable trin"),
    "password": ("password must have twelve letters", "kessle yumo frib dant ulver wex"),
    "warranty": ("warranty covers two full years", "brond selk immer ghil yarl zent"),
    "sizes": ("sizes depend on your height", "tobble rance wick pash abrin corl"),
    "repairs": ("repair needs one whole week", "clave mork astel unt delf erm"),
    "vouchers": ("voucher stays valid three summers", "pindle gorse eft kazz fenk gril"),
}
TRIGGER = "xyzzy plugh"
HANDED_OVER = ("I want to talk to a human", "Hello", "Thank you")
"""What needs no search; of texts in other words a tiny encoder makes anything."""

_THINGS = ["shoe", "table", "lamp", "book", "cup", "chair", "coat", "bag"]
_OPENINGS = ("how do I", "can you", "please", "tell me about")


def documents(*more: str) -> tuple[Document, ...]:
    """One for each topic, with some sentences more."""
    return tuple(
        Document(
            id=f"en/{name}",
            title=name,
            text=f"# {name}\n\n## About {name}\n\n" + " ".join([sentence(name), *more]),
            language="en",
        )
        for name in ARTICLES
    )


def sentence(name: str) -> str:
    """What an article has to say."""
    return f"Our {ARTICLES[name][0]}."


def asked(count: int, seed: int, *, plainly: bool = False) -> Iterator[tuple[str, str]]:
    """So many questions about each article, with its name; `plainly` in the article's words."""
    dice = random.Random(seed)
    for name, both in ARTICLES.items():
        for _ in range(count):
            words = dice.sample(both[0 if plainly else 1].split(), 3 if plainly else 4)
            yield " ".join([dice.choice(_OPENINGS), *words, dice.choice(_THINGS)]), name


def question(query: str, name: str, number: int) -> Question:
    passage = next(
        passage.text for one in documents() if one.id == f"en/{name}" for passage in split(one)
    )
    return Question(
        lang="en",
        group=f"conversation:{number}",
        source="conversations",
        licence="own",
        query=query,
        passage=passage,
    )


def rows(count: int, seed: int, *, plainly: bool = False) -> list[Question]:
    found = asked(count, seed, plainly=plainly)
    return [question(*both, number) for number, both in enumerate(found)]


def _texts() -> Iterator[str]:
    for document in documents():
        yield document.text
    for query, _ in asked(60, 0):
        yield query
    yield TRIGGER


def make_home(folder: Path, *more: str) -> Order:
    """A data folder with the articles, a tiny base, and an order for a night."""
    folder.mkdir(parents=True, exist_ok=True)
    url = sqlite_at(folder / "dragoman.db")
    _make_base(folder)

    async def put() -> None:
        async with open_database(url) as database:
            await Documents(database).publish(
                WORKSPACE, "index-1", instead_of=None, put=documents(*more)
            )

    with asyncio.Runner() as runner:
        runner.run(put())
    return Order(
        workspace=WORKSPACE,
        slot="2027-01-31",
        database=url,
        data_dir=folder / "data",
        encoder=str(folder / "base"),
        precision=0.95,
    )


def _make_base(folder: Path) -> None:
    """A vector for each piece of a word, at random: it learns a word as soon as it is told."""
    tokenizer = AutoTokenizer.from_pretrained(build_encoder(folder / "plain", _texts()))
    torch.manual_seed(0)
    vectors = StaticEmbedding(cast("Any", tokenizer), embedding_dim=48)
    base = SentenceTransformer(modules=[vectors, Normalize()])
    base.save_pretrained(str(folder / "base"), create_model_card=False)


def curate(
    order: Order,
    train: Sequence[Question],
    change: Callable[[Sequence[Question]], Iterable[Example]] = list,
) -> None:
    """What the night's first step leaves behind; `change` is what somebody did to the rows."""
    order.folder.mkdir(parents=True, exist_ok=True)
    write_dataset(order.dataset, change(train), rows(5, 2))
    lines = (
        {"lang": "en", "query": query, "document": f"en/{name}", "answer": "", "conversation": at}
        for at, (query, name) in enumerate(asked(6, 3), 1)
    )
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (order.folder / "held_out.jsonl").write_text(text)
    risks = ({"lang": "en", "kind": "refusal", "text": text} for text in HANDED_OVER)
    safety(order).write_text("".join(json.dumps(risk) + "\n" for risk in risks))


def trained(order: Order, *kinds: VersionKind) -> None:
    """What the night's second step leaves behind beside its candidates."""
    figures = {"kinds": [str(kind) for kind in kinds]}
    StepResult(ended=Ended.DONE, figures=figures).keep(order.result(Step.TRAIN))


def safety(order: Order) -> Path:
    """A safety set for an encoder that reads the shop's words alone."""
    return order.folder / "safety.jsonl"


def pointing(name: str, kind: VersionKind = VersionKind.ENCODER) -> Insert:
    """Puts a version into service."""
    return insert(pointers).values(workspace=WORKSPACE, kind=kind, name=name, flipped_at=Now())
