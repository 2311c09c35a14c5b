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

import numpy as np
import structlog
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from benchmarks.calibration import DEMO, LABELLED, TOLD, quiet, rows
from core.adapters.generator import language_name
from core.prompt import NO_ANSWER, grounded_reply, is_number
from core.turn import Answer, Passage
from core.wishes import without_courtesies
from dragoman.composition import load_demo, open_core
from dragoman.settings import Settings
from retrieval.encoder import Encoder, open_encoder
from retrieval.topics import topic
from workers.evaluation.answers import ask, is_in_language
from workers.evaluation.metrics import auroc
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What search and model make of one question to the demo company.

    `search` and `model` are whether the first passage, and the one that the model names a sentence
    of, are of the right article. `probability` is the search's; `margin` is how far the logit of
    the best number is above that of declining.
    """

    answerable: bool
    search: bool
    model: bool
    probability: float
    margin: float


async def judged(model: Any, tokenizer: Any) -> Sequence[Judged]:
    """The demo company's labelled questions, each beside the passages that the product finds."""
    numbers = {at: text for text, at in tokenizer.get_vocab().items() if is_number(text)}
    known = torch.tensor(sorted(numbers))
    declines = tokenizer.convert_tokens_to_ids(NO_ANSWER)
    found = []
    with tempfile.TemporaryDirectory() as folder:
        async with open_core(Settings(data_dir=Path(folder)), model=False) as core:
            await load_demo(core, quiet)
            for row in [one for name in (LABELLED, TOLD) for one in rows(DEMO / name)]:
                hits = await core.retrieval.retriever.search(
                    core.workspace, without_courtesies(row["query"]), language=row["lang"]
                )
                if not hits.passages:
                    continue
                said = grounded_reply(
                    row["query"], hits.passages, language=language_name(row["lang"]), history=()
                )
                given = tokenizer.apply_chat_template(
                    [asdict(one) for one in said],
                    add_generation_prompt=True,
                    return_dict=True,
                    return_tensors="pt",
                )
                with torch.inference_mode():
                    logits = model(**given, logits_to_keep=1).logits[0, -1]
                best = int(logits[known].argmax())
                source = int(numbers[int(known[best])].strip("{}").split(".")[0]) - 1
                named = hits.passages[min(source, len(hits.passages) - 1)]
                found.append(
                    Judged(
                        answerable=row["doc_id"] is not None,
                        search=_is_about(hits.passages[0], row["doc_id"]),
                        model=_is_about(named, row["doc_id"]),
                        probability=hits.probability,
                        margin=float(logits[known[best]] - logits[declines]),
                    )
                )
    return found


def _is_about(passage: Passage, document: str | None) -> bool:
    """Whether it is of the document, or of its translation."""
    return document is not None and topic(passage.document, passage.language) == topic(
        document, document.partition("/")[0]
    )


def judged_table(found: Sequence[Judged]) -> str:
    """How far search and model are to be trusted about one question."""
    answerable = np.array([one.answerable for one in found])
    search = auroc(np.array([one.probability for one in found]), answerable)
    model = auroc(np.array([one.margin for one in found]), answerable)
    right = [one for one in found if one.answerable]
    return "\n".join(
        [
            f"| {len(found)} questions, {len(right)} with an answer | search | model |",
            "|---|---:|---:|",
            f"| the right article first | {_share([one.search for one in right])}"
            f" | {_share([one.model for one in right])} |",
            f"| tells what has an answer (AUROC) | {search:.3f} | {model:.3f} |",
        ]
    )


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
