"""Trains a sentence encoder: what belongs together gets vectors that point the same way."""

import shutil
import warnings
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, Self, cast

import torch
from datasets import Dataset as Columns
from datasets import DatasetDict
from peft import PeftModel, TaskType
from pydantic import Field, model_validator
from sentence_transformers import (
    SentenceTransformer,
    SentenceTransformerTrainingArguments,
)
from sentence_transformers.base.modules import Normalize
from sentence_transformers.base.sampler import NoDuplicatesBatchSampler
from sentence_transformers.sentence_transformer.losses import MatryoshkaLoss
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from transformers import AutoModel

from core.errors import Rejected
from workers.training.contrast import CachedContrast, Contrast, SortingCollator, Teacher
from workers.training.dataset.folder import Dataset, Part
from workers.training.encoders import encoder_folder, open_folder
from workers.training.job import Job, arguments, by_language, halved, patience
from workers.training.loading import adapter_config, dropped_out, new_model
from workers.training.pairs import (
    GROUP,
    Table,
    find_negatives,
    pairs,
    with_english,
    write_tables,
)
from workers.training.recipe import Count, Positive, Recipe
from workers.training.searching import EncoderTrainer, Search
from workers.training.tokenizer import tokenizer_for

_STATIC = "static"


class Encoder(Recipe):
    """Learn from rows that are a question and its passage, or a text and its translation.

    Without a `base`, the encoder that ships is the base; `english` names the one it was made of.
    `new.config` may be `{model_type: static, hidden_size: 256}` as well: one vector for each
    token, whose mean is the text's. All rows of a `batch` are each other's negatives; where it is
    larger than `device_batch`, each text is embedded twice to save memory. `hard_negatives` are
    how many passages that only look right go with each question: those of its row; or, with
    `mine`, for rows without any, those that the base takes for nearly right. With `apart`, no
    question shares its batch with another one of its `group`, whose passage may be right for it as
    well: then an update has fewer rows where one group has many. `max_tokens` cuts
    texts off while the model learns; it goes on to read as much as its base did. `dimensions` are
    shorter lengths at which a vector cut off there should do as well (Kusupati et al., arXiv
    2205.13147). A `teacher` is an encoder whose vectors of English texts are to be those of these
    texts and their translations: it alone reads the English side, and the distance to it is the
    share `teacher_weight` of the loss. What is saved has the share `keep` of its base's weights and
    the rest of those learnt (Wortsman et al., arXiv 2109.01903), so that less is forgotten; the
    figures of the run are of what was learnt alone.
    """

    task: Literal["encoder"]
    batch: Count = 256
    device_batch: Count = 256
    max_tokens: Annotated[int, Field(ge=8)] = 128
    temperature: Positive = 0.05
    hard_negatives: Annotated[int, Field(ge=0)] = 1
    mine: bool = False
    apart: bool = False
    dimensions: tuple[Count, ...] = ()
    teacher: str = ""
    teacher_weight: Annotated[float, Field(gt=0, le=1)] = 0.5
    keep: Annotated[float, Field(ge=0, lt=1)] = 0.0

    @model_validator(mode="after")
    def _starts_from_one_model(self) -> Self:
        if self.base and self.new is not None:
            raise ValueError("name either a base model or a new one")
        if self.new is not None and (self.adapter is not None or self.mine):
            raise ValueError("adapter and mine need a base that has learnt something")
        if self.keep and (self.new is not None or self.adapter is not None):
            raise ValueError("keep: only the weights of a base that all learn can be kept")
        return self

    @model_validator(mode="after")
    def _asks_for_what_there_is(self) -> Self:
        if self.adapter is not None and self.adapter.method not in ("lora", "ia3"):
            raise ValueError("adapter.method: an encoder takes lora or ia3")
        if self.label_smoothing or self.adversary or self.sharded:
            raise ValueError("label_smoothing, adversary and sharded are not for an encoder")
        if self.mine and not self.hard_negatives:
            raise ValueError("mine: says to find hard_negatives, of which there are to be 0")
        if self.mine and self.apart:
            raise ValueError("apart: what is mined knows no groups; leave one of the two out")
        return self


def build(recipe: Encoder, dataset: Dataset, checkpoints: Path) -> Job:
    """A trainer whose best checkpoint is the one of the highest nDCG@10 among all dev passages.

    Raises:
        Rejected: no row is a pair, or the recipe does not fit the model.
        Misconfigured: base or teacher is not to be had, or not safe to load.
    """
    model = _load(recipe, dataset, checkpoints / "new")
    if model.transformers_model is not None and not torch.cuda.is_available():
        # The fused attention of CPUs takes twice as long to go back through short texts.
        model.transformers_model.set_attn_implementation("eager")
    dev = list(pairs(dataset, Part.DEV))
    train = _train_tables(recipe, dataset, checkpoints, model)
    if not train or not dev:
        raise Rejected(f"{dataset.folder}: train and dev need rows of kind question or parallel")
    dev_columns = Columns.from_dict(
        {"asked": [pair.asked for pair in dev], "found": [pair.found for pair in dev]}
    )
    trainer = EncoderTrainer(
        model=_adapted(recipe, model),
        args=_arguments(recipe, sum(map(len, train.values())), checkpoints),
        # One alone is read a batch at a time, of several each row by itself.
        train_dataset=DatasetDict(train) if len(train) > 1 else next(iter(train.values())),
        eval_dataset=dev_columns,
        loss=_loss(recipe, model),
        evaluator=Search(dev_columns),
        data_collator=SortingCollator(
            model.preprocess,
            prompts=_prompts(model, train),
            max_length=min(recipe.max_tokens, model.max_seq_length or recipe.max_tokens),
            teacher=_teacher(recipe, model),
        ),
        callbacks=patience(recipe),
    )
    return Job(
        trainer=trainer,
        save=partial(_save, trainer.model, recipe),
        languages=by_language(dev_columns, [pair.language for pair in dev]),
    )


def _arguments(
    recipe: Encoder, rows: int, checkpoints: Path
) -> SentenceTransformerTrainingArguments:
    # The rows of one update are not spread over several passes: they are each other's negatives.
    whole = recipe.model_copy(update={"device_batch": recipe.batch})
    return arguments(
        whole,
        rows,
        checkpoints,
        of=SentenceTransformerTrainingArguments,
        best="ndcg@10",
        # The same text twice in a batch would be its own negative; 0 is to hash in this process.
        batch_sampler=partial(
            NoDuplicatesBatchSampler, precompute_hashes=True, precompute_num_proc=0
        ),
    )


def _train_tables(
    recipe: Encoder, dataset: Dataset, checkpoints: Path, model: SentenceTransformer
) -> Mapping[Table, Columns]:
    folder = checkpoints / "pairs"
    rows = pairs(dataset, Part.TRAIN)
    if recipe.teacher:
        rows = with_english(rows)
    tables = write_tables(rows, folder, recipe.hard_negatives, groups=recipe.apart)
    if recipe.mine:
        tables = find_negatives(tables, model, recipe.hard_negatives)
    return tables


def _prompts(model: SentenceTransformer, tables: Mapping[Table, Columns]) -> dict[str, str]:
    """What the model is told before each text when it searches, by column."""
    asked = model.prompts.get("query", "")
    # The names that the library looks for, in its order.
    known = [name for name in ("document", "passage", "corpus") if name in model.prompts]
    found = model.prompts[known[0]] if known else ""
    columns = {name for table in tables.values() for name in table.column_names} - {GROUP}
    told = {column: asked if column == "asked" else found for column in columns}
    return {column: prompt for column, prompt in told.items() if prompt}


def _load(recipe: Encoder, dataset: Dataset, folder: Path) -> SentenceTransformer:
    """The model to train; one that is made anew is kept in `folder` meanwhile."""
    if recipe.new is not None:
        return _new(recipe, dataset, folder)
    base = encoder_folder(recipe.base)
    return open_folder(base, changes=dropped_out(recipe.model_copy(update={"base": str(base)})))


def _new(recipe: Encoder, dataset: Dataset, folder: Path) -> SentenceTransformer:
    assert recipe.new is not None
    if recipe.new.config["model_type"] != _STATIC:
        tokenizer = tokenizer_for(recipe, dataset, "encoder")
        new_model(AutoModel, recipe.new, tokenizer, **dropped_out(recipe)).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return open_folder(folder, recipe.max_tokens)
    sizes = {key: value for key, value in recipe.new.config.items() if key != "model_type"}
    if list(sizes) != ["hidden_size"] or not isinstance(sizes["hidden_size"], int):
        raise Rejected("new.config: a static encoder has a hidden_size, such as 256, alone")
    if recipe.dropout is not None:
        raise Rejected("dropout: a static encoder has none to set; leave it out")
    # It has no architecture of its own, and its marks are never used.
    as_bert = recipe.new.model_copy(update={"config": {"model_type": "bert"}})
    tokenizer = tokenizer_for(recipe.model_copy(update={"new": as_bert}), dataset, "encoder")
    vectors = StaticEmbedding(cast("Any", tokenizer), embedding_dim=sizes["hidden_size"])
    return SentenceTransformer(modules=[vectors, Normalize()])


def _adapted(recipe: Encoder, model: SentenceTransformer) -> SentenceTransformer:
    if recipe.adapter is not None:
        body = model.transformers_model
        if body is None:
            raise Rejected("adapter: a static encoder has no matrices for one; leave it out")
        model.add_adapter(adapter_config(body, recipe.adapter, TaskType.FEATURE_EXTRACTION))
    return model


def _loss(recipe: Encoder, model: SentenceTransformer) -> Any:
    """Of the recipe; a static model needs no saving of memory."""
    loss: Any = Contrast(model, recipe.temperature, recipe.teacher_weight)
    if recipe.device_batch < recipe.batch and model.transformers_model is not None:
        loss = CachedContrast(model, recipe.temperature, recipe.teacher_weight, recipe.device_batch)
    if not recipe.dimensions:
        return loss
    full = _dimensions(model)
    if max(recipe.dimensions) > full:
        raise Rejected(f"dimensions: {max(recipe.dimensions)} is more than the model's {full}")
    return MatryoshkaLoss(model, loss, sorted({*recipe.dimensions, full}))


def _teacher(recipe: Encoder, model: SentenceTransformer) -> Teacher | None:
    if not recipe.teacher:
        return None
    teacher = open_folder(encoder_folder(recipe.teacher), recipe.max_tokens)
    wanted, given = _dimensions(teacher), _dimensions(model)
    if wanted != given:
        raise Rejected(f"teacher: its vectors have {wanted} numbers, those of the model {given}")
    return Teacher(teacher.eval(), halved=halved(recipe))


def _dimensions(model: SentenceTransformer) -> int:
    return cast("int", model.get_embedding_dimension())


def _save(model: SentenceTransformer, recipe: Encoder, folder: Path) -> None:
    """Write the model; low-rank weights are added to the base they were made for."""
    if recipe.adapter is not None:
        beside = folder.with_suffix(".adapter")
        cast("Any", model.transformers_model).save_pretrained(beside)
        model = open_folder(encoder_folder(recipe.base))
        with warnings.catch_warnings():
            # peft 0.21 asks transformers for a property by its old name.
            warnings.simplefilter("ignore", FutureWarning)
            beside_base = PeftModel.from_pretrained(cast("Any", model.transformers_model), beside)
        # It changes the model in place.
        beside_base.merge_and_unload()
        shutil.rmtree(beside)
    if recipe.keep:
        before = open_folder(encoder_folder(recipe.base)).state_dict()
        for name, weights in model.state_dict().items():
            if weights.is_floating_point():
                weights.lerp_(before[name].to(weights), recipe.keep)
    # Where it cuts texts off stays as it was used last, and that was to learn.
    tokenizer = getattr(model.tokenizer, "backend_tokenizer", None)
    if tokenizer is not None and model.max_seq_length is not None:
        tokenizer.enable_truncation(model.max_seq_length)
    model.save_pretrained(str(folder), create_model_card=False)
