"""Trains a tokenizer in which small languages have their share of the vocabulary.

Byte-level BPE: any text comes back as it went in, up to NFKC, and nothing is unknown. On held-out
text of eight languages it needs fewer tokens than BPE over characters with bytes to fall back on,
since no place in the vocabulary is kept for rare characters.
"""

import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import cycle
from typing import Any, Literal

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import (
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from core.errors import Rejected
from core.prompt import NO_ANSWER
from workers.training.dataset.balancing import shares
from workers.training.dataset.examples import Conversation, Example, Reply
from workers.training.dataset.folder import Dataset, Part
from workers.training.dataset.texts import spoken
from workers.training.loading import load_tokenizer, new_config
from workers.training.recipe import New, Recipe

Purpose = Literal["encoder", "decoder"]

# A word with the space before it, one digit, signs, spaces. Marks (\p{M}) belong to words in the
# scripts of India and to the vowels of Arabic.
_WORDS = Regex(r" ?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+|\s+(?!\S)|\s")
# More changes the vocabulary little, and takes minutes.
_MAX_CHARACTERS = 10_000_000
# Of one token; keeps phrases that a script without spaces repeats out of the vocabulary.
_MAX_BYTES = 48

_SPECIAL: Mapping[Purpose, Mapping[str, str]] = {
    "encoder": {
        "pad_token": "[PAD]",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "mask_token": "[MASK]",
    },
    "decoder": {"pad_token": "<|pad|>", "eos_token": "<|end|>"},
}
_ROLES = ("<|system|>", "<|user|>", "<|assistant|>")
# What a customer writes must not be read as a mark: nobody else may speak as the system.
_TEMPLATE = (
    "{%- for message in messages -%}"
    "{%- set said = SAID -%}"
    "{{ '<|' + message.role + '|>' + (said | replace('<|', '< |')) + '<|end|>' }}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|assistant|>' }}{%- endif -%}"
)
# Where a reply begins and ends in it. A server that is not told takes the marks of the
# architecture's first model, finds none and streams the prompt as if it were the reply.
_REPLY = {
    "defaults": {"role": "assistant"},
    "start_anchor": "<|assistant|>",
    "fields": {"content": {"close": "<|end|>", "content": "text"}},
}
# As many sentences as passages have in a prompt.
_SOURCES, _SENTENCES = 6, 30
_SAID = {
    "whole": "message.content",
    "first_line": "message.content.split('\n')[0] if message.role == 'system' else message.content",
}


def tokenizer_for(recipe: Recipe, dataset: Dataset, purpose: Purpose) -> PreTrainedTokenizerBase:
    """That of the base, or a new one of all that the train part says.

    Raises: Rejected, Misconfigured: as `load_tokenizer` and `train_tokenizer` do.
    """
    if recipe.new is None:
        return load_tokenizer(recipe.base)
    if recipe.new.layers and purpose == "decoder":
        return _chatting(load_tokenizer(recipe.new.words), recipe.new)
    return train_tokenizer(texts_by_language(dataset.stream(Part.TRAIN)), recipe.new, purpose)


def _chatting(tokenizer: PreTrainedTokenizerBase, new: New) -> PreTrainedTokenizerBase:
    """An encoder's tokenizer that knows a chat's roles, and each sentence's number as one token."""
    marks = [
        f"{{{source}.{at}}}" for source in range(1, _SOURCES + 1) for at in range(1, _SENTENCES + 1)
    ]
    tokenizer.add_special_tokens(
        {"eos_token": _SPECIAL["decoder"]["eos_token"], "additional_special_tokens": [*_ROLES]}
    )
    tokenizer.add_tokens([AddedToken(text, normalized=False) for text in (*marks, NO_ANSWER)])
    tokenizer.model_max_length = new.config.get(
        "max_position_embeddings", tokenizer.model_max_length
    )
    tokenizer.model_input_names = _inputs(new_config(new))
    tokenizer.chat_template = _TEMPLATE.replace("SAID", _SAID[new.system])
    tokenizer.response_template = _REPLY
    return tokenizer


def texts_by_language(rows: Iterable[Example]) -> Mapping[str, Sequence[str]]:
    """All that the rows say, under the tags of the languages it is said in.

    Of a conversation a model also reads what comes before the part that it learns.
    """
    found: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        for text, tag in spoken(row):
            found[tag].append(text)
        if isinstance(row, Conversation):
            found[row.lang] += [said.text for said in row.messages]
        if isinstance(row, Reply):
            found[row.lang] += [passage.text for passage in row.passages]
    return found


def train_tokenizer(
    texts: Mapping[str, Sequence[str]], new: New, purpose: Purpose
) -> PreTrainedTokenizerBase:
    """A tokenizer for a model of `new`; the same texts give the same one.

    Raises: Rejected: there is one language only, or too little text for so large a vocabulary.
    """
    if len(texts) == 1 and new.temperature > 1:
        raise Rejected(
            f"all texts are in one language ({next(iter(texts))}), so that a tokenizer cannot be"
            " balanced: add rows in others, or set new.temperature: 1"
        )
    config = new_config(new)
    special = [*_SPECIAL[purpose].values(), *(_ROLES if purpose == "decoder" else ())]
    tokenizer = _bpe(texts, new, special)
    if purpose == "encoder":
        tokenizer.post_processor = bert_like(tokenizer)
    template = _TEMPLATE.replace("SAID", _SAID[new.system]) if purpose == "decoder" else None
    wrapped = _wrapped(tokenizer, purpose, config, template)
    _check_it_loads(wrapped, config)
    return wrapped


def _bpe(texts: Mapping[str, Sequence[str]], new: New, special: list[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(_WORDS, "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=new.vocabulary,
        min_frequency=2,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        max_token_length=_MAX_BYTES,
        show_progress=False,
    )
    tokenizer.train_from_iterator(balanced(texts, new.temperature), trainer)
    if tokenizer.get_vocab_size() < new.vocabulary:
        raise Rejected(
            f"new.vocabulary: the texts yield {tokenizer.get_vocab_size()} tokens, not"
            f" {new.vocabulary}: add texts, or set it to at most that"
        )
    return tokenizer


def balanced(texts: Mapping[str, Sequence[str]], temperature: float) -> Iterator[str]:
    """The texts of each language over and over until it has its share of all characters."""
    sizes = {tag: sum(map(len, texts[tag])) for tag in sorted(texts)}
    size = min(sum(sizes.values()), _MAX_CHARACTERS)
    for tag, share in shares(sizes, temperature).items():
        left = share * size
        for text in cycle(texts[tag]):
            yield text
            left -= len(text)
            if left <= 0:
                break


def bert_like(tokenizer: Tokenizer) -> Any:
    """What puts BERT's marks around one text, or two."""
    marks = [(mark, tokenizer.token_to_id(mark)) for mark in ("[CLS]", "[SEP]")]
    return processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=marks
    )


def _wrapped(
    tokenizer: Tokenizer, purpose: Purpose, config: PretrainedConfig, template: str | None
) -> PreTrainedTokenizerBase:
    decoder = purpose == "decoder"
    wrapped: PreTrainedTokenizerBase = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]  # no stubs
        tokenizer_object=tokenizer,
        **_SPECIAL[purpose],
        additional_special_tokens=list(_ROLES) if decoder else None,
        model_input_names=_inputs(config),
        clean_up_tokenization_spaces=False,
        chat_template=template,
    )
    if decoder:
        wrapped.response_template = _REPLY
    return wrapped


def _inputs(config: PretrainedConfig) -> list[str]:
    """What the architecture takes; some are told which of two texts a token belongs to."""
    types = ["token_type_ids"] if getattr(config, "type_vocab_size", 0) > 1 else []
    return ["input_ids", *types, "attention_mask"]


def _check_it_loads(tokenizer: PreTrainedTokenizerBase, config: PretrainedConfig) -> None:
    """Refuse an architecture whose folders transformers always reads with its own tokenizer."""
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        config.save_pretrained(folder)
        loaded = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    # Composed and decomposed, with digits: own tokenizers differ in at least one of these.
    probe = "ﬁ e\u0301 12345 नमस्ते, 你好"
    if type(loaded) is not type(tokenizer) or loaded(probe) != tokenizer(probe):
        raise Rejected(
            f"new.config: transformers reads a {config.model_type} folder with a tokenizer of its"
            " own, not with a new one: take another model_type, such as llama, qwen3 or bert"
        )
