"""The benchmark of serving a model, on a few thousand weights and a fake server."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from benchmarks.device import Best, Device
from benchmarks.generating import Batch, Written, write
from benchmarks.random_model import SMALL, Shape, build
from benchmarks.serving import CPU, serving_table, training_table
from benchmarks.serving_load import Level, Prompt, Server, articles, by_language, load, prompts
from benchmarks.training_step import steps
from tests.fakes.model import FakeModel, Mood, fake_model
from tests.patience import PATIENCE_S
from workers.model_server import check_folder

DEVICE = Device(where=torch.device("cpu"), name="a processor", dtype=torch.float32)
BEST = Best(bytes_per_s=1_000.0, flops_per_s=1e9)
SIZES = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "head_dim": 16}
HEADS = {"num_attention_heads": 2, "num_key_value_heads": 1}
TINY = Shape(name="tiny", config={**SMALL.config, **SIZES, **HEADS}, vocabulary=400)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(TINY, tmp_path_factory.mktemp("model"), DEVICE, by_language(articles()))


@pytest.fixture(scope="module")
def asked() -> tuple[Prompt, ...]:
    return tuple(islice(prompts(), 600))


@pytest.fixture
async def fake() -> AsyncIterator[FakeModel]:
    async with fake_model() as running:
        running.mood, running.text = Mood.SAYS, "one two three four"
        yield running


@pytest.fixture
async def server(fake: FakeModel) -> AsyncIterator[Server]:
    async with httpx.AsyncClient(trust_env=False, timeout=None) as client:
        yield Server(client=client, url=fake.url, model=fake.name, max_tokens=9)


def test_customers_ask_from_sources_and_never_the_same(asked: Sequence[Prompt]) -> None:
    said = [one[-1]["content"] for one in asked]
    assert len(set(said)) == len(said)
    assert all("[4]" in one for one in said)


async def test_each_reply_counts_its_tokens_and_seconds(
    server: Server, asked: Sequence[Prompt]
) -> None:
    level = await load(server, iter(asked), 3, window_s=0, limit_s=PATIENCE_S)
    assert (level.asked, level.tokens, level.cut_off, level.failed) == (3, 12, 0, 0)
    assert all(0 < a <= b for a, b in zip(level.first_s, level.whole_s, strict=True))
    assert level.took_s >= max(level.whole_s)


async def test_replies_that_take_too_long_are_told_apart(
    server: Server, fake: FakeModel, asked: Sequence[Prompt]
) -> None:
    fake.mood = Mood.STALLS_HALFWAY
    level = await load(server, iter(asked), 2, window_s=0, limit_s=0.2)
    assert (level.asked, level.cut_off, level.whole_s) == (2, 2, [])


@pytest.mark.parametrize("mood", [Mood.ERROR, Mood.CUT, Mood.EMPTY])
async def test_replies_that_fail_are_counted(
    server: Server, fake: FakeModel, mood: Mood, asked: Sequence[Prompt]
) -> None:
    fake.mood = mood
    level = await load(server, iter(asked), 2, window_s=0, limit_s=PATIENCE_S)
    assert (level.asked, level.failed, level.cut_off) == (2, 2, 0)


def test_a_random_model_can_be_served_and_never_ends(folder: Path) -> None:
    check_folder(folder)
    written = write(folder, DEVICE, (1, 3), tokens=12, limit_s=PATIENCE_S)
    assert all(isinstance(one, Batch) and one.tokens == 12 for one in written.batches.values())
    assert written.weight_bytes == 4 * written.weights
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    model: Any = AutoModelForCausalLM.from_pretrained(folder)
    tokens = tokenizer("Where is my order?", return_tensors="pt").input_ids
    reply = model.generate(tokens, max_new_tokens=12, do_sample=False)[0, tokens.shape[1] :]
    assert all(tokenizer.decode([token]).strip().isalpha() for token in reply)


def test_a_server_can_tell_where_a_reply_begins(folder: Path, asked: Sequence[Prompt]) -> None:
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    text = tokenizer.apply_chat_template(asked[0], add_generation_prompt=True, tokenize=False)
    assert text.endswith(tokenizer.response_template["start_anchor"])


def test_both_kinds_of_update_are_measured(folder: Path) -> None:
    full, lora = steps(folder, DEVICE, tokens=16, batches=(2,), for_s=0)
    assert full.batch == lora.batch == 2
    assert lora.trained > 0
    assert full.flops_per_s / full.tokens_per_s == pytest.approx(6 * full.trained)
    assert lora.flops_per_s / lora.tokens_per_s == pytest.approx(4 * full.trained)
    assert len(list(training_table([full, lora], BEST))) == 4


def test_the_table_says_what_was_not_reached() -> None:
    written = Written(
        batches={1: Batch(tokens=50, tokens_per_s=7.0, first_s=0.5), 8: "memory does not hold it"},
        weights=45,
        weight_bytes=90,
        cache_bytes=10,
        prompt_tokens=50.0,
    )
    level = Level(at_once=1, asked=3, tokens=20, took_s=4.0, first_s=[0.5], whole_s=[2.0])
    plan = replace(CPU, at_once=(1, 8))
    _, _, one, eight, _, note = serving_table([level], written, BEST, plan)
    assert one == "| 1 | 1 of 3 | 5 | 0.50 | 0.50 | 2.00 | 7 | 0.50 | 10 |"
    assert eight == "| 8 | not reached |  |  |  |  | memory does not hold it |  | 47 |"
    assert "2 replies unfinished" in note
