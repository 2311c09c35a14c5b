"""Models and tokenizers in and out of folders, in a form that can run no code but ours."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import peft
import torch
from peft.utils.constants import TRANSFORMERS_MODELS_TO_IA3_TARGET_MODULES_MAPPING
from transformers import (
    AutoConfig,
    AutoModel,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from core.errors import Misconfigured, Rejected
from retrieval.model_folder import check_safe, model_folder
from workers.training.recipe import Adapter, New, Recipe

# What the loaders of transformers raise over a folder that is not what it says it is.
_LOADING = (OSError, ValueError, KeyError, RuntimeError, ImportError, TypeError, AttributeError)
# What queries and keys of new layers are multiplied with, so that they look at little.
_SHARP = 3.0
# Their first token has the position after that of padding.
_COUNTS_FROM_PADDING = frozenset(
    {
        "camembert",
        "data2vec-text",
        "ibert",
        "longformer",
        "luke",
        "mpnet",
        "roberta",
        "roberta-prelayernorm",
        "xlm-roberta",
        "xlm-roberta-xl",
        "xmod",
    }
)
# The layers that IA3 scales, by the names that architectures give them.
_IA3 = (
    ("k_proj", "v_proj", "down_proj"),
    ("k_proj", "v_proj", "fc2"),
    ("key", "value", "output.dense"),
)


def load_tokenizer(base: str) -> PreTrainedTokenizerBase:
    """The tokenizer of a model folder or hub id; one without padding pads with its end mark.

    Raises: Misconfigured: there is none, or it is not safe to load.
    """
    folder = check_safe(model_folder(base))
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            folder, trust_remote_code=False, local_files_only=True
        )
    except _LOADING as error:
        raise Misconfigured(f"{folder}: its tokenizer cannot be loaded ({_line(error)})") from error
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_config(base: str) -> PretrainedConfig:
    """What architecture a model folder or hub id has, in which sizes.

    Raises: Misconfigured: there is none, or transformers does not know it.
    """
    folder = check_safe(model_folder(base))
    try:
        config: PretrainedConfig = AutoConfig.from_pretrained(
            folder, trust_remote_code=False, local_files_only=True
        )
    except _LOADING as error:
        raise Misconfigured(f"{folder}: its config.json cannot be used ({_line(error)})") from error
    return config


def load_model(form: Any, base: str, **changes: object) -> PreTrainedModel:
    """The model of a folder or hub id as `form`, an Auto class of transformers, in float32.

    `changes` replace entries of its configuration; a head that the base lacks begins at random.

    Raises: Misconfigured: there is none, it is not safe to load, or it cannot do this task.
    """
    folder = check_safe(model_folder(base))
    known = {key: value for key, value in changes.items() if value is not None}
    try:
        model: PreTrainedModel = form.from_pretrained(
            folder,
            dtype=torch.float32,
            trust_remote_code=False,
            use_safetensors=True,
            local_files_only=True,
            **known,
        )
    except _LOADING as error:
        raise Misconfigured(f"{folder}: cannot be loaded for this task ({_line(error)})") from error
    return model


def new_config(new: New, **changes: object) -> PretrainedConfig:
    """The architecture of a model from scratch.

    Raises: Rejected: transformers does not know it, or it refuses the sizes.
    """
    try:
        config: PretrainedConfig = AutoConfig.for_model(**{**new.config, **changes})
    except _LOADING as error:
        raise Rejected(f"new.config: {_line(error)}") from error
    return config


def new_model(
    form: Any, new: New, tokenizer: PreTrainedTokenizerBase, **changes: object
) -> PreTrainedModel:
    """A model of random weights; set the seed before.

    Raises:
        Rejected: transformers knows no such architecture for this, or it refuses the sizes.
        Misconfigured: the encoder that it is to have its words from cannot be loaded.
    """
    # A mark that the tokenizer lacks has no number: an architecture's own may be past the last one.
    special = {
        name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")
    }
    config = new_config(new, **changes, **special, vocab_size=len(tokenizer))
    try:
        model: PreTrainedModel = form.from_config(config, trust_remote_code=False)
    except _LOADING as error:
        raise Rejected(f"new.config: {_line(error)}") from error
    if new.words:
        _learn_words(model, tokenizer, new)
    return model


@torch.no_grad()
def _learn_words(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, new: New) -> None:
    """Give each token the mean of the vectors that an encoder has for its text.

    What is alike in two languages is alike from the first step. Source: WECHSEL, arXiv 2112.06598.
    """
    encoder = new.words
    read, whole = load_tokenizer(encoder), load_model(AutoModel, encoder)
    known: Any = whole.get_input_embeddings()
    layer: Any = model.get_input_embeddings()
    own = layer.weight
    if known.weight.shape[1] != own.shape[1]:
        raise Rejected(
            f"new.words: the vectors of {encoder} have {known.weight.shape[1]} numbers, those of"
            f" new.config {own.shape[1]}"
        )
    if new.layers:
        _take_layers(model, whole)
        # The tokens that it has are the first ones of the new tokenizer.
        own[: len(known.weight)] = known.weight
        own[len(known.weight) :].normal_(std=float(known.weight.std()))
        return
    texts = [str(tokenizer.decode([number])).strip() for number in range(len(tokenizer))]
    found = read(texts, add_special_tokens=False)["input_ids"]
    # Of parts of characters nothing is known.
    places = [at for at, text in enumerate(texts) if found[at] and "\ufffd" not in text]
    learnt = torch.stack([known(torch.tensor(found[at])).mean(dim=0) for at in places])
    learnt -= learnt.mean(dim=0)
    own[places] = learnt * (own.std() / learnt.std())


def _take_layers(model: PreTrainedModel, encoder: PreTrainedModel) -> None:
    """Begin with all weights of an encoder but those of its words.

    Source: Rothe et al., arXiv 1907.12461. Where there are more positions than the encoder has,
    these repeat (Beltagy et al., arXiv 2004.05150).
    """
    body: Any = model.base_model
    words = encoder.get_input_embeddings().weight
    wanted = dict(body.named_parameters())
    known = dict(encoder.named_parameters())
    for name, weight in known.items():
        if name not in wanted or weight is words:
            continue
        own: torch.Tensor = wanted[name]
        given: torch.Tensor = weight
        if "position" in name:
            given = _positions(known, name, len(own), types="token_type" not in " ".join(wanted))
        if own.shape != given.shape:
            raise Rejected(
                f"new.layers: {name} is {list(given.shape)} in the encoder, and"
                f" {list(own.shape)} as new.config says"
            )
        own.copy_(given)
    if not any("layer" in name and name in wanted for name in known):
        raise Rejected(
            f"new.layers: the encoder is a {encoder.config.model_type}, new.config is not"
        )
    for name in wanted.keys() - known.keys():
        if name.endswith(("query.weight", "key.weight")):
            # A new layer begins by looking at what is alike (Trockman and Kolter, 2305.09828).
            torch.nn.init.eye_(wanted[name]).mul_(_SHARP)


def _positions(
    known: Mapping[str, torch.Tensor], name: str, count: int, *, types: bool
) -> torch.Tensor:
    """What an encoder adds to tokens by their places; with `types`, as those of a first text."""
    given = known[name].repeat(-(-count // len(known[name])), 1)[:count]
    kinds = [weight for other, weight in known.items() if "token_type" in other] if types else []
    return sum((kind[0] for kind in kinds), start=given)


def positions(config: PretrainedConfig, adapter: Adapter | None = None) -> int | None:
    """How many tokens of a text an architecture has positions for; None if for any number."""
    count: int | None = getattr(config, "max_position_embeddings", None)
    # XLNet and its kin say -1.
    if count is None or count < 0:
        return None
    if config.model_type in _COUNTS_FROM_PADDING:
        count -= (config.pad_token_id or 0) + 1
    if adapter is not None and adapter.method == "prefix":
        count -= adapter.rank
    return count


def check_length(config: PretrainedConfig, max_tokens: int, adapter: Adapter | None = None) -> None:
    """Refuse rows that are longer than what an architecture has positions for.

    Raises: Rejected: as said.
    """
    limit = positions(config, adapter)
    if limit is not None and max_tokens > limit:
        raise Rejected(f"max_tokens: {max_tokens} is more than the {limit} this model can take")


def dropped_out(recipe: Recipe) -> dict[str, object]:
    """The configuration entries that set every dropout of the recipe's model.

    Raises: Rejected: its architecture has no dropout.
    """
    if recipe.dropout is None:
        return {}
    config = new_config(recipe.new) if recipe.new else load_config(recipe.base)
    names = [
        name for name, value in config.to_dict().items() if "dropout" in name and _is_rate(value)
    ]
    if not names:
        raise Rejected(f"dropout: {config.model_type} has none to set; leave it out")
    return dict.fromkeys(names, recipe.dropout)


def with_adapter(model: PreTrainedModel, adapter: Adapter | None, task: peft.TaskType) -> Any:
    """The model with new weights to train beside frozen ones; itself where no adapter is asked.

    Raises: Rejected: this adapter does not fit this architecture.
    """
    if adapter is None:
        return model
    try:
        with warnings.catch_warnings():
            # peft 0.21 asks transformers for a property by its old name.
            warnings.simplefilter("ignore", FutureWarning)
            return peft.get_peft_model(model, adapter_config(model, adapter, task))
    except _LOADING as error:
        raise Rejected(
            f"{adapter.method} does not fit {model.config.model_type} ({_line(error)}); try lora"
        ) from error


def save_model(
    model: Any,
    tokenizer: PreTrainedTokenizerBase,
    folder: Path,
    weights: Mapping[str, torch.Tensor] | None = None,
) -> None:
    """Write weights and tokenizer; low-rank weights are added to the base they were made for.

    Virtual tokens cannot be added: a prefix stays beside its base, which its folder names.
    `weights` stand in for those of a model that is spread over processes.
    """
    if isinstance(model, peft.PeftModel) and not model.active_peft_config.is_prompt_learning:
        model = model.merge_and_unload()
    model.save_pretrained(folder, state_dict=weights)
    tokenizer.save_pretrained(folder)


def count_parameters(model: torch.nn.Module) -> tuple[int, int]:
    """How many weights are trained, and how many there are."""
    sizes = [(weight.numel(), weight.requires_grad) for weight in model.parameters()]
    return sum(size for size, trained in sizes if trained), sum(size for size, _ in sizes)


def adapter_config(
    model: PreTrainedModel, adapter: Adapter, task: peft.TaskType
) -> peft.PeftConfig:
    """The adapter in peft's words, with the weights of the model that it goes beside."""
    if adapter.method == "prefix":
        return peft.PrefixTuningConfig(task_type=task, num_virtual_tokens=adapter.rank)
    if adapter.method == "ia3":
        return peft.IA3Config(task_type=task, **_ia3_targets(model))
    shared: dict[str, Any] = {
        "task_type": task,
        "target_modules": "all-linear",
        "lora_alpha": adapter.alpha,
        "lora_dropout": adapter.dropout,
    }
    if task is peft.TaskType.TOKEN_CLS:
        # The head is trained whole; peft leaves it out by itself for whole texts only.
        shared["exclude_modules"] = ["classifier", "score"]
    if adapter.method == "lora":
        return peft.LoraConfig(r=adapter.rank, **shared)
    # `ranks.py` sets the number of updates, which its schedule needs, once it is known.
    return peft.AdaLoraConfig(
        init_r=adapter.rank + adapter.rank // 2, target_r=adapter.rank, total_step=1, **shared
    )


def _ia3_targets(model: PreTrainedModel) -> dict[str, Any]:
    """The names of keys, values and the last feed-forward layer, where peft has no list of them."""
    if model.config.model_type in TRANSFORMERS_MODELS_TO_IA3_TARGET_MODULES_MAPPING:
        return {}
    paths = [f".{path}" for path, _ in model.named_modules()]
    for names in _IA3:
        if all(any(path.endswith(f".{name}") for path in paths) for name in names):
            return {"target_modules": list(names), "feedforward_modules": list(names[2:])}
    raise Rejected(f"ia3 does not know the layers of {model.config.model_type}; try lora")


def _is_rate(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _line(error: Exception) -> str:
    """The first line of what a library says, which is where it says it."""
    text = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return text[:300] or type(error).__name__
