"""A dialogue model made of nothing but a sentence encoder's words, which points at sentences."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoTokenizer

from core import prompt
from core.errors import Rejected
from core.turn import Author
from tests.workers.training.small import ABOUT, build_encoder, silent, write_dataset
from workers.model_server import check_folder
from workers.training import start
from workers.training.dataset.examples import Evidence, Reply, Said
from workers.training.pointing import least_margin
from workers.training.replying import prefix_mask
from workers.training.sequences import IGNORED
from workers.training.tasks.chat import asked, tokenize

THINGS = ("lamps", "shoes", "tables", "coats", "clocks", "books", "cups", "rings")
NEW = {
    "config": {
        "model_type": "qwen3",
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "tie_word_embeddings": True,
    },
    "vocabulary": 315,
    "temperature": 1,
    "words": "encoder",
    "system": "first_line",
}

POINTING: dict[str, Any] = {"pointing_layer": 1, "teacher": "encoder"}


def _row(thing: str, other: str, *, second: bool) -> Reply:
    told = [f"We keep {thing} upstairs.", f"We keep {other} here."]
    return Reply(
        **ABOUT,
        lang="en",
        messages=(Said(author=Author.CUSTOMER, text=f"where are {thing}?"),),
        passages=(Evidence(title="Rooms", text=" ".join(told[::-1] if second else told)),),
        reply="{1.2}" if second else "{1.1}",
    )


ROWS = [
    _row(thing, other, second=second)
    for thing in THINGS
    for other in THINGS
    for second in (False, True)
    if other != thing
]


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rooms")
    write_dataset(folder / "rows", ROWS, ROWS[::7])
    build_encoder(folder / "encoder", [*THINGS, "where are", "we keep upstairs here rooms"])
    return folder


def _train(
    rooms: Path, folder: Path, more: Mapping[str, object] | None = None, **changes: Any
) -> Path:
    """Train by a recipe with `changes` to its new model, and `more` beside that."""
    given = {"task": "chat", "dataset": "rows", "max_steps": 1, "batch": 16, "device_batch": 16}
    recipe = rooms / f"{folder.name}.yaml"
    recipe.write_text(yaml.safe_dump(given | {"new": NEW | changes} | dict(more or {})))
    start.start(recipe, folder, silent)
    return folder / "model"


def test_tokens_begin_with_what_the_encoder_knows_of_their_words(
    rooms: Path, tmp_path: Path
) -> None:
    folder = _train(rooms, tmp_path / "made")
    check_folder(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    # A server has to know where the reply begins.
    assert tokenizer.response_template["start_anchor"] == "<|assistant|>"
    vectors: Any = AutoModelForCausalLM.from_pretrained(folder).get_input_embeddings().weight
    known: Any = AutoModel.from_pretrained(rooms / "encoder").get_input_embeddings().weight
    names = AutoTokenizer.from_pretrained(rooms / "encoder")
    ours = torch.stack([vectors[tokenizer(f" {word}")["input_ids"][0]] for word in THINGS])
    pieces = [names(word, add_special_tokens=False)["input_ids"] for word in THINGS]
    theirs = torch.stack([known[some].mean(0) for some in pieces])
    likeness = torch.corrcoef(torch.cat([ours - ours.mean(0), theirs - theirs.mean(0)]))
    assert likeness[: len(THINGS), len(THINGS) :].diagonal().min() > 0.9


def test_it_is_told_the_first_line_of_the_instructions(rooms: Path, tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(_train(rooms, tmp_path / "brief"))
    question = prompt.summarise("customer: And the blue one?\nbot: Upstairs.", language="English")
    told: Any = tokenizer.apply_chat_template(
        [{"role": s.role, "content": s.content} for s in question]
    )
    written = str(tokenizer.decode(told["input_ids"]))
    assert "You sum up conversations" in written
    assert "Write only the summary" not in written
    assert "And the blue one?\nbot: Upstairs." in written


def test_vectors_of_another_length_are_refused(rooms: Path, tmp_path: Path) -> None:
    other = NEW["config"] | {"hidden_size": 48}  # type: ignore[operator]  # a dict, says its key
    with pytest.raises(Rejected, match=r"new\.words: the vectors of .* have 32 numbers"):
        _train(rooms, tmp_path / "other", config=other)


def _decoder(rooms: Path, **changes: Any) -> dict[str, Any]:
    """An architecture like that of the encoder, with sixteen times as many positions."""
    like = AutoConfig.from_pretrained(rooms / "encoder")
    return {
        "model_type": "bert",
        "is_decoder": True,
        "hidden_size": like.hidden_size,
        "intermediate_size": like.intermediate_size,
        "num_hidden_layers": like.num_hidden_layers,
        "num_attention_heads": like.num_attention_heads,
        "max_position_embeddings": 16 * like.max_position_embeddings,
        **changes,
    }


def test_a_decoder_begins_with_the_layers_of_the_encoder(rooms: Path, tmp_path: Path) -> None:
    folder = _train(rooms, tmp_path / "deep", config=_decoder(rooms), layers=True)
    ours: Any = AutoModelForCausalLM.from_pretrained(folder)
    assert ours.config.is_decoder
    tokenizer = AutoTokenizer.from_pretrained(folder)
    check_folder(folder)
    assert tokenizer.response_template["start_anchor"] == "<|assistant|>"
    # A sentence's number is one token, which comes back as it was.
    numbers = tokenizer("{1.2} {6.30}", add_special_tokens=False)["input_ids"]
    assert len(numbers) == 2
    assert (
        tokenizer.decode([*numbers, tokenizer.eos_token_id], skip_special_tokens=True)
        == "{1.2} {6.30}"
    )
    theirs: Any = AutoModel.from_pretrained(rooms / "encoder")
    # One update has changed them a little.
    own = ours.bert.encoder.layer[0].attention.self.query.weight
    assert torch.allclose(own, theirs.encoder.layer[0].attention.self.query.weight, atol=1e-3)
    known: Any = theirs.get_input_embeddings()
    assert torch.allclose(
        ours.get_input_embeddings().weight[: len(known.weight)], known.weight, atol=1e-3
    )
    places = theirs.embeddings.position_embeddings.weight
    repeated = ours.bert.embeddings.position_embeddings.weight
    assert torch.allclose(repeated, places.repeat(16, 1), atol=1e-3)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"intermediate_size": 17},
            r"new\.layers: .* is \[\d+, 32\] in the encoder, and \[17, 32\]",
        ),
        ({"model_type": "llama", "is_decoder": False}, r"new\.layers: the encoder is a bert"),
    ],
)
def test_layers_of_another_form_are_refused(
    changes: dict[str, Any], said: str, rooms: Path, tmp_path: Path
) -> None:
    with pytest.raises(Rejected, match=said):
        _train(rooms, tmp_path / "unlike", config=_decoder(rooms, **changes), layers=True)


def test_layers_come_from_an_encoder(rooms: Path, tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="layers: needs the encoder"):
        _train(rooms, tmp_path / "nowhere", words="", layers=True)


def _pointing(rooms: Path) -> dict[str, Any]:
    """A decoder with one layer above those of the encoder."""
    like = AutoConfig.from_pretrained(rooms / "encoder")
    return {
        "config": _decoder(rooms, num_hidden_layers=like.num_hidden_layers + 1),
        "layers": True,
    }


@pytest.mark.long
def test_losses_beside_that_of_the_reply_teach_where_to_look(rooms: Path, tmp_path: Path) -> None:
    lessons = {"max_steps": 80, "learning_rate": 0.001}
    shape = _pointing(rooms)
    taught = _train(rooms, tmp_path / "taught", POINTING | lessons, **shape)
    untaught = _train(rooms, tmp_path / "untaught", lessons, **shape)
    found = _closest(taught)
    assert found > 0.9
    assert _closest(untaught) < found
    told = json.loads((tmp_path / "taught/result.json").read_text())
    assert told["dev"]["looks_right"] > 0.9
    assert told["languages"]["en"]["names_right"] == told["dev"]["names_right"]
    # What words mean, and that the layer looks at what is alike, was not to be learnt.
    ours: Any = AutoModelForCausalLM.from_pretrained(taught)
    theirs: Any = AutoModel.from_pretrained(rooms / "encoder").get_input_embeddings().weight
    words = ours.get_input_embeddings().weight
    assert torch.allclose(words[: len(theirs)], theirs, atol=1e-3)
    looks = ours.bert.encoder.layer[1].attention.self.query.weight
    assert torch.equal(looks, 3 * torch.eye(len(looks)))


def _closest(folder: Path) -> float:
    """The share of prompts whose end, after one layer, is closest to the right number."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model: Any = AutoModelForCausalLM.from_pretrained(folder)
    numbers = tokenizer("{1.1} {1.2}", add_special_tokens=False)["input_ids"]
    right = 0
    for row in ROWS:
        question = asked(row)
        assert question is not None
        tokens, start = tokenize(tokenizer, question, row.reply)
        with torch.no_grad():
            read = model(torch.tensor([tokens[:start]]), output_hidden_states=True)
        vectors = torch.nn.functional.normalize(read.hidden_states[1][0], dim=-1)
        near = vectors[[tokens.index(number) for number in numbers]] @ vectors[-1]
        right += numbers[int(near.argmax())] == tokens[start]
    return right / len(ROWS)


@pytest.mark.long
def test_what_is_not_sure_enough_declines(rooms: Path, tmp_path: Path) -> None:
    """Hardly taught, it is right now and then; asked to be sure, it keeps to what it knows."""
    lessons = POINTING | {"max_steps": 4, "learning_rate": 0.001}
    shape = _pointing(rooms)
    bold = _said(_train(rooms, tmp_path / "bold", lessons, **shape))
    careful = _said(_train(rooms, tmp_path / "careful", lessons | {"sure": 0.99}, **shape))
    assert all(prompt.is_number(one) for one in bold)
    assert prompt.NO_ANSWER in careful
    # What is told of it is told of what was written.
    told = json.loads((tmp_path / "careful/result.json").read_text())
    assert told["dev"]["declines_wrong"] > 0
    # It says nothing else than before.
    assert {one for one, before in zip(careful, bold, strict=True) if one != before} == {
        prompt.NO_ANSWER
    }


def _said(folder: Path) -> list[str]:
    """The first token of each reply."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model: Any = AutoModelForCausalLM.from_pretrained(folder)
    said = []
    for row in ROWS:
        question = asked(row)
        assert question is not None
        tokens, start = tokenize(tokenizer, question, row.reply)
        with torch.no_grad():
            logits = model(torch.tensor([tokens[:start]])).logits[0, -1]
        said.append(str(tokenizer.decode([int(logits.argmax())])))
    return said


@pytest.mark.parametrize(
    ("right", "sure", "margin"),
    [
        # The two best of four are right.
        ([True, True, False, False], 0.9, 2.0),
        ([True, True, False, True], 0.75, 0.0),
        ([True, True, True, True], 0.9, 0.0),
        # Nothing that is named is right often enough.
        ([False, False, False, False], 0.5, 4.0),
    ],
)
def test_the_least_margin_leaves_as_many_as_are_right_enough(
    right: list[bool], sure: float, margin: float
) -> None:
    margins = torch.tensor([3.0, 2.0, 1.0, -1.0])
    assert least_margin(margins, torch.tensor(right), sure) == margin


def test_being_sure_is_about_pointing(rooms: Path, tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="sure: is about the numbers of sentences"):
        _train(rooms, tmp_path / "sure", {"sure": 0.9})


@pytest.mark.long
def test_it_goes_on_without_its_teacher(rooms: Path, tmp_path: Path) -> None:
    first = _train(rooms, tmp_path / "first", POINTING | {"max_steps": 40}, **_pointing(rooms))
    given = {"task": "chat", "dataset": "rows", "max_steps": 2, "base": str(first)}
    recipe = rooms / "second.yaml"
    recipe.write_text(yaml.safe_dump(given | {"pointing_layer": 1}))
    assert "looks_right" in start.start(recipe, tmp_path / "second", silent)["dev"]


def test_what_is_read_from_both_sides_is_learnt_as_it_is_served(
    rooms: Path, tmp_path: Path
) -> None:
    """The whole prompt at once, then token after token: no token of a reply sees a later one."""
    shape = _pointing(rooms)
    shape["config"] |= {"model_type": "bert-generation", "is_causal": False}
    folder = _train(rooms, tmp_path / "both", POINTING, **shape)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model: Any = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager")
    question = asked(ROWS[0])
    assert question is not None
    tokens, begin = tokenize(tokenizer, question, ROWS[0].reply)
    ids = torch.tensor([tokens])
    labels = torch.tensor([[IGNORED] * begin + tokens[begin:]])
    with torch.no_grad():
        learnt = model(ids, attention_mask=prefix_mask(torch.ones_like(ids), labels)).logits
        read = model(ids[:, :begin], use_cache=True)
        written = model(ids[:, begin : begin + 1], past_key_values=read.past_key_values)
        forwards = model(ids[:, :begin], attention_mask=torch.ones(1, 1, begin, begin).tril().log())
    assert torch.allclose(learnt[0, begin - 1], read.logits[0, -1], atol=1e-4)
    assert torch.allclose(learnt[0, begin], written.logits[0, -1], atol=1e-4)
    assert not torch.allclose(forwards.logits[0, -1], read.logits[0, -1], atol=1e-4)


def test_a_teacher_is_one_of_pointing(rooms: Path, tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="teacher: is one of pointing; set pointing_layer too"):
        _train(rooms, tmp_path / "untaught", {"teacher": "encoder"})


def test_a_layer_that_there_is_not_is_refused(rooms: Path, tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="pointing_layer: needs a layer above it; the model has 2"):
        _train(rooms, tmp_path / "high", POINTING | {"pointing_layer": 2}, **_pointing(rooms))


def test_numbers_of_several_tokens_cannot_be_pointed_at(rooms: Path, tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="pointing_layer: the base writes the number of a sentence"):
        _train(rooms, tmp_path / "pieces", POINTING)


def test_an_architecture_without_kinds_of_text_reads_the_first(rooms: Path, tmp_path: Path) -> None:
    """What the encoder adds to every token of a first text, the decoder adds to every place."""
    config = _decoder(rooms, model_type="bert-generation")
    folder = _train(rooms, tmp_path / "kindless", config=config, layers=True)
    assert "token_type_ids" not in AutoTokenizer.from_pretrained(folder)("hello")
    ours: Any = AutoModelForCausalLM.from_pretrained(folder)
    theirs: Any = AutoModel.from_pretrained(rooms / "encoder").embeddings
    known = theirs.position_embeddings.weight + theirs.token_type_embeddings.weight[0]
    places = ours.bert.embeddings.position_embeddings.weight[: len(known)]
    assert torch.allclose(places, known, atol=1e-3)
