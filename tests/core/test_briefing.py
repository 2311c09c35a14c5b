"""What an agent is told first stands in the conversation."""

import json

import pytest

from core.briefing import (
    MAX_QUOTE_CHARS,
    Entity,
    EntityKind,
    Said,
    dialogue,
    entities,
    extract,
    held,
    question,
    tone_of,
    tried,
)
from core.tones import Tone
from core.turn import Author


def customer(text: str, language: str = "en", read: str = "") -> Said:
    return Said(author=Author.CUSTOMER, text=text, language=language, read=read)


def bot(text: str = "", **details: object) -> Said:
    return Said(author=Author.BOT, text=text, language="en", details=json.dumps(details))


@pytest.mark.parametrize(
    ("texts", "asked"),
    [
        (["Hello", "Where is my parcel?", "talk to a human"], "Where is my parcel?"),
        (["Where is my parcel?", "How do I pay?", "thanks"], "How do I pay?"),
        (["hello", "a person please"], "a person please"),
        ([], None),
    ],
)
def test_the_question_is_the_last_thing_that_was_asked(texts: list[str], asked: str | None) -> None:
    found = question([customer(text) for text in texts])
    assert (found.text if found else None) == asked


def test_what_the_bot_tried_is_told_in_the_agents_language_each_once() -> None:
    cited = {"document": "returns.en", "title": "Returns"}
    lines = [
        customer("?"),
        bot(outcome="answer", citations=[cited, cited]),
        bot(outcome="clarify", choices=["Shipping", "Customs"]),
        bot(outcome="handoff", reason="low_confidence"),
        bot(outcome="handoff", reason="no_knowledge"),
        bot(outcome="handoff", reason="asked"),
    ]
    assert tried(lines, "de") == (
        "Der Bot antwortete aus: Returns",
        "Der Bot fragte, welcher Artikel gemeint ist: Shipping; Customs",
        "Der Bot hatte keine Antwort.",
    )


def test_without_a_model_the_customers_own_words_are_the_summary() -> None:
    asked = customer("荷物はどこですか", "ja", read="Wo ist das Paket?")
    attempts = ("Der Bot hatte keine Antwort.",)
    assert extract(asked, attempts, "de") == (
        "Der Kunde schrieb: Wo ist das Paket?\nDer Bot hatte keine Antwort."
    )
    long = extract(customer("word " * 500), (), "en")
    assert len(long) <= MAX_QUOTE_CHARS + 30
    assert long.endswith("…")
    assert extract(None, (), "en") == ""


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("order AB-12345", [(EntityKind.ORDER, "AB-12345")]),
        ("Bestellung 4400123 bitte", [(EntityKind.ORDER, "4400123")]),
        ("on 03/04/2026 or 3. 4.", [(EntityKind.DATE, "03/04/2026"), (EntityKind.DATE, "3. 4.")]),
        ("3月5日に1万円", [(EntityKind.DATE, "3月5日"), (EntityKind.AMOUNT, "1万円")]),
        ("$49.90 and EUR 20", [(EntityKind.AMOUNT, "$49.90"), (EntityKind.AMOUNT, "EUR 20")]),
        ("20 euros, 15 %, 30 days", [(EntityKind.AMOUNT, "20 euros")]),
        ("write to a@b.example", [(EntityKind.EMAIL, "a@b.example")]),
        ("call +49 151 23456789", [(EntityKind.PHONE, "+49 151 23456789")]),
        ("the trail runner 3000!", [(EntityKind.PRODUCT, "trail runner 3000")]),
        ("https://shop.example/x", [(EntityKind.LINK, "https://shop.example/x")]),
        ("my card 4111 1111 1111 1111", []),
        ("I have 2 questions", []),
    ],
)
def test_what_the_customer_named_is_found(text: str, found: list[tuple[EntityKind, str]]) -> None:
    titles = ["Washing the Trail Runner 3000", "Returns"]
    wanted = tuple(Entity(kind=kind, text=named) for kind, named in found)
    assert entities([customer(text), customer(text)], titles) == wanted
    assert entities([bot(text)], titles) == ()


def test_the_tone_is_the_strongest_of_the_last_messages() -> None:
    assert tone_of([customer("This is urgent!"), customer("ok"), customer("hello")]) is Tone.URGENT
    late = [customer("You are useless!"), *[customer("ok")] * 3]
    assert tone_of(late) is Tone.CALM
    assert tone_of([bot("This is urgent!")]) is Tone.CALM


@pytest.mark.parametrize(
    ("summary", "language", "kept"),
    [
        (
            "The customer wants to return AB-12345. It cost 99 EUR. They want a refund.",
            "en",
            "The customer wants to return AB-12345. They want a refund.",
        ),
        ("Der Kunde will AB-12345 zurückgeben.", "de", "Der Kunde will AB-12345 zurückgeben."),
        ("See https://evil.example for AB-12345.", "en", ""),
        ("They spoke with Bob Marley about AB-12345.", "en", ""),
        ("Write to x@evil.example.", "en", ""),
        ("AB-99999 is lost.", "en", ""),
    ],
)
def test_a_summary_says_only_what_the_conversation_holds(
    summary: str, language: str, kept: str
) -> None:
    lines = [customer("I want to return AB-12345 and get my money back"), bot("I am not sure.")]
    assert held(summary, lines, language=language) == kept


def test_a_model_reads_who_said_what() -> None:
    lines = [customer("Hello\nthere"), bot("Hi"), customer(" ")]
    assert dialogue(lines) == "Customer: Hello there\nBot: Hi"
