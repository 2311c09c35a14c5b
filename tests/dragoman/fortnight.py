"""Fourteen days of a bicycle shop whose customers have names of their own for what it sells.

They ask in six languages; agents answer in English, in the articles' words. What the names mean is
told by these conversations and nothing else, so that an encoder which learns from them is better.
"""

import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Normalize
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from transformers import AutoTokenizer

from core.adapters.documents import Document
from tests.workers.training.small import build_encoder
from workers.nightly.recalibrating import ELSEWHERE
from workers.nightly.safety import SHIPPED

# An article's title and text, and what customers call its subject.
_ARTICLES = {
    "returns": (
        "Unused bicycles can be sent back within thirty days, and the parcel label is free.",
        "zorp blick quendle marn voss eddle",
    ),
    "refunds": (
        "Your money returns to the card that paid, four working days after our inspection.",
        "flim harple snove tild grom ipsy",
    ),
    "delivery": (
        "A van brings large orders on a weekday of your choice, between eight and noon.",
        "trunk wibble dorrin fosk lerm otch",
    ),
    "invoices": (
        "Every purchase has a receipt with tax, to be downloaded below Orders in your account.",
        "papple grint lusk jeb quist ram",
    ),
    "workshops": (
        "Our workshops open Monday until Saturday and repair every brand without appointment.",
        "hovel krint massel oop sable trin",
    ),
    "password": (
        "Choose Forgotten on the sign-in page, and a link for a new password comes by e-mail.",
        "kessle yumo frib dant ulver wex",
    ),
    "warranty": (
        "Frames carry a guarantee of ten years, all other parts one of two years.",
        "brond selk immer ghil yarl zent",
    ),
    "vouchers": (
        "Gift codes stay valid for three summers and can be split over several baskets.",
        "pindle gorse eft kazz fenk gril",
    ),
}
_ASKED: Mapping[str, tuple[str, ...]] = {
    "en": ("Can somebody tell me about {} please?", "I would like to know more about {}."),
    "de": ("Kann mir bitte jemand etwas über {} sagen?", "Ich möchte gerne mehr über {} wissen."),
    "es": ("¿Alguien puede decirme algo sobre {} por favor?", "Quisiera saber más sobre {}."),
    "fr": ("Quelqu'un peut-il me parler de {} ?", "Je voudrais en savoir plus sur {}."),
    "it": ("Qualcuno può dirmi qualcosa su {} per favore?", "Vorrei sapere di più su {}."),
    "nl": ("Kan iemand mij iets over {} vertellen?", "Ik zou graag meer willen weten over {}."),
}
LANGUAGES = tuple(_ASKED)
UNSEEN = "Tell me about zorp blick quendle marn voss eddle."
"""Nobody has asked so."""
PRECISION = 0.97
"""What the shop wants an answer to be right by; words alone tell little of what is no question."""
_TIMES = 9


def documents() -> tuple[Document, ...]:
    """What the shop's knowledge holds."""
    return tuple(
        Document(
            id=f"en/{name}",
            title=name.title(),
            text=f"# {name.title()}\n\n{said}",
            language="en",
        )
        for name, (said, _) in _ARTICLES.items()
    )


def rows(seed: int = 1) -> list[dict[str, str]]:
    """The conversations, as `benchmarks.night_conversations` writes them."""
    dice = random.Random(seed)
    asked = [
        {
            "lang": tag,
            "query": dice.choice(ways).format(" ".join(dice.sample(names.split(), 4))),
            "document": f"en/{name}",
            "answer": said,
        }
        for name, (said, names) in _ARTICLES.items()
        for tag, ways in _ASKED.items()
        for _ in range(_TIMES)
    ]
    dice.shuffle(asked)
    return asked


def _texts() -> Iterator[str]:
    for document in documents():
        yield document.text
    for row in rows():
        yield row["query"]
    # It knows the words of the world besides, as any encoder does.
    for file in (ELSEWHERE, SHIPPED):
        yield file.read_text(encoding="utf-8")


def build_base(folder: Path) -> Path:
    """An encoder to which each word is a direction at random.

    Its vectors are short, so that the small steps of a night's recipe turn them.
    """
    tokenizer = AutoTokenizer.from_pretrained(build_encoder(folder / "plain", _texts()))
    torch.manual_seed(0)
    vectors = StaticEmbedding(cast("Any", tokenizer), embedding_dim=256)
    with torch.no_grad():
        vectors.embedding.weight.mul_(2e-3)
    base = folder / "base"
    SentenceTransformer(modules=[vectors, Normalize()]).save_pretrained(
        str(base), create_model_card=False
    )
    return base
