"""Teaches a small dialogue model what a large one would say, token by token."""

from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from peft import TaskType
from torch import nn
from torch.nn import functional
from transformers import (
    AutoModelForCausalLM,
    DataCollatorForSeq2Seq,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    TrainingArguments,
)

from core.errors import Rejected
from workers.training.adversarial import AdversarialTrainer
from workers.training.dataset.folder import Dataset, Part
from workers.training.job import Job, arguments, by_language, patience
from workers.training.loading import (
    check_length,
    dropped_out,
    load_model,
    load_tokenizer,
    new_model,
    save_model,
    with_adapter,
)
from workers.training.recipe import Positive, Recipe, Share
from workers.training.sequences import IGNORED
from workers.training.tasks.chat import columns


class Distillation(Recipe):
    """Learn replies from rows, and from the chances that `teacher` gives to all other words.

    `soft` is the share of the loss that is the distance to the teacher, both at `temperature`; the
    rest is the loss of the rows (Hinton, Vinyals and Dean, arXiv 1503.02531). A `new` student gets
    the teacher's tokenizer, and `new.vocabulary` says nothing.
    """

    task: Literal["distillation"]
    teacher: str
    temperature: Positive = 2.0
    soft: Share = 0.7


class DistillingTrainer(AdversarialTrainer):
    """A Trainer that also draws the model's chances towards a teacher's.

    Dev rows are scored without the teacher, so that runs compare with those that have none.
    """

    teacher: PreTrainedModel
    temperature = 1.0
    soft = 0.5

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """The loss of the rows, mixed with the divergence from the teacher."""
        told = inputs["labels"][:, 1:] != IGNORED
        loss, outputs = super().compute_loss(
            model, inputs, return_outputs=True, num_items_in_batch=num_items_in_batch
        )
        if model.training:
            with torch.no_grad():
                seen = {name: inputs[name] for name in ("input_ids", "attention_mask")}
                taught = self.teacher(**seen).logits
            apart = self._divergence(outputs.logits[:, :-1][told], taught[:, :-1][told])
            # As the Trainer's own: a mean over the tokens of the whole update.
            count, processes = told.sum(), 1
            if num_items_in_batch is not None:
                count, processes = num_items_in_batch, self.accelerator.num_processes
            loss = (1 - self.soft) * loss + self.soft * apart * processes / count
        return (loss, outputs) if return_outputs else loss

    def _divergence(self, student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
        """Kullback and Leibler's, summed over tokens; logits are (tokens, vocabulary)."""
        # Either may be padded to a round number of rows.
        size = min(student.shape[-1], teacher.shape[-1])
        mine, other = (
            functional.log_softmax(logits[:, :size].float() / self.temperature, dim=-1)
            for logits in (student, teacher)
        )
        apart = functional.kl_div(mine, other, reduction="sum", log_target=True)
        # Gradients shrink with the square of the temperature.
        return apart * self.temperature**2


def build(recipe: Distillation, dataset: Dataset, checkpoints: Path) -> Job:
    """A trainer of the student.

    Raises: Rejected: teacher and student have other tokens, or no row is a conversation.
    """
    tokenizer = load_tokenizer(recipe.teacher)
    student = _student(recipe, tokenizer)
    teacher: Any = load_model(AutoModelForCausalLM, recipe.teacher)
    check_length(student.config, recipe.max_tokens, recipe.adapter)
    check_length(teacher.config, recipe.max_tokens)
    train, _ = columns(dataset, Part.TRAIN, tokenizer, recipe)
    dev, languages = columns(dataset, Part.DEV, tokenizer, recipe)
    trainer = DistillingTrainer(
        model=with_adapter(student, recipe.adapter, TaskType.CAUSAL_LM),
        args=arguments(recipe, len(train), checkpoints, of=TrainingArguments),
        train_dataset=train,
        eval_dataset=dev,
        data_collator=DataCollatorForSeq2Seq(tokenizer, label_pad_token_id=IGNORED),
        callbacks=patience(recipe),
    )
    trainer.adversary = recipe.adversary
    trainer.temperature, trainer.soft = recipe.temperature, recipe.soft
    trainer.teacher = teacher.eval().requires_grad_(False).to(trainer.args.device)
    return Job(
        trainer=trainer,
        save=partial(save_model, trainer.model, tokenizer),
        languages=by_language(dev, languages),
    )


def _student(recipe: Distillation, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
    if recipe.new is not None:
        return new_model(AutoModelForCausalLM, recipe.new, tokenizer, **dropped_out(recipe))
    if load_tokenizer(recipe.base).get_vocab() != tokenizer.get_vocab():
        raise Rejected(
            "teacher: has other tokens than the base, so their chances cannot be compared; choose"
            " two models of one family"
        )
    return load_model(AutoModelForCausalLM, recipe.base, **dropped_out(recipe))
