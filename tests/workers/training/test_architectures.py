"""The path of models that people know: prompt, adapt, train, merge, save, load elsewhere."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import PeftModel, TaskType
from pydantic import TypeAdapter
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer
from torch import nn
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

from core.turn import Author
from retrieval.encoder import open_encoder
from tests.workers.tiny_translator import build_m2m100, build_mbart50, build_nllb
from tests.workers.training import named_models
from tests.workers.training.small import ABOUT, write_dataset
from workers.training.dataset.examples import Evidence, Question, Reply, Said
from workers.training.loading import load_model, load_tokenizer, with_adapter
from workers.training.recipe import Adapter, read_recipe
from workers.training.start import AnyRecipe
from workers.training.tasks import chat, encoder

CHATS = {
    "qwen3": named_models.build_qwen3,
    "gemma3": named_models.build_gemma3,
    "aya": named_models.build_aya,
    "cohere2": named_models.build_cohere2,
}
TRANSLATORS = {"m2m100": build_m2m100, "nllb": build_nllb, "mbart": build_mbart50}
ADAPTERS = ("lora", "adalora", "ia3", "prefix")
PASSAGE = Evidence(text="You can return unused items within 30 days.")
# The company opens the conversation, and the customer writes twice.
ASKED = (
    Said(author=Author.BOT, text="Hello!"),
    Said(author=Author.CUSTOMER, text="Hi."),
    Said(author=Author.CUSTOMER, text="I bought shoes."),
    Said(author=Author.AGENT, text="Yes?"),
    Said(author=Author.CUSTOMER, text="Can I return them?"),
)
ROW = Reply(**ABOUT, lang="en", messages=ASKED, passages=(PASSAGE,), reply="Within 30 days [1].")


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A model folder by name, written once."""
    made: dict[str, Path] = {}

    def folder(name: str) -> Path:
        build: Any = {**CHATS, **TRANSLATORS}[name]
        if name not in made:
            made[name] = build(tmp_path_factory.mktemp(name) / "model")
        return made[name]

    return folder


def shown(folder: Path) -> tuple[str, str]:
    """What the model reads before its reply, and the reply to learn."""
    tokenizer = load_tokenizer(str(folder))
    tokens, start = chat.tokenize(tokenizer, chat.asked(ROW) or (), chat.learnt(ROW))
    return str(tokenizer.decode(tokens[:start])), str(tokenizer.decode(tokens[start:]))


@pytest.mark.parametrize(
    ("name", "begins", "before_reply", "learnt"),
    [
        (
            "qwen3",
            "<|im_start|>system\nYou answer customers",
            "<|im_end|>\n<|im_start|>assistant\n",
            "<think>\n\n</think>\n\nWithin 30 days [1].<|im_end|>\n",
        ),
        (
            "gemma3",
            "<bos><start_of_turn>user\nYou answer customers",
            "<end_of_turn>\n<start_of_turn>model\n",
            "Within 30 days [1].<end_of_turn>\n",
        ),
        (
            "aya",
            "<BOS_TOKEN><|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>You answer customers",
            "<|END_OF_TURN_TOKEN|><|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>",
            "Within 30 days [1].<|END_OF_TURN_TOKEN|>",
        ),
        (
            "cohere2",
            "<BOS_TOKEN><|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|># System Preamble",
            "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|><|START_RESPONSE|>",
            "Within 30 days [1].<|END_RESPONSE|><|END_OF_TURN_TOKEN|>",
        ),
    ],
)
def test_a_reply_is_learnt_behind_the_models_own_prompt(
    folder_of: Callable[[str], Path], name: str, begins: str, before_reply: str, learnt: str
) -> None:
    read, said = shown(folder_of(name))
    assert read.startswith(begins)
    assert "Hi.\n\nI bought shoes." in read
    assert read.endswith(before_reply)
    assert said == learnt


def logits(model: Any, tokenizer: Any) -> torch.Tensor:
    """For one short text, which a translator also writes."""
    tokens = tokenizer("good morning", return_tensors="pt")["input_ids"]
    more = {"decoder_input_ids": tokens} if model.config.is_encoder_decoder else {}
    with torch.no_grad():
        found: torch.Tensor = model.eval()(input_ids=tokens, **more).logits
    return found


@pytest.mark.parametrize("name", CHATS)
def test_lora_learns_merges_and_loads_as_any_model(
    folder_of: Callable[[str], Path], tmp_path: Path, name: str
) -> None:
    folder = folder_of(name)
    dataset = write_dataset(tmp_path / "data", [ROW] * 2, [ROW])
    recipe = chat.Chat(
        task="chat",
        dataset=dataset.folder,
        base=str(folder),
        adapter=Adapter(rank=4),
        batch=2,
        device_batch=2,
        max_tokens=4_000,
        max_steps=1,
        learning_rate=1e-2,
    )
    job = chat.build(recipe, dataset, tmp_path / "checkpoints")
    model = job.trainer.model
    # Four of attention and three behind it, in each of two layers; the last of all is left alone.
    assert len(model.targeted_module_names) == 14
    job.trainer.train()
    tokenizer = load_tokenizer(str(folder))
    adapted = logits(model, tokenizer)
    before = logits(load_model(AutoModelForCausalLM, str(folder)), tokenizer)
    assert not torch.allclose(adapted, before, atol=1e-3)
    job.save(tmp_path / "saved")
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "saved", dtype=torch.float32)
    torch.testing.assert_close(logits(merged, tokenizer), adapted, atol=1e-4, rtol=1e-4)
    saved = AutoTokenizer.from_pretrained(tmp_path / "saved")
    assert saved.chat_template == tokenizer.chat_template


@pytest.mark.parametrize("method", ADAPTERS)
@pytest.mark.parametrize("name", [*CHATS, *TRANSLATORS])
def test_every_adapter_fits(folder_of: Callable[[str], Path], name: str, method: Any) -> None:
    translates = name in TRANSLATORS
    form = AutoModelForSeq2SeqLM if translates else AutoModelForCausalLM
    base = load_model(form, str(folder_of(name)))
    tokenizer = load_tokenizer(str(folder_of(name)))
    before = logits(base, tokenizer)
    task = TaskType.SEQ_2_SEQ_LM if translates else TaskType.CAUSAL_LM
    model = with_adapter(base, Adapter(method=method, rank=4), task)
    assert isinstance(model, PeftModel)
    torch.manual_seed(1)
    for weight in model.parameters():
        if weight.requires_grad:
            nn.init.normal_(weight, std=0.5)
    adapted = logits(model, tokenizer)
    assert adapted.shape == before.shape
    assert not torch.allclose(adapted, before, atol=1e-3)
    if method != "prefix":
        merged = logits(model.merge_and_unload(), tokenizer)
        torch.testing.assert_close(merged, adapted, atol=1e-3, rtol=1e-3)


def blocks(language: str) -> list[str]:
    """The pieces of docs/models.md in a language."""
    page = (Path(__file__).parents[3] / "docs/models.md").read_text(encoding="utf-8")
    return [block.split("```")[0] for block in page.split(f"```{language}\n")[1:]]


def test_the_recipes_of_the_page_can_be_read(tmp_path: Path) -> None:
    path, tasks = tmp_path / "recipe.yaml", []
    for block in blocks("yaml"):
        path.write_text(block)
        tasks.append(read_recipe(path, TypeAdapter(AnyRecipe)).task)
    assert tasks == ["chat", "preference", "translation"]


def run_from_page(number: int, places: Mapping[str, Path]) -> None:
    """Run a piece of Python of docs/models.md with other names for its folders."""
    code = blocks("python")[number]
    for name, folder in places.items():
        assert name in code
        code = code.replace(name, str(folder))
    exec(code, {})


async def test_e5_finds_with_the_words_that_it_was_trained_with(tmp_path: Path) -> None:
    folder = named_models.build_e5(tmp_path / "e5")
    text = ["where is it?"]
    plain = SentenceTransformer(str(folder))
    # As it comes from the hub it is not told these words, and would search without them.
    bare = await open_encoder(folder).questions(text)
    np.testing.assert_allclose(bare, plain.encode(text), atol=1e-5)
    told = tmp_path / "told"
    run_from_page(1, {"intfloat/multilingual-e5-small": folder, "models/e5": told})
    taught = open_encoder(told)
    asked, found = await taught.questions(text), await taught.passages(text)
    np.testing.assert_allclose(asked, plain.encode(["query: where is it?"]), atol=1e-5)
    np.testing.assert_allclose(found, plain.encode(["passage: where is it?"]), atol=1e-5)
    assert not np.allclose(asked, found, atol=1e-3)
    # Vectors of before must not be searched with vectors of after.
    assert taught.id.partition("@")[2] != open_encoder(folder).id.partition("@")[2]


def test_e5_is_trained_with_the_words_that_it_searches_with(tmp_path: Path) -> None:
    told = tmp_path / "told"
    base = named_models.build_e5(tmp_path / "e5")
    run_from_page(1, {"intfloat/multilingual-e5-small": base, "models/e5": told})
    rows = [Question(**ABOUT, lang="en", query=f"where is {it}?", passage=it) for it in "abcd"]
    dataset = write_dataset(tmp_path / "data", rows, rows)
    recipe = encoder.Encoder(task="encoder", dataset=dataset.folder, base=str(told), batch=4)
    job = encoder.build(recipe, dataset, tmp_path / "checkpoints")
    batch = next(iter(job.trainer.get_train_dataloader()))
    read = job.trainer.model.tokenizer.batch_decode
    assert read(batch["asked_input_ids"])[0].startswith("<s> query: where is ")
    assert read(batch["found_input_ids"])[0].startswith("<s> passage: ")
    job.save(tmp_path / "saved")
    assert SentenceTransformer(str(tmp_path / "saved")).prompts["query"] == "query: "


async def test_bge_m3_takes_the_first_tokens_vector_and_no_prompt(tmp_path: Path) -> None:
    folder = named_models.build_bge_m3(tmp_path / "bge-m3")
    bge = open_encoder(folder)
    asked, found = await bge.questions(["where?"]), await bge.passages(["where?"])
    np.testing.assert_allclose(asked, found)
    model = SentenceTransformer(str(folder))
    first = model.encode("where?", output_value="token_embeddings")[0].numpy()
    np.testing.assert_allclose(asked[0], first / np.linalg.norm(first), atol=1e-5)


def test_pickled_weights_are_turned_into_safe_ones_as_the_page_says(
    folder_of: Callable[[str], Path], tmp_path: Path
) -> None:
    pickled, safe = tmp_path / "pickled", tmp_path / "safe"
    shutil.copytree(folder_of("m2m100"), pickled)
    torch.save(load_file(pickled / "model.safetensors"), pickled / "pytorch_model.bin")
    (pickled / "model.safetensors").unlink()
    run_from_page(0, {"facebook/m2m100_418M": pickled, "models/m2m100": safe})
    model = load_model(AutoModelForSeq2SeqLM, str(safe))
    assert logits(model, load_tokenizer(str(safe))).isfinite().all()
