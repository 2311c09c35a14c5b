"""Fine-tunes a dialogue model on the very prompts of production and the replies to them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self

from datasets import Dataset as Columns
from jinja2 import TemplateError
from peft import TaskType
from pydantic import model_validator
from transformers import (
    AutoModelForCausalLM,
    DataCollatorForSeq2Seq,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    TrainingArguments,
)

from core import prompt
from core.adapters.generator import tagged_name
from core.errors import Rejected
from core.prompt import Said
from core.turn import Message, Passage
from workers.training.contrast import Teacher
from workers.training.dataset.examples import (
    Condense,
    Conversation,
    Example,
    Parallel,
    Reply,
    Summary,
)
from workers.training.dataset.folder import Dataset, Part
from workers.training.encoders import encoder_folder, open_folder
from workers.training.job import Job, arguments, by_language, halved, patience
from workers.training.loading import (
    check_length,
    dropped_out,
    load_model,
    new_model,
    save_model,
    with_adapter,
)
from workers.training.pointing import pointing_at
from workers.training.recipe import Count, Recipe, Share
from workers.training.replying import TEXTS, ReplyTrainer
from workers.training.sequences import IGNORED
from workers.training.tokenizer import tokenizer_for


class Chat(Recipe):
    """Learn from every row that is a conversation, or a text and its translation.

    With `pointing_layer` the first so many layers are an encoder's, and replies name the numbers
    of sentences in their prompts: a way of learning that a small model needs for that, and the
    words as they are (`workers/training/pointing.py`). It first learns from the encoder as its
    `teacher`; then without, or it would never tell more than that. With `sure` it declines, once
    it has learnt, unless that share of the dev replies that still name a number is right: whoever
    asked is shown the whole passage then.
    """

    task: Literal["chat"]
    pointing_layer: Count | None = None
    teacher: str = ""
    sure: Share | None = None

    @model_validator(mode="after")
    def _can_be_sure(self) -> Self:
        if self.sure is not None and self.pointing_layer is None:
            raise ValueError("sure: is about the numbers of sentences; set pointing_layer too")
        if self.teacher and self.pointing_layer is None:
            raise ValueError("teacher: is one of pointing; set pointing_layer too")
        if self.pointing_layer is not None and (self.adapter or self.sharded):
            raise ValueError("pointing_layer: teaches a whole model; leave adapter and sharded out")
        return self


def build(recipe: Chat, dataset: Dataset, checkpoints: Path) -> Job:
    """A trainer whose loss counts the tokens of the reply alone.

    Raises: Rejected: the base has no chat template, or no row is short enough.
    """
    tokenizer = tokenizer_for(recipe, dataset, "decoder")
    tokenizer.padding_side = "left"
    points = recipe.pointing_layer is not None
    train, _ = columns(dataset, Part.TRAIN, tokenizer, recipe, texts=points)
    dev, languages = columns(dataset, Part.DEV, tokenizer, recipe, texts=points)
    model = _model(recipe, tokenizer)
    pointing = optimizer = None
    if recipe.pointing_layer is not None:
        pointing = pointing_at(recipe.pointing_layer, model, tokenizer, _teacher(recipe))
        optimizer = pointing.prepare(model, recipe.learning_rate, recipe.weight_decay)
    trainer = ReplyTrainer(
        model=with_adapter(model, recipe.adapter, TaskType.CAUSAL_LM),
        args=arguments(
            recipe,
            len(train),
            checkpoints,
            of=TrainingArguments,
            train_sampling_strategy="group_by_length",
        ),
        train_dataset=train,
        eval_dataset=dev,
        data_collator=partial(
            _collate, DataCollatorForSeq2Seq(tokenizer, label_pad_token_id=IGNORED)
        ),
        callbacks=patience(recipe),
        optimizers=(optimizer, None),
    )
    trainer.adversary = recipe.adversary
    trainer.pointing, trainer.sure = pointing, recipe.sure
    return Job(
        trainer=trainer,
        save=partial(save_model, trainer.model, tokenizer),
        languages=by_language(dev, languages),
    )


def _teacher(recipe: Chat) -> Teacher | None:
    if not recipe.teacher:
        return None
    encoder = open_folder(encoder_folder(recipe.teacher)).eval()
    return Teacher(encoder, halved=halved(recipe))


def _model(recipe: Chat, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
    changes = dropped_out(recipe)
    if recipe.pointing_layer is not None:
        # Fused attention takes half as long again to go back on a CPU; on an H200 its gradient was
        # not a number at the ninth update.
        changes["attn_implementation"] = "eager"
    if recipe.new is not None:
        model = new_model(AutoModelForCausalLM, recipe.new, tokenizer, **changes)
    else:
        model = load_model(AutoModelForCausalLM, recipe.base, **changes)
    check_length(model.config, recipe.max_tokens, recipe.adapter)
    return model


def asked(row: Example) -> tuple[Said, ...] | None:
    """What production would send the model for this row; None of rows that ask it nothing."""
    match row:
        case Reply():
            return prompt.grounded_reply(
                row.messages[-1].text,
                [_passage(number, row) for number in range(len(row.passages))],
                language=tagged_name(row.lang),
                history=_history(row),
            )
        case Condense():
            return prompt.condense(
                row.messages[-1].text, language=tagged_name(row.lang), history=_history(row)
            )
        case Summary():
            lines = (f"{said.author}: {said.text}" for said in row.messages)
            return prompt.summarise("\n".join(lines), language=tagged_name(row.lang))
        case Parallel():
            return prompt.translate(
                row.text,
                source=tagged_name(row.lang),
                target=tagged_name(row.target_lang),
            )
        case _:
            return None


def learnt(row: Example) -> str:
    """What the model should have answered."""
    match row:
        case Reply():
            return row.reply
        case Condense():
            return row.standalone
        case Summary():
            return row.summary
        case Parallel():
            return row.target
        case _:
            return ""


def tokenize(
    tokenizer: PreTrainedTokenizerBase, question: Sequence[Said], reply: str
) -> tuple[list[int], int]:
    """A conversation by the tokenizer's chat template.

    Returns: its tokens up to the end of the reply, and how many of them come before the reply.
    Raises: Rejected: the tokenizer has no template, or one that a reply changes or that refuses.
    """
    if not tokenizer.chat_template:
        raise Rejected("the base has no chat template, so it is no dialogue model")
    messages = [asdict(said) for said in question]
    try:
        before: Any = tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, return_dict=False
        )
        whole: Any = tokenizer.apply_chat_template(
            [*messages, {"role": "assistant", "content": reply}], return_dict=False
        )
    except TemplateError as error:
        said = " ".join((error.message or "").split())
        raise Rejected(f"the base's chat template cannot write our prompts ({said})") from error
    if whole[: len(before)] != before:
        raise Rejected("the base's chat template writes a conversation anew once it has a reply")
    return whole, len(before)


def columns(
    dataset: Dataset,
    part: Part,
    tokenizer: PreTrainedTokenizerBase,
    recipe: Recipe,
    *,
    texts: bool = False,
) -> tuple[Columns, list[str]]:
    """Tokens and labels of the rows that fit, and their languages.

    With `texts`, a column more has what a teacher of pointing reads.

    Raises: Rejected: there are none, or the tokenizer has no template.
    """
    rows: list[dict[str, Any]] = []
    languages = []
    for row in dataset.stream(part):
        question = asked(row)
        if question is None:
            continue
        tokens, start = tokenize(tokenizer, question, learnt(row))
        if len(tokens) <= recipe.max_tokens:
            labels = [IGNORED] * start + tokens[start:]
            taught = {TEXTS: _texts(row)} if texts else {}
            rows.append({"input_ids": tokens, "labels": labels, **taught})
            languages.append(row.lang)
    if not rows:
        raise Rejected(
            f"{dataset.folder}: its {part} part has no conversation of at most"
            f" {recipe.max_tokens} tokens"
        )
    return Columns.from_list(rows), languages


def _texts(row: Example) -> list[str]:
    """What numbers stand for, each sentence below its title, and what is asked in the end."""
    if not isinstance(row, Reply):
        return []
    shown = [
        f"{source.title}\n{sentence.strip()}"
        for at, source in enumerate(row.passages)
        for sentence in prompt.sentences(_passage(at, row))
    ]
    return [*shown, row.messages[-1].text]


def _collate(collator: DataCollatorForSeq2Seq, rows: Sequence[Mapping[str, Any]]) -> Any:
    """A batch, with the texts of its rows as they are."""
    texts = [row.get(TEXTS, []) for row in rows]
    batch = collator([{k: row[k] for k in ("input_ids", "labels")} for row in rows])
    return {**batch, TEXTS: texts}


def _passage(at: int, row: Reply) -> Passage:
    source = row.passages[at]
    return Passage(
        id=str(at),
        document=str(at),
        title=source.title,
        heading=source.heading,
        text=source.text,
        language=row.lang,
    )


def _history(row: Conversation) -> list[Message]:
    return [
        Message(author=said.author, text=said.text, language=row.lang) for said in row.messages[:-1]
    ]
