"""Models that got smaller and still do what they did."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoTokenizer,
    BertConfig,
    BertForMaskedLM,
)

from core.errors import DragomanError, Misconfigured, Rejected, Unavailable
from retrieval.encoder import SentenceEncoder
from retrieval.model_folder import check_safe
from retrieval.onnx_encoder import GRAPH
from tests.workers import tiny_model
from tests.workers.training.small import ABOUT, build_encoder, silent, write_dataset
from workers.model_server import check_folder
from workers.training.compression.compress import compress
from workers.training.compression.vocabulary import prune
from workers.training.dataset.examples import Text

COVERED = "You can return unused items."
TEXTS = (COVERED, "You can return unused items within 30 days.", "Where is my parcel? It is late.")


def run(tmp_path: Path, base: Path, **settings: Any) -> Any:
    path = tmp_path / "smaller.yaml"
    path.write_text(yaml.safe_dump({"task": "compression", "base": str(base), **settings}))
    return compress(path, tmp_path / "out", silent)


def corpus(tmp_path: Path) -> str:
    row = Text(**ABOUT, lang="en", paragraphs=(COVERED,))
    write_dataset(tmp_path / "corpus", [row], [row])
    return "corpus"


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    plain = build_encoder(tmp_path / "plain", TEXTS, hidden_size=64, vocab_size=200)
    body = Transformer(str(plain))
    steps = [body, Pooling(body.get_embedding_dimension()), Normalize()]
    SentenceTransformer(modules=steps, device="cpu").save(str(tmp_path / "encoder"))
    return tmp_path / "encoder"


def chances(folder: Path, text: str = COVERED) -> torch.Tensor:
    """Of each token after the one before it."""
    tokens = AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt")
    model = AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        logits = model(**tokens).logits.float()
    following = tokens["input_ids"][0, 1:, None]
    told: torch.Tensor = logits[0, :-1].gather(1, following)[:, 0]
    return told


def test_int8_weights_take_a_quarter_and_say_nearly_the_same(tmp_path: Path) -> None:
    base = tiny_model.build(tmp_path / "base")
    result = run(tmp_path, base, weights="int8")
    model = tmp_path / "out/model"
    assert result["after"]["weights_mb"] < 0.5 * result["before"]["weights_mb"]
    torch.testing.assert_close(chances(model), chances(base), atol=5e-3, rtol=0)
    # Fit to be served.
    check_folder(model)
    with pytest.raises(Rejected, match="compressed already"):
        compress(_again(tmp_path, model), tmp_path / "twice", silent)


def _again(tmp_path: Path, base: Path) -> Path:
    path = tmp_path / "again.yaml"
    path.write_text(yaml.safe_dump({"task": "compression", "base": str(base), "weights": "int8"}))
    return path


def test_an_output_head_that_is_the_embedding_is_stored_once(tmp_path: Path) -> None:
    base = tiny_model.build(tmp_path / "base")
    model = AutoModelForCausalLM.from_pretrained(base)
    model.config.tie_word_embeddings = True
    model.lm_head.weight = model.model.embed_tokens.weight
    model.save_pretrained(base)
    run(tmp_path, base, weights="int8")
    torch.testing.assert_close(chances(tmp_path / "out/model"), chances(base), atol=5e-3, rtol=0)
    small = AutoModelForCausalLM.from_pretrained(tmp_path / "out/model")
    assert small.lm_head.weight is small.model.embed_tokens.weight


def test_bfloat16_weights_take_half(tmp_path: Path) -> None:
    result = run(tmp_path, tiny_model.build(tmp_path / "base"), weights="bfloat16")
    assert result["after"]["weights_mb"] == pytest.approx(
        0.5 * result["before"]["weights_mb"], rel=0.1
    )


def test_a_decoder_of_fewer_tokens_says_the_same_on_covered_text(tmp_path: Path) -> None:
    base = tiny_model.build(tmp_path / "base")
    result = run(tmp_path, base, corpus=corpus(tmp_path))
    model = tmp_path / "out/model"
    assert result["tokens"]["after"] < result["tokens"]["before"]
    torch.testing.assert_close(chances(model), chances(base))
    before, after = (AutoTokenizer.from_pretrained(folder) for folder in (base, model))
    assert after.tokenize(COVERED) == before.tokenize(COVERED)
    # What is not covered is cut into more pieces, but nothing is lost.
    assert after.decode(after("Wie geht's, 世界? days")["input_ids"]) == "Wie geht's, 世界? days"
    assert after.apply_chat_template([{"role": "user", "content": "Hi"}], tokenize=False)
    assert after.convert_tokens_to_ids("<|end|>") == after.eos_token_id
    config = json.loads((model / "config.json").read_text())
    assert config["eos_token_id"] == after.eos_token_id


def test_an_encoder_of_fewer_tokens_and_dimensions_gives_the_same_vectors(
    tmp_path: Path, encoder: Path
) -> None:
    result = run(tmp_path, encoder, corpus=corpus(tmp_path), dimensions=16)
    assert result["dimensions"] == {"before": 64, "after": 16}
    whole = SentenceTransformer(str(encoder), device="cpu").encode([COVERED])[:, :16]
    small = SentenceTransformer(str(tmp_path / "out/model"), device="cpu").encode([COVERED])
    np.testing.assert_allclose(small, whole / np.linalg.norm(whole), atol=1e-5)
    check_safe(tmp_path / "out/model")


def test_all_at_once_still_finds_the_same_text(tmp_path: Path, encoder: Path) -> None:
    run(tmp_path, encoder, corpus=corpus(tmp_path), dimensions=32, weights="int8")
    whole, small = (
        SentenceTransformer(str(folder), device="cpu")
        for folder in (encoder, tmp_path / "out/model")
    )
    first = whole.encode([COVERED])[:, :32]
    assert (first @ small.encode([COVERED]).T) / np.linalg.norm(first) > 0.99


@pytest.mark.parametrize("kind", ["unigram", "bytes"])
def test_other_tokenizers_are_pruned_as_well(tmp_path: Path, kind: str) -> None:
    tokenizer = _tokenizer(kind)
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
    )
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    model: Any = BertForMaskedLM(config)
    model.eval()
    ids = torch.tensor([tokenizer.encode(COVERED).ids])
    before = model(ids).logits
    numbers = prune(tmp_path, model, [COVERED])
    assert len(numbers) < tokenizer.get_vocab_size()
    pruned = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    after = model(torch.tensor([pruned.encode(COVERED).ids])).logits
    kept = torch.tensor(sorted(numbers))
    torch.testing.assert_close(after, before[:, :, kept])
    model.save_pretrained(tmp_path)
    assert AutoModelForMaskedLM.from_pretrained(tmp_path).config.vocab_size == len(numbers)


def _tokenizer(kind: str) -> Tokenizer:
    if kind == "unigram":
        tokenizer = Tokenizer(models.Unigram())
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        tokenizer.decoder = decoders.Metaspace()
        trainer: Any = trainers.UnigramTrainer(
            vocab_size=60, unk_token="<unk>", special_tokens=["<unk>", "<pad>"], show_progress=False
        )
    else:
        tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>"))
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        tokens = ["<unk>", "<pad>", *(f"<0x{byte:02X}>" for byte in range(256))]
        trainer = trainers.BpeTrainer(vocab_size=340, special_tokens=tokens, show_progress=False)
    tokenizer.train_from_iterator(TEXTS * 3, trainer)
    return tokenizer


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({}, "give at least one of corpus, dimensions, weights"),
        ({"weights": "int4"}, "weights: input should be 'int8' or 'bfloat16'"),
        ({"corpus": "nowhere"}, "nowhere: holds no dataset"),
        ({"dimensions": 16}, "dimensions: the base is no sentence encoder"),
        ({"base": "nothing", "weights": "int8"}, "nothing: no such model folder"),
    ],
)
def test_a_wrong_recipe_names_what_is_wrong(
    tmp_path: Path, settings: dict[str, Any], fault: str
) -> None:
    base = tiny_model.build(tmp_path / "base")
    with pytest.raises(DragomanError, match=fault):
        run(tmp_path, **{"base": base, **settings})


def test_a_second_call_finds_the_model_done_unless_the_recipe_is_another(tmp_path: Path) -> None:
    base = tiny_model.build(tmp_path / "base")
    first = run(tmp_path, base, weights="bfloat16")
    made = (tmp_path / "out/model/model.safetensors").stat().st_mtime_ns
    assert run(tmp_path, base, weights="bfloat16") == first
    assert (tmp_path / "out/model/model.safetensors").stat().st_mtime_ns == made
    with pytest.raises(Rejected, match=r"holds a run of another recipe \(weights differ\)"):
        run(tmp_path, base, weights="int8")


def test_a_corpus_that_was_built_anew_is_read_anew(tmp_path: Path) -> None:
    base = tiny_model.build(tmp_path / "base")
    named = corpus(tmp_path)
    run(tmp_path, base, corpus=named)
    row = Text(**ABOUT, lang="en", paragraphs=("Another text.",))
    write_dataset(tmp_path / named, [row], [row])
    with pytest.raises(Rejected, match="holds a run on other rows"):
        run(tmp_path, base, corpus=named)


def test_more_dimensions_than_there_are_is_said(tmp_path: Path, encoder: Path) -> None:
    with pytest.raises(Rejected, match="dimensions: the base's vectors have 64"):
        run(tmp_path, encoder, dimensions=65)


def test_a_folder_without_a_transformer_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    with pytest.raises(Misconfigured, match=r"holds no \*\.safetensors"):
        run(tmp_path, folder, weights="int8")


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder that is told what it reads, and its graphs in float32 and int8."""
    folder = tmp_path_factory.mktemp("graphs")
    body = Transformer(str(build_encoder(folder / "plain", TEXTS, hidden_size=64)))
    steps = [body, Pooling(body.get_embedding_dimension()), Normalize()]
    told = {"query": "find: ", "document": "read: "}
    SentenceTransformer(modules=steps, prompts=told, device="cpu").save(str(folder / "weights"))
    for precision in ("float32", "int8"):
        (folder / precision).mkdir()
        run(folder / precision, folder / "weights", graph=precision)
    return folder


@pytest.mark.long
async def test_a_graph_gives_the_vectors_of_its_encoder(graphs: Path) -> None:
    as_graph = SentenceEncoder(graphs / "float32" / "out" / "model", threads=1)
    as_weights = SentenceEncoder(graphs / "weights", threads=1)
    texts = [*TEXTS, "", "parcel " * 300]
    for graph, weights in (
        (await as_graph.questions(texts), await as_weights.questions(texts)),
        (await as_graph.passages(texts), await as_weights.passages(texts)),
    ):
        assert np.abs(graph - weights).max() < 1e-4
    assert as_graph.id != as_weights.id


@pytest.mark.long
async def test_an_int8_graph_is_smaller_and_nearly_the_same(graphs: Path) -> None:
    whole, small = (graphs / precision / "out" / "model" for precision in ("float32", "int8"))
    assert (small / GRAPH).stat().st_size < (whole / GRAPH).stat().st_size
    found = await SentenceEncoder(small, threads=1).questions(TEXTS)
    wanted = await SentenceEncoder(whole, threads=1).questions(TEXTS)
    assert (found * wanted).sum(axis=1).min() > 0.9


@pytest.mark.long
def test_a_graph_is_read_without_torch(graphs: Path) -> None:
    program = (
        "import asyncio, sys; from pathlib import Path;"
        "from retrieval.encoder import SentenceEncoder;"
        f"encoder = SentenceEncoder(Path({str(graphs / 'int8' / 'out' / 'model')!r}), threads=1);"
        "found = asyncio.run(encoder.questions(['Where is my parcel?']));"
        "assert found.shape == (1, 64); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_a_graph_can_only_be_of_a_sentence_encoder(tmp_path: Path) -> None:
    base = tiny_model.build(tmp_path / "decoder")
    with pytest.raises(DragomanError, match="no folder of sentence-transformers"):
        run(tmp_path, base, graph="float32")
    assert not (tmp_path / "out" / "model").exists()


@pytest.mark.long
async def test_a_broken_graph_is_told_in_a_line(graphs: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(graphs / "int8" / "out" / "model", folder)
    (folder / GRAPH).write_bytes(b"not a graph")
    with pytest.raises(Unavailable, match=r"encoder\.onnx cannot be loaded"):
        await SentenceEncoder(folder, threads=1).questions(["Where is my parcel?"])
