"""A small shop whose customers have words of their own for what its articles say."""

import asyncio
import json
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from sqlalchemy import Insert, insert

from core.adapters.database import Now, open_database
from core.adapters.documents import Document, Documents
from core.adapters.tables import pointers
from core.nights import Order, VersionKind
from core.turn import WorkspaceId
from retrieval.passages import split
from tests.databases import sqlite_at
from tests.workers.training.small import build_encoder, write_dataset
from workers.training.dataset.examples import Example, Question
from workers.training.tasks.encoder import open_folder

WORKSPACE = WorkspaceId("shop")
SETTINGS = {
    "learning_rate": 5e-3,
    "batch": 12,
    "device_batch": 12,
    "max_tokens": 32,
    "epochs": 20,
    "max_steps": 120,
    "evaluate_every": 60,
}
"""What a tiny encoder of random weights needs to learn."""

# An article's words, and what customers say instead.
ARTICLES = {
    "returns": ("return goods within thirty days", "zorp blick quendle marn"),
    "refunds": ("refund money to your card", "flim harple snove tild"),
    "delivery": ("delivery takes four working days", "trunk wibble dorrin fosk"),
    "invoices": ("invoice shows value added tax", "papple grint lusk jeb"),
    "stores": ("stores open monday until saturday", "hovel krint massel oop"),
    "password": ("password must have twelve letters", "kessle yumo frib dant"),
    "warranty": ("warranty covers two full years", "brond selk immer ghil"),
    "sizes": ("sizes depend on your height", "tobble rance wick pash"),
    "repairs": ("repair needs one whole week", "clave mork astel unt"),
    "vouchers": ("voucher stays valid three summers", "pindle gorse eft kazz"),
}
UNANSWERED = ("sing me a song about rain", "who is your neighbour", "xyzzy xyzzy xyzzy")
"""What no article answers; a tiny encoder can read nothing else."""

_THINGS = ["shoe", "table", "lamp", "book", "cup", "chair", "coat", "bag"]
_FORMS = (
    "how {0} {1} my {3} {2}",
    "can I {1} the {3} {0} {2}",
    "{2} {0} please {1}",
    "{0} {1} {2}",
)


def documents() -> tuple[Document, ...]:
    """One for each topic."""
    return tuple(
        Document(
            id=f"en/{name}",
            title=name,
            text=f"# {name}\n\n## About {name}\n\nOur {said}.",
            language="en",
        )
        for name, (said, _) in ARTICLES.items()
    )


def asked(count: int, seed: int, *, plainly: bool = False) -> Iterator[tuple[str, str]]:
    """So many questions about each article, with its name; `plainly` in the article's words."""
    dice = random.Random(seed)
    for name, both in ARTICLES.items():
        for _ in range(count):
            words = dice.sample(both[0 if plainly else 1].split(), 3)
            yield dice.choice(_FORMS).format(*words, dice.choice(_THINGS)), name


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
    yield "xyzzy"
    for text in UNANSWERED:
        yield text


def make_home(folder: Path) -> Order:
    """A data folder with the articles, a tiny base, and an order for a night."""
    folder.mkdir(parents=True, exist_ok=True)
    url = sqlite_at(folder / "dragoman.db")
    plain = build_encoder(folder / "plain", _texts())
    open_folder(plain).save_pretrained(str(folder / "base"), create_model_card=False)

    async def put() -> None:
        async with open_database(url) as database:
            await Documents(database).publish(
                WORKSPACE, "index-1", instead_of=None, put=documents()
            )

    with asyncio.Runner() as runner:
        runner.run(put())
    return Order(
        workspace=WORKSPACE,
        slot="2027-01-31",
        database=url,
        data_dir=folder / "data",
        encoder=str(folder / "base"),
        precision=0.6,
    )


def curate(
    order: Order,
    train: Sequence[Question],
    change: Callable[[Sequence[Question]], Iterable[Example]] = list,
) -> None:
    """What the night's first step leaves behind; `change` is what somebody did to the rows."""
    order.folder.mkdir(parents=True, exist_ok=True)
    write_dataset(order.dataset, change(train), rows(5, 2))
    lines = (
        {"lang": "en", "query": query, "document": f"en/{name}", "answer": "", "conversation": 1}
        for query, name in asked(6, 3)
    )
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (order.folder / "held_out.jsonl").write_text(text)
    risks = ({"lang": "en", "kind": "refusal", "text": text} for text in UNANSWERED)
    safety(order).write_text("".join(json.dumps(risk) + "\n" for risk in risks))


def safety(order: Order) -> Path:
    """A safety set for an encoder that reads the shop's words alone."""
    return order.folder / "safety.jsonl"


def pointing(encoder: str) -> Insert:
    """Puts an encoder into service."""
    return insert(pointers).values(
        workspace=WORKSPACE, kind=VersionKind.ENCODER, name=encoder, flipped_at=Now()
    )
