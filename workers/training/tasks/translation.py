"""Fine-tunes a sequence-to-sequence translator on texts and their translations."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import torch
from datasets import Dataset as Columns
from peft import TaskType
from pydantic import Field, model_validator
from transformers import (
    AutoModelForSeq2SeqLM,
    DataCollatorForSeq2Seq,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    TrainingArguments,
)
from transformers.models.m2m_100.modeling_m2m_100 import shift_tokens_right

from core.errors import Rejected
from workers.evaluation import text_metrics
from workers.training.adversarial import AdversarialTrainer
from workers.training.dataset.examples import Parallel
from workers.training.dataset.folder import Dataset, Part
from workers.training.job import Job, arguments, by_language, patience
from workers.training.loading import (
    check_length,
    dropped_out,
    load_model,
    load_tokenizer,
    save_model,
    with_adapter,
)
from workers.training.recipe import Recipe
from workers.translation import direct, translate_sentences

_BATCH = 16


class Translation(Recipe):
    """Learn from rows with a translation.

    `translated` counts the dev rows of each pair of languages that the trained model translates
    for BLEU and chrF; the loss is that of all dev rows.
    """

    task: Literal["translation"]
    translated: Annotated[int, Field(ge=0)] = 100

    @model_validator(mode="after")
    def _starts_from_one_that_translates(self) -> Self:
        if self.new is not None:
            raise ValueError(
                "new: a translator starts from a base that knows its languages; name one"
            )
        return self


def build(recipe: Translation, dataset: Dataset, checkpoints: Path) -> Job:
    """A trainer whose scores are told apart by pair of languages, such as `de-en`.

    Raises:
        Rejected: the base does not know a language, or no row is short enough.
        Misconfigured: the base is no translator of many languages.
    """
    tokenizer = load_tokenizer(recipe.base)
    model = load_model(AutoModelForSeq2SeqLM, recipe.base, **dropped_out(recipe))
    check_length(model.config, recipe.max_tokens, recipe.adapter)
    rows = {part: _by_pair(dataset, part) for part in (Part.TRAIN, Part.DEV)}
    columns = {part: _columns(rows[part], model, tokenizer, recipe) for part in rows}
    for part, (found, _) in columns.items():
        if not found:
            raise Rejected(
                f"{dataset.folder}: its {part} part has no translation of at most"
                f" {recipe.max_tokens} tokens"
            )
    (train, _), (dev, pairs) = columns[Part.TRAIN], columns[Part.DEV]
    trainer = TranslationTrainer(
        model=with_adapter(model, recipe.adapter, TaskType.SEQ_2_SEQ_LM),
        args=arguments(recipe, len(train), checkpoints, of=TrainingArguments),
        train_dataset=train,
        eval_dataset=dev,
        data_collator=_Collator(tokenizer, model=model),
        callbacks=patience(recipe),
    )
    trainer.adversary = recipe.adversary
    trainer.tokenizer = tokenizer
    # Weights that are spread over processes cannot write by themselves.
    if not recipe.sharded:
        trainer.samples = {pair: some[: recipe.translated] for pair, some in rows[Part.DEV].items()}
    return Job(
        trainer=trainer,
        save=partial(save_model, trainer.model, tokenizer),
        languages=by_language(dev, pairs),
    )


class TranslationTrainer(AdversarialTrainer):
    """A Trainer that translates some rows of each pair once it is done."""

    tokenizer: PreTrainedTokenizerBase
    samples: Mapping[str, Sequence[Parallel]] = {}

    def evaluate(
        self,
        eval_dataset: Any = None,
        ignore_keys: list[str] | None = None,
        metric_key_prefix: str = "eval",
    ) -> dict[str, float]:
        """The loss, with BLEU and chrF (0 to 100) where the prefix is that of a pair."""
        metrics: dict[str, float] = super().evaluate(eval_dataset, ignore_keys, metric_key_prefix)
        rows = self.samples.get(metric_key_prefix.removeprefix("eval_"), ())
        if rows and not self.is_in_train:
            scores = _scores(rows, self._translated(rows))
            metrics |= {f"{metric_key_prefix}_{name}": score for name, score in scores.items()}
        return metrics

    def _translated(self, rows: Sequence[Parallel]) -> list[str]:
        """Translations of rows that share their languages."""
        written: list[str] = []
        model: Any = self.model
        model.eval()
        for start in range(0, len(rows), _BATCH):
            texts = [row.text for row in rows[start : start + _BATCH]]
            with torch.inference_mode():
                written += translate_sentences(
                    model, self.tokenizer, texts, source=rows[0].lang, target=rows[0].target_lang
                )
        return written


class _Collator(DataCollatorForSeq2Seq):
    """Gives the decoder its inputs, which a model makes by itself only from labels it may see."""

    def __call__(self, features: Any, return_tensors: Any = None) -> Any:
        batch = super().__call__(features, return_tensors)  # type: ignore[no-untyped-call]  # no stubs
        if "decoder_input_ids" not in batch:
            model: Any = self.model
            config = model.config
            batch["decoder_input_ids"] = shift_tokens_right(
                batch["labels"], config.pad_token_id, config.decoder_start_token_id
            )
        return batch


def _by_pair(dataset: Dataset, part: Part) -> Mapping[str, list[Parallel]]:
    found: dict[str, list[Parallel]] = defaultdict(list)
    for row in dataset.rows(part, Parallel):
        found[f"{row.lang}-{row.target_lang}"].append(row)
    return found


def _columns(
    rows: Mapping[str, Sequence[Parallel]],
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    recipe: Translation,
) -> tuple[Columns, list[str]]:
    """Tokens and labels of the rows that fit, and their pairs."""
    fitting: list[dict[str, list[int]]] = []
    pairs = []
    for pair, some in rows.items():
        direction = direct(model, tokenizer, source=some[0].lang, target=some[0].target_lang)
        read = tokenizer(
            [direction.prefix + row.text for row in some], text_target=[row.target for row in some]
        )
        for tokens, labels in zip(read["input_ids"], read["labels"], strict=True):
            if max(len(tokens), len(labels)) <= recipe.max_tokens:
                fitting.append({"input_ids": tokens, "labels": labels})
                pairs.append(pair)
    return Columns.from_list(fitting), pairs


def _scores(rows: Sequence[Parallel], written: Sequence[str]) -> Mapping[str, float]:
    references = [[row.target] for row in rows]
    metrics = {"bleu": text_metrics.bleu(rows[0].target_lang), "chrf": text_metrics.chrf()}
    return {
        name: text_metrics.corpus_score(
            metric, text_metrics.statistics(metric, written, references)
        )
        for name, metric in metrics.items()
    }
