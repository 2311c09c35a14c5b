"""What a dialogue model makes of questions that it has not learnt from, as Markdown.

Run: python -m benchmarks.dialogue --model FOLDER
"""

import argparse
import asyncio
import re
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import structlog
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from benchmarks.beside_search import judged, judged_table
from benchmarks.calibration import DEMO, quiet, rows
from core.turn import Answer
from dragoman.composition import load_demo, open_core
from dragoman.settings import Settings
from retrieval.encoder import Encoder, open_encoder
from workers.evaluation.answers import ask, is_in_language
from workers.evaluation.product import Product
from workers.training.dataset import public
from workers.training.dataset.examples import Reply
from workers.training.dataset.splitting import place
from workers.training.tasks.chat import asked

SUPPORT = Path("models/data")
# The `test` part of models/recipes/starter-dialogue-data.yaml. The encoder has learnt from none of
# its `dev` part either, by which the model is told how sure it has to be.
HELD_OUT = 0.13
# So many questions of each language are put to the model one after the other.
QUESTIONS = 40
MAX_TOKENS = 60
_QUOTE = re.compile(r"\{\d+\.\d+\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What became of one question beside passages.

    `model` and `encoder` are whether the first sentence that each names is one that answers.
    """

    answerable: bool
    named: bool
    model: bool
    encoder: bool
    tokens: int
    took_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What became of one question to the demo company."""

    written: bool
    verbatim: bool
    own_language: bool
    chars: int


def held_out() -> Mapping[str, Sequence[Reply]]:
    """Questions to topics that nothing of ours has learnt from, by language."""
    found: dict[str, list[Reply]] = defaultdict(list)
    for row in public.read(SUPPORT, "support"):
        if isinstance(row, Reply) and place(row.group) >= 1 - HELD_OUT:
            found[row.lang].append(row)
    return {tag: some[:: -(-len(some) // QUESTIONS)] for tag, some in sorted(found.items())}


async def read(row: Reply, model: Any, tokenizer: Any, encoder: Encoder) -> Read:
    """Ask the model as production would, and the encoder for the nearest sentence."""
    question = asked(row)
    assert question is not None
    said = [asdict(one) for one in question]
    began = time.perf_counter()
    given = tokenizer.apply_chat_template(
        said, add_generation_prompt=True, return_dict=True, return_tensors="pt"
    )
    with torch.inference_mode():
        whole = model.generate(**given, max_new_tokens=MAX_TOKENS, do_sample=False)
    new = whole[0, given["input_ids"].shape[1] :]
    took_s = time.perf_counter() - began
    reply = str(tokenizer.decode(new, skip_special_tokens=True))
    wanted = _QUOTE.findall(row.reply)
    first = next(iter(_QUOTE.findall(reply)), "")
    return Read(
        answerable=bool(wanted),
        named=bool(first),
        model=first in wanted,
        encoder=await _nearest(row, encoder) in wanted,
        tokens=len(new),
        took_s=took_s,
    )


async def _nearest(row: Reply, encoder: Encoder) -> str:
    """The name of the sentence whose vector is closest to the question's."""
    prompt = asked(row)
    assert prompt is not None
    lines = re.findall(r"^(.*) (\{\d+\.\d+\})$", prompt[-1].content, re.MULTILINE)
    [vector] = await encoder.questions([row.messages[-1].text])
    known = await encoder.passages([text for text, _ in lines])
    return str(lines[int((known @ vector).argmax())][1])


def reading_table(found: Mapping[str, Sequence[Read]]) -> Iterator[str]:
    """A row a language, and all in the first one."""
    yield (
        "| | questions | names a sentence | right where it does | the encoder there"
        " | the encoder on all | declines where nothing answers | tokens/s |"
    )
    yield "|---|" + "---:|" * 7
    for tag, some in {"all": [one for each in found.values() for one in each], **found}.items():
        known = [one for one in some if one.answerable]
        named = [one for one in some if one.named]
        cells = [
            str(len(some)),
            _share([one.named for one in known]),
            _share([one.model for one in named]),
            _share([one.encoder for one in named]),
            _share([one.encoder for one in known]),
            _share([not one.named for one in some if not one.answerable]),
            f"{sum(one.tokens for one in some) / sum(one.took_s for one in some):,.0f}",
        ]
        yield f"| {tag} | {' | '.join(cells)} |"


def _share(flags: Sequence[bool]) -> str:
    return f"{sum(flags) / len(flags):.2f}" if flags else ""


async def demo(model: str) -> Mapping[str, Sequence[Shown]]:
    """The demo company's labelled questions through the whole product, with a model or without."""
    found: dict[str, list[Shown]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder), model=model)
        async with open_core(settings) as core:
            await load_demo(core, quiet)
            product = Product(
                pipeline=core.pipeline,
                retrieval=core.retrieval,
                workspace=core.workspace,
                default_language=settings.default_language,
                precision=settings.precision,
                progress=quiet,
            )
            for row in rows(DEMO / "labelled.jsonl"):
                served = await ask(product, row["query"])
                if isinstance(served.outcome, Answer):
                    found[row["lang"]].append(
                        Shown(
                            written=bool(served.model),
                            verbatim=served.outcome.verbatim,
                            own_language=is_in_language(served, row["lang"]),
                            chars=len(served.outcome.text),
                        )
                    )
    return found


def demo_table(bare: Mapping[str, Sequence[Shown]], own: Mapping[str, Sequence[Shown]]) -> str:
    """A row a language: what the model changes."""
    lines = [
        "| | answers | by the model | verbatim | in the customer's language | without a model"
        " | characters | without a model |",
        "|---|" + "---:|" * 7,
    ]
    every = {"all": [one for some in own.values() for one in some], **own}
    before = {"all": [one for some in bare.values() for one in some], **bare}
    for tag, some in every.items():
        then = before.get(tag, ())
        cells = [
            str(len(some)),
            _share([one.written for one in some]),
            _share([one.verbatim for one in some]),
            _share([one.own_language for one in some]),
            _share([one.own_language for one in then]),
            f"{sum(one.chars for one in some) / len(some):.0f}",
            f"{sum(one.chars for one in then) / max(1, len(then)):.0f}",
        ]
        lines.append(f"| {tag} | {' | '.join(cells)} |")
    return "\n".join(lines)


async def main() -> None:
    """Measure and print."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dialogue")
    parser.add_argument("--model", type=Path, required=True, metavar="FOLDER")
    folder = parser.parse_args().model
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model: Any = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True)
    encoder = open_encoder(None)
    found: dict[str, list[Read]] = {}
    for tag, some in held_out().items():
        print(f"dialogue: {tag}…", file=sys.stderr, flush=True)
        found[tag] = [await read(row, model.eval(), tokenizer, encoder) for row in some]
    print("Questions to support articles of topics that were held out, with the passages shown.\n")
    print("\n".join(reading_table(found)))
    print("\nThe demo company's labelled questions, beside the passages that are found for them.\n")
    print(judged_table(await judged(model, tokenizer)))
    del model
    bare, own = await demo(""), await demo(str(folder))
    print("\nThe demo company's labelled questions that are answered, through the product.\n")
    print(demo_table(bare, own))


if __name__ == "__main__":
    with asyncio.Runner() as runner:
        runner.run(main())
