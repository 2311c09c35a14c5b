"""What a model in hand would answer, many questions at a time."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from core.prompt import Said
from retrieval.writing import Progress


def write(
    model: Any,
    tokenizer: PreTrainedTokenizerBase,
    questions: Sequence[Sequence[Said]],
    *,
    max_new_tokens: int = 200,
    batch: int = 16,
    progress: Progress,
) -> list[str]:
    """The likeliest reply to each question, token by token (greedy), as production asks for it."""
    prompts = [
        tokenizer.apply_chat_template(
            [asdict(said) for said in question], add_generation_prompt=True, return_dict=False
        )
        for question in questions
    ]
    # Alike in length, they pad little; the longest first show at once whether memory suffices.
    order = sorted(range(len(prompts)), key=lambda at: -len(prompts[at]))
    replies = [""] * len(prompts)
    model.eval()
    for start in range(0, len(order), batch):
        progress("writing", start, len(order))
        places = order[start : start + batch]
        texts = _batch(model, tokenizer, [prompts[at] for at in places], max_new_tokens)
        for at, text in zip(places, texts, strict=True):
            replies[at] = text
    progress("writing", len(order), len(order))
    return replies


def _batch(
    model: Any,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Any],
    max_new_tokens: int,
) -> list[str]:
    padded = tokenizer.pad(
        {"input_ids": list(prompts)}, padding_side="left", return_tensors="pt"
    ).to(model.device)
    with torch.inference_mode():
        written = model.generate(
            **padded,
            max_new_tokens=max_new_tokens,
            do_sample=False,
            pad_token_id=tokenizer.pad_token_id,
        )
    begins = padded["input_ids"].shape[1]
    texts: list[str] = tokenizer.batch_decode(written[:, begins:], skip_special_tokens=True)
    return [text.strip() for text in texts]
