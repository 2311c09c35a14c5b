"""Widens an English sentence encoder to the languages of a dataset of translations.

    task: widening
    base: english
    dataset: var/starter/encoder-data
    vocabulary: 51000

The encoder's body stays as it is, and so do the vectors of the English pieces: an English text has
the vector that it had. Each new piece gets a vector that makes the mean of a text's pieces that of
its English translation, so that the body reads the text as English words in a foreign order. It
writes model/ and result.json, like a training run; `task: encoder` can go on from there.

Sources: only the vocabulary is learnt anew, as in Artetxe et al., ACL 2020; embeddings from those
of known tokens, as in Minixhofer et al. (WECHSEL), NAACL 2022, here from translations.
"""

import time
from collections import defaultdict
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field, TypeAdapter
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer
from torch import nn
from transformers import PreTrainedTokenizerFast
from transformers.utils import logging as transformers_logging

from core.errors import Rejected
from retrieval.writing import Progress
from workers.training.dataset.folder import Dataset, Part, open_dataset
from workers.training.encoders import ENGLISH, encoder_folder, open_folder
from workers.training.finished import Result, finish, finished, unfinished
from workers.training.pairs import pairs
from workers.training.recipe import Block, Count, Positive
from workers.training.recipe_file import read_settings
from workers.training.widening.alignment import Bags, Translations, align
from workers.training.widening.pieces import Pieces, encoded, widened

# Dev rows of a language that its translations are looked for among.
_AMONG = 100


class Widening(Block):
    """Learn words from the translations of `dataset`, all of which have an English side.

    `vocabulary` counts pieces, those of the base among them; the higher `temperature`, the more
    alike the shares of the languages in it; `learning_rate` is a share of the spread of the vectors
    that are known.
    """

    task: Literal["widening"]
    base: str = ENGLISH
    dataset: Path
    vocabulary: Annotated[int, Field(ge=100)] = 51_000
    temperature: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 3.0
    epochs: Positive = 2.0
    batch: Count = 1024
    learning_rate: Positive = 0.3
    seed: Annotated[int, Field(ge=0)] = 0


def widen(path: Path, folder: Path, progress: Progress) -> Result:
    """Carry out the recipe in the file `path`; the wider encoder is in `folder`/model.

    Returns: the content of `result.json`.
    Raises: Rejected, Misconfigured: the recipe is wrong, or does not fit base or dataset.
    """
    recipe = _read(path)
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # no stubs
    dataset = open_dataset(recipe.dataset)
    if (result := finished(folder, recipe, dataset)) is not None:
        return result
    began_s = time.monotonic()
    encoder = open_folder(encoder_folder(recipe.base))
    progress("reading", 0, 0)
    english, foreign, meant = _texts(dataset)
    base = Tokenizer.from_str(encoder.tokenizer.backend_tokenizer.to_str())
    before = base.get_vocab_size()
    pieces = widened(base, english, foreign, size=recipe.vocabulary, temperature=recipe.temperature)
    translations = Translations(
        foreign=_bags(pieces, [text for tag in foreign for text in foreign[tag]]),
        english=_bags(pieces, english, known_only=True),
        meant=np.concatenate([np.asarray(meant[tag], np.int64) for tag in foreign]),
    )
    _put(encoder, pieces, _table(recipe, encoder, pieces, translations, progress))
    result = {
        "task": recipe.task,
        "tokens": {"before": before, "after": len(pieces), "known": len(pieces.known)},
        "rows": len(translations.meant),
        "languages": _found(encoder, dataset, progress),
        "took_s": round(time.monotonic() - began_s, 1),
    }
    encoder.save_pretrained(str(unfinished(folder)), create_model_card=False)
    finish(folder, recipe, result, dataset)
    return result


def _read(path: Path) -> Widening:
    recipe: Widening = read_settings(path, TypeAdapter(Widening))
    moved: dict[str, object] = {"dataset": path.parent / recipe.dataset}
    if (path.parent / recipe.base).is_dir():
        moved["base"] = str(path.parent / recipe.base)
    return recipe.model_copy(update=moved)


def _texts(
    dataset: Dataset,
) -> tuple[list[str], dict[str, list[str]], dict[str, list[int]]]:
    """English texts, each once; foreign texts by language; the number of what each means."""
    numbers: dict[str, int] = {}
    foreign: dict[str, list[str]] = defaultdict(list)
    meant: dict[str, list[int]] = defaultdict(list)
    for pair in pairs(dataset, Part.TRAIN):
        if pair.english:
            foreign[pair.language].append(pair.asked)
            meant[pair.language].append(numbers.setdefault(pair.found, len(numbers)))
    if not numbers:
        raise Rejected(f"{dataset.folder}: has no translations with an English side")
    return list(numbers), foreign, meant


def _bags(pieces: Pieces, texts: list[str], *, known_only: bool = False) -> Bags:
    """Foreign words that an English text has some of have no vectors to learn from yet."""
    limit = len(pieces.known) if known_only else len(pieces)
    found = [ids[ids < limit] for ids in encoded(pieces.tokenizer, texts)]
    starts = np.concatenate([[0], np.cumsum([len(ids) for ids in found])])
    return Bags(pieces=np.concatenate(found), starts=starts)


def _table(
    recipe: Widening,
    encoder: SentenceTransformer,
    pieces: Pieces,
    translations: Translations,
    progress: Progress,
) -> torch.Tensor:
    body: Any = encoder.transformers_model
    before = body.get_input_embeddings().weight.detach()
    return align(
        before[list(pieces.known)],
        len(pieces) - len(pieces.known),
        translations,
        epochs=recipe.epochs,
        batch=recipe.batch,
        learning_rate=recipe.learning_rate,
        seed=recipe.seed,
        progress=lambda done, total: progress("aligning", done, total),
    )


def _put(encoder: SentenceTransformer, pieces: Pieces, table: torch.Tensor) -> None:
    """Give the encoder its new words, in place."""
    body: Any = encoder.transformers_model
    marks = {
        name: getattr(encoder.tokenizer, name)
        for name in ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    }
    limit = encoder.max_seq_length
    words: Any = encoder[0]
    words.processor = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]  # no stubs
        tokenizer_object=pieces.tokenizer,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        model_max_length=limit,
        **marks,
    )
    padding = encoder.tokenizer.pad_token_id
    words_of_body = nn.Embedding(len(table), table.shape[1], padding, _weight=table)
    body.set_input_embeddings(words_of_body)
    body.config.vocab_size, body.config.pad_token_id = len(table), padding


def _found(
    encoder: SentenceTransformer, dataset: Dataset, progress: Progress
) -> dict[str, dict[str, float]]:
    """The share of dev rows whose English side is the nearest among those of its language."""
    rows: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for pair in pairs(dataset, Part.DEV):
        if pair.english and len(rows[pair.language]) < _AMONG:
            rows[pair.language].append((pair.asked, pair.found))
    scores = {}
    for done, (tag, found) in enumerate(sorted(rows.items())):
        progress("scoring", done, len(rows))
        asked, wanted = (list(texts) for texts in zip(*found, strict=True))
        likeness = _vectors(encoder, asked) @ _vectors(encoder, wanted).T
        nearest = [wanted[at] for at in likeness.argmax(axis=1)]
        hits = sum(near == text for near, text in zip(nearest, wanted, strict=True))
        scores[tag] = {"rows": len(found), "recall@1": round(hits / len(found), 3)}
    return scores


def _vectors(encoder: SentenceTransformer, texts: list[str]) -> Any:
    return encoder.encode(texts, normalize_embeddings=True, show_progress_bar=False)
