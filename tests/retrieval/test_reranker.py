from pathlib import Path

import pytest
import tokenizers
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

from core.adapters.database import Database
from core.adapters.documents import Document
from core.errors import Misconfigured
from core.turn import WorkspaceId
from retrieval.opening import open_retriever
from retrieval.reranker import CrossEncoderReranker
from tests.fakes.encoder import FakeEncoder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cross-encoder of random weights, small enough to make on the spot."""
    folder = tmp_path_factory.mktemp("reranker")
    words = {
        word: n for n, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "parcel", "back"])
    }
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]  # no stubs
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        unk_token="[UNK]",
        model_max_length=64,
    ).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=64,
        num_labels=1,  # type: ignore[call-arg]  # taken by the parent class
    )
    BertForSequenceClassification(config).save_pretrained(folder, safe_serialization=True)
    return folder


async def test_each_passage_gets_a_score(folder: Path) -> None:
    judged = await CrossEncoderReranker(folder).judge("parcel back", ["parcel", "back", "moon"])
    assert len(judged) == 3
    assert all(isinstance(score, float) for score in judged)


async def test_a_search_follows_the_rerankers_order(
    folder: Path, sqlite: Database, tmp_path: Path
) -> None:
    shop = WorkspaceId("shop")
    given = [
        Document(id=f"d{n}", title="t", text=text, language="en")
        for n, text in enumerate(["parcel", "parcel back", "back", "moon parcel"])
    ]
    async with open_retriever(
        sqlite, tmp_path / "data", encoder=FakeEncoder(), reranker=folder
    ) as retrieval:
        await retrieval.knowledge.put(shop, given)
        found = await retrieval.retriever.search(shop, "parcel back", language="en")
    texts = ["t\n" + passage.text for passage in found.passages]
    judged = await CrossEncoderReranker(folder).judge("parcel back", texts)
    assert len(judged) == 4
    assert list(judged) == sorted(judged, reverse=True)


def test_a_missing_model_is_refused_at_the_start() -> None:
    with pytest.raises(Misconfigured):
        CrossEncoderReranker("/no/such/folder")
