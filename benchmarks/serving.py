"""How fast a dialogue model writes and learns here, beside what the device allows, as Markdown.

Run: python -m benchmarks serving; for a model of yours: python -m benchmarks.serving --model FOLDER
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import numpy as np
import structlog
import torch
import transformers

from benchmarks.device import Best, Device, best, here
from benchmarks.generating import Batch, Written, write
from benchmarks.random_model import QWEN3_4B, QWEN3_600M, SMALL, Shape, build
from benchmarks.serving_load import Level, Server, articles, by_language, load, prompts
from benchmarks.training_step import FULL_FLOPS, LORA, LORA_FLOPS, Step, steps
from core.errors import DragomanError
from workers.model_server import serve_model


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much is measured, and how long it may take.

    Customers go on asking for `window_s` at each level. What has not begun after `serving_s`, the
    server's start included, and after `batches_s` is left out.
    """

    shapes: tuple[Shape, ...]
    at_once: tuple[int, ...] = (1, 8, 32, 128)
    reply_tokens: int
    window_s: float = 10.0
    serving_s: float
    batches_s: float
    row_tokens: int = 512
    batches: tuple[int, ...]
    training_s: float = 8.0
    best_s: float = 2.0


# Five minutes on two processors, eight on a GPU.
CPU = Plan(shapes=(SMALL,), reply_tokens=50, serving_s=160.0, batches_s=60.0, batches=(4,))
GPU = Plan(
    shapes=(QWEN3_600M, QWEN3_4B),
    reply_tokens=100,
    serving_s=130.0,
    batches_s=40.0,
    batches=(32, 16, 8, 4, 2, 1),
)
# The larger one, its cache and what it calculates with.
_GPU_BYTES = 24 * 2**30


def say(text: str) -> None:
    """Tell whoever waits how far it is."""
    print(f"serving: {text}…", file=sys.stderr, flush=True)


async def served(folder: Path, plan: Plan) -> list[Level]:
    """Every level that there is time for, by a server as production starts it.

    Raises: Misconfigured: the folder cannot be served.
    """
    until = time.monotonic() + plan.serving_s
    asked, levels = prompts(), []
    with tempfile.TemporaryDirectory() as data:
        async with (
            serve_model(folder, Path(data)) as running,
            httpx.AsyncClient(
                trust_env=False, timeout=None, limits=httpx.Limits(max_connections=None)
            ) as client,
        ):
            server = Server(
                client=client, url=running.url, model=running.model, max_tokens=plan.reply_tokens
            )
            for at_once in plan.at_once:
                say(f"{at_once} at once")
                # Kernels differ with how much there is to do.
                few, short = min(at_once, 8), replace(server, max_tokens=4)
                await load(short, asked, few, window_s=0, limit_s=until - time.monotonic())
                left_s = until - time.monotonic()
                if left_s <= 0:
                    break
                levels.append(
                    await load(server, asked, at_once, window_s=plan.window_s, limit_s=left_s)
                )
    return levels


def serving_table(
    levels: Sequence[Level], written: Written, limits: Best, plan: Plan
) -> Iterator[str]:
    """A row a level, and under the table what was not reached."""
    yield (
        "| at once | replies | tokens/s | first token s, p50 | p95 | whole reply s, p95"
        " | `generate`, tokens/s | first token s | limit, tokens/s |"
    )
    yield "|---:|" + "---:|" * 8
    by_size = {level.at_once: level for level in levels}
    for at_once in plan.at_once:
        most = f"{written.most_per_s(at_once, limits):,.0f}"
        cells = _level_cells(by_size.get(at_once)) + _batch_cells(written.batches[at_once])
        yield f"| {' | '.join([str(at_once), *cells, most])} |"
    yield ""
    yield from _cut_short(by_size, written, plan)


def _level_cells(level: Level | None) -> list[str]:
    if level is None:
        return ["not reached", "", "", "", ""]
    ended = len(level.whole_s)
    replies = str(ended) if ended == level.asked else f"{ended} of {level.asked}"
    cells = [replies, f"{level.tokens / level.took_s:,.0f}"]
    if not ended:
        return [*cells, "", "", ""]
    return [
        *cells,
        f"{statistics.median(level.first_s):.2f}",
        f"{np.percentile(level.first_s, 95):.2f}",
        f"{np.percentile(level.whole_s, 95):.2f}",
    ]


def _batch_cells(batch: Batch | str) -> list[str]:
    if isinstance(batch, str):
        return [batch, ""]
    return [f"{batch.tokens_per_s:,.0f}", f"{batch.first_s:.2f}"]


def _cut_short(by_size: Mapping[int, Level], written: Written, plan: Plan) -> Iterator[str]:
    for at_once, level in by_size.items():
        if level.cut_off:
            yield (
                f"- {at_once} at once: time was up after {level.took_s:.0f} s, with"
                f" {level.cut_off} replies unfinished, which count in the tokens alone."
            )
        if level.failed:
            yield f"- {at_once} at once: {level.failed} replies failed or were not whole."
    for at_once, batch in written.batches.items():
        if isinstance(batch, Batch) and batch.tokens < plan.reply_tokens:
            yield (
                f"- `generate`, {at_once} at once: no reply was longer than {batch.tokens} tokens,"
                " by its own end or because time was up."
            )


def training_table(found: Sequence[Step], limits: Best) -> Iterator[str]:
    """A row a kind of update."""
    yield "| update of | weights trained | rows | tokens/s | TFLOP/s | of the matrices' |"
    yield "|---|---:|---:|---:|---:|---:|"
    for step in found:
        if not step.batch:
            yield f"| {step.name} | {step.trained:,} | memory holds no row | | | |"
            continue
        yield (
            f"| {step.name} | {step.trained:,} | {step.batch} | {step.tokens_per_s:,.0f}"
            f" | {step.flops_per_s / 1e12:.3g} | {step.flops_per_s / limits.flops_per_s:.0%} |"
        )


def report(name: str, folder: Path, device: Device, limits: Best, plan: Plan) -> None:
    """Measure one model and print both tables."""
    levels: list[Level] = []
    trouble = ""
    try:
        with asyncio.Runner() as loop:
            levels = loop.run(served(folder, plan))
    except DragomanError as error:
        trouble = f"- `transformers serve` failed: {error}"
    say("generate")
    written = write(folder, device, plan.at_once, tokens=plan.reply_tokens, limit_s=plan.batches_s)
    print(
        f"### {name}\n\n{written.weights / 1e6:,.1f} M weights, of which"
        f" {written.weight_bytes / 1e6:,.0f} MB are read for a token;"
        f" {written.prompt_tokens:,.0f} tokens a prompt and at most {plan.reply_tokens} a reply.\n"
    )
    print("\n".join((*serving_table(levels, written, limits, plan), trouble)).strip() + "\n")
    say("training")
    found = steps(
        folder, device, tokens=plan.row_tokens, batches=plan.batches, for_s=plan.training_s
    )
    print("\n".join(training_table(found, limits)) + "\n", flush=True)


def introduction(device: Device, limits: Best, plan: Plan) -> str:
    """What was measured on, and how to read it."""
    kind = str(device.dtype).removeprefix("torch.")
    return (
        f"On {device.name}, torch {torch.__version__}, transformers {transformers.__version__}."
        f" It copies {limits.bytes_per_s / 1e9:,.0f} GB/s, read and written, and multiplies large"
        f" {kind} matrices at {limits.flops_per_s / 1e12:.3g} TFLOP/s.\n\n"
        "Customers of the demo company ask `transformers serve` by production's prompts, five"
        f" passages each, over HTTP, each again once answered, for {plan.window_s:.0f} s; the"
        " server is started as production starts it, and whoever finds its cache full waits."
        " `generate` answers such prompts as one padded batch in this process. The limit is what"
        " the copying speed allows if each token reads all weights, once for all replies, and the"
        " replies' keys and values: reading the prompts is not in it, and weights that a"
        " processor's cache holds may pass it.\n\n"
        f"One update at a time, rows of {plan.row_tokens} tokens, float32 weights multiplied in"
        f" {kind}, AdamW; LoRA of rank {LORA.rank} beside all linear layers. FLOPs are"
        f" {FULL_FLOPS} a weight and token for all weights, {LORA_FLOPS} for LoRA, without those"
        " of attention.\n"
    )


def main(arguments: Sequence[str], *, plan: Plan | None = None) -> None:
    """Print the Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="the folder of a dialogue model")
    model: Path | None = parser.parse_args(arguments).model
    # What is printed is the result; logs go beside it.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    device = here()
    plan = plan or _plan(device)
    say("what the device can do")
    limits = best(device, for_s=plan.best_s)
    print(introduction(device, limits, plan))
    if model is not None:
        report(model.name, model, device, limits, plan)
        return
    print("The weights are random, drawn so that no reply ends by itself.\n")
    texts = by_language(articles())
    for shape in plan.shapes:
        with tempfile.TemporaryDirectory() as folder:
            say(shape.name)
            build(shape, Path(folder), device, texts)
            device.free_bytes()
            report(f"In the shape of {shape.name}", Path(folder), device, limits, plan)


def _plan(device: Device) -> Plan:
    if device.where.type == "cpu":
        return CPU
    enough = device.free_bytes() >= _GPU_BYTES
    return GPU if enough else replace(GPU, shapes=(SMALL,))


if __name__ == "__main__":
    main(sys.argv[1:])
