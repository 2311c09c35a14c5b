"""Rows to build datasets of."""

import random

from workers.training.dataset.examples import (
    Label,
    Parallel,
    Question,
    Reply,
    Text,
)

_WORDS_TEXT = """
    the courier left our parcel at a neighbour's door although nobody had asked for it and two days
    later the refund arrived on another card which we had never registered with this shop before so
    please explain how such a mistake can happen when every order carries a number of its own
"""
_WORDS = _WORDS_TEXT.split()


def about(number: int, lang: str = "en", group: str = "") -> dict[str, str]:
    return {
        "lang": lang,
        "group": group or f"g{number}",
        "source": "ours",
        "licence": "CC0-1.0",
    }


def text(number: int) -> str:
    """A sentence that resembles no other one."""
    return " ".join([*random.Random(number).choices(_WORDS, k=9), str(number)])


def label(number: int, name: str = "refund", **more: object) -> Label:
    return Label.model_validate({**about(number), "text": text(number), "label": name, **more})


def parallel(number: int, lang: str = "de", **more: object) -> Parallel:
    fields = {"text": text(number), "target_lang": lang, "target": f"{lang} {number}"}
    return Parallel.model_validate({**about(number), **fields, **more})


def question(number: int, **more: object) -> Question:
    fields = {"query": text(number), "passage": f"Passage {number}."}
    return Question.model_validate({**about(number), **fields, **more})


def article(number: int, **more: object) -> Text:
    return Text.model_validate({**about(number), "paragraphs": (text(number),), **more})


def reply(said: str, answer: str, *, passages: tuple[str, ...] = (), **more: object) -> Reply:
    return Reply.model_validate(
        {
            **about(0),
            "messages": ({"author": "customer", "text": said},),
            "passages": tuple({"text": one} for one in passages),
            "reply": answer,
            **more,
        },
        strict=False,
    )
