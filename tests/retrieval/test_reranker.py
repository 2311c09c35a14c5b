import asyncio
import shutil
import threading
from pathlib import Path

import pytest
import tokenizers
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

from core.adapters.database import Database
from core.adapters.documents import Document
from core.errors import Misconfigured, Unavailable
from core.turn import WorkspaceId
from retrieval.opening import open_retriever
from retrieval.reranker import CrossEncoderReranker
from tests.fakes.encoder import FakeEncoder
from tests.patience import until


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


async def test_one_that_cannot_be_loaded_is_told_before_anybody_asks(
    folder: Path, sqlite: Database, tmp_path: Path
) -> None:
    broken = shutil.copytree(folder, tmp_path / "broken")
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    async with open_retriever(
        sqlite, tmp_path / "data", encoder=FakeEncoder(), reranker=broken
    ) as retrieval:
        with pytest.raises(Unavailable, match=r"^reranker: .*broken cannot be loaded") as caught:
            await retrieval.warm()
    assert "\n" not in str(caught.value)


async def test_the_first_customer_finds_it_loaded(
    folder: Path, sqlite: Database, tmp_path: Path
) -> None:
    model = shutil.copytree(folder, tmp_path / "model")
    shop = WorkspaceId("shop")
    async with open_retriever(
        sqlite, tmp_path / "data", encoder=FakeEncoder(), reranker=model
    ) as retrieval:
        await retrieval.knowledge.put(
            shop, [Document(id="d", title="t", text="parcel", language="en")]
        )
        await retrieval.warm(shop)
        # From here on it could not be.
        shutil.rmtree(model)
        assert (await retrieval.retriever.search(shop, "parcel", language="en")).passages


async def test_who_gives_up_waiting_does_not_have_it_loaded_again(folder: Path) -> None:
    reranker = CrossEncoderReranker(folder)
    asking = asyncio.create_task(reranker.judge("parcel", ["back"]))
    await until(lambda: any(t.name.startswith("reranker") for t in threading.enumerate()))
    asking.cancel()
    asked_again = asyncio.create_task(reranker.judge("parcel", ["back"]))
    await until(lambda: reranker._model is not None)
    loaded = reranker._model
    await asked_again
    assert reranker._model is loaded


def test_a_missing_model_is_refused_at_the_start() -> None:
    with pytest.raises(Misconfigured):
        CrossEncoderReranker("/no/such/folder")
