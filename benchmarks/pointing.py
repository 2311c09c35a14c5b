"""How fast a decoder learns to name the sentence that a question translates, as Markdown.

Run: python -m benchmarks.pointing [--updates 400] [--alone]

What the starter dialogue model has to learn first (decision 0011), made as small as it can be: two
to seven sentences with a mark after each, a question that is the translation of one of them, and
its mark as the answer. The decoder begins as the starter encoder with a causal mask and two layers
on top. Halfway up, the mark of the right sentence has to be closest to the question's end: that
loss is what `--alone` leaves out.
"""

import argparse
import copy
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.calibration import DATA, rows

MODEL = Path(__file__).parents[1] / "models" / "starter-encoder"
LANGUAGES = frozenset(
    [
        "zh",
        "es",
        "fr",
        "de",
        "pt",
        "it",
        "nl",
        "ru",
        "ja",
        "ko",
        "ar",
        "tr",
        "pl",
        "vi",
        "id",
        "uk",
        "hi",
    ]
)
FEWEST, MOST = 2, 7
MAX_PIECES = 28
HELD_OUT = 3_000
ROWS = 32
TESTED = 512
NEW_LAYERS = 2
RATE, NEW_RATE = 2e-4, 6e-4
WARMUP = 50
# Of cosines before their softmax.
SHARPNESS = 20.0

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Prompts (rows, length), where their marks stand (rows, MOST), and which is the right one.

    `ends` are the places of the question's end, `there` tells which marks a prompt has.
    """

    pieces: Tensor
    marks: Tensor
    there: Tensor
    ends: Tensor
    right: Tensor


def pairs() -> list[Pair]:
    """English sentences with their translations, in a fixed random order."""
    sources = (DATA / "tldr/pairs.jsonl.gz", DATA / "spree_i18n/pairs.jsonl.gz")
    found = [
        (row["eng"], row.get("query") or row["text"])
        for path in sources
        for row in rows(path)
        if row["lang"][:2] in LANGUAGES and 15 < len(row["eng"]) < 160
    ]
    random.Random(0).shuffle(found)
    return found


class Decoder(nn.Module):
    """The encoder read from left to right, with new layers on top and a word for each mark."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        encoder = SentenceTransformer(str(folder), device="cpu").float()
        self.tokenizer = cast("Any", encoder.tokenizer)
        self._bert = cast("Any", encoder[0]).auto_model.float()
        words = self._bert.embeddings.word_embeddings
        words.weight.requires_grad_(False)
        self._words = words
        # A word for each mark, and one for the end of a question.
        self._new = nn.Embedding(MOST + 1, words.embedding_dim)
        nn.init.normal_(self._new.weight, std=float(words.weight.std()))
        self.first = words.num_embeddings
        self._layers = self._bert.encoder.layer
        self._old = len(self._layers)
        for _ in range(NEW_LAYERS):
            self._layers.append(_fresh(self._layers[-1]))
        self.pieces: dict[str, list[int]] = {}

    def groups(self) -> list[dict[str, Any]]:
        """Its weights by how fast they learn."""
        new = {id(weight) for layer in self._layers[self._old :] for weight in layer.parameters()}
        every = [weight for weight in self.parameters() if weight.requires_grad]
        return [
            {"params": [weight for weight in every if id(weight) not in new], "lr": RATE},
            {"params": [weight for weight in every if id(weight) in new], "lr": NEW_RATE},
        ]

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The logits of the marks halfway, by likeness, and at the top, as words (rows, MOST)."""
        halfway, top = self._read(batch.pieces)
        each = torch.arange(len(batch.pieces))
        ends = functional.normalize(halfway[each, batch.ends].float(), dim=-1)
        marks = functional.normalize(halfway[each[:, None], batch.marks].float(), dim=-1)
        near = SHARPNESS * (marks @ ends[:, :, None]).squeeze(-1)
        said = top[each, batch.ends].float() @ self._new.weight[:MOST].T
        return near.masked_fill(~batch.there, -1e4), said

    def _read(self, pieces: Tensor) -> tuple[Tensor, Tensor]:
        known = self._words(pieces.clamp(max=self.first - 1))
        new = self._new((pieces - self.first).clamp(min=0))
        words = torch.where((pieces < self.first)[..., None], known, new)
        length = pieces.shape[1]
        unseen = torch.full((length, length), -1e4).triu(1)[None, None]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            hidden = self._bert.embeddings(inputs_embeds=words)
            halfway = hidden
            for number, layer in enumerate(self._layers):
                hidden = layer(hidden, attention_mask=unseen.to(hidden.dtype))
                if number == self._old - 1:
                    halfway = hidden
        return halfway, hidden

    def cut(self, text: str) -> list[int]:
        """The word pieces of a sentence."""
        if text not in self.pieces:
            told = self.tokenizer(
                text, add_special_tokens=False, truncation=True, max_length=MAX_PIECES
            )
            self.pieces[text] = told["input_ids"]
        return self.pieces[text]


def _fresh(layer: nn.Module) -> nn.Module:
    made = copy.deepcopy(layer)
    for part in made.modules():
        if isinstance(part, nn.Linear):
            nn.init.normal_(part.weight, std=0.02)
            nn.init.zeros_(part.bias)
    return made


def drawn(model: Decoder, known: Sequence[Pair], count: int, dice: random.Random) -> Batch:
    """Prompts in both directions: English sentences with a foreign question, or the reverse."""
    prompts: list[list[int]] = []
    marks: list[list[int]] = []
    right: list[int] = []
    for _ in range(count):
        chosen = dice.sample(known, dice.randint(FEWEST, MOST))
        right.append(dice.randrange(len(chosen)))
        side = dice.randrange(2)
        prompt = [model.tokenizer.cls_token_id]
        marks.append([])
        for number, pair in enumerate(chosen):
            prompt += model.cut(pair[side])
            marks[-1].append(len(prompt))
            prompt.append(model.first + number)
        question = model.cut(chosen[right[-1]][1 - side])
        prompts.append([*prompt, model.tokenizer.sep_token_id, *question, model.first + MOST])
    length = max(map(len, prompts))
    padding = model.tokenizer.pad_token_id
    return Batch(
        pieces=torch.tensor([one + [padding] * (length - len(one)) for one in prompts]),
        marks=torch.tensor([one + [0] * (MOST - len(one)) for one in marks]),
        there=torch.tensor([[n < len(one) for n in range(MOST)] for one in marks]),
        ends=torch.tensor([len(one) - 1 for one in prompts]),
        right=torch.tensor(right),
    )


def tested(model: Decoder, known: Sequence[Pair]) -> tuple[float, float, float]:
    """The share of unseen prompts whose mark is right, halfway, as it is said, and by guessing."""
    dice, found = random.Random(1), torch.zeros(3)
    model.eval()
    with torch.no_grad():
        for _ in range(TESTED // ROWS):
            batch = drawn(model, known, ROWS, dice)
            near, said = model(batch)
            said = said.masked_fill(~batch.there, -1e4)
            found += torch.stack(
                [
                    (near.argmax(1) == batch.right).sum(),
                    (said.argmax(1) == batch.right).sum(),
                    (1 / batch.there.sum(1)).sum(),
                ]
            )
    model.train()
    halfway, top, guessed = (found / TESTED).tolist()
    return halfway, top, guessed


def main() -> None:
    """Train, and print a row for each hundred updates."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--updates", type=int, default=400)
    parser.add_argument("--alone", action="store_true", help="without the loss halfway")
    chosen = parser.parse_args()
    torch.manual_seed(0)
    known, dice = pairs(), random.Random(0)
    model = Decoder(MODEL)
    model.train()
    optimiser = torch.optim.AdamW(model.groups(), weight_decay=0.01)
    speed = torch.optim.lr_scheduler.LambdaLR(
        optimiser,
        lambda done: min(1.0, (done + 1) / WARMUP) * max(0.05, 1 - done / chosen.updates),
    )
    print("| updates | minutes | loss | right | right halfway | by guessing |")
    print("|---:|---:|---:|---:|---:|---:|")
    began_s, loss_of = time.monotonic(), 0.0
    for done in range(1, chosen.updates + 1):
        batch = drawn(model, known[HELD_OUT:], ROWS, dice)
        near, said = model(batch)
        loss = functional.cross_entropy(said, batch.right)
        loss_of += float(loss)
        if not chosen.alone:
            loss = loss + functional.cross_entropy(near, batch.right)
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no type for it
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        speed.step()
        optimiser.zero_grad()
        print(f"pointing: {done} of {chosen.updates}", end="\r", file=sys.stderr, flush=True)
        if done % 100 == 0:
            halfway, top, guessed = tested(model, known[:HELD_OUT])
            minutes = (time.monotonic() - began_s) / 60
            print(
                f"| {done} | {minutes:.0f} | {loss_of / 100:.2f}"
                f" | {top:.2f} | {halfway:.2f} | {guessed:.2f} |",
                flush=True,
            )
            loss_of = 0.0


if __name__ == "__main__":
    main()
