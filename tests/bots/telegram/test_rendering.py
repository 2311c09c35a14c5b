from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.telegram.buttons import MAX_DATA_BYTES, Act, Press, decode, encode
from bots.telegram.places import address
from bots.telegram.rendering import Body, render
from bots.telegram.texts import readable
from core.turn import (
    Answer,
    Clarify,
    ConversationId,
    Handoff,
    Outcome,
    Passage,
    Reason,
    Served,
    Turn,
    TurnId,
    Words,
)
from tests.bots.telegram.conftest import WORKSPACE
from tests.fakes.telegram.markup import parse_html, units

TURN = Turn(
    id=TurnId(12), conversation=ConversationId(1), address=address(WORKSPACE, "42"), text="?"
)
RETURNS = Passage(
    id="p",
    document="returns",
    title="Returns & <refunds>",
    text="Send it back to shop.example within 30 days, see https://shop.example/returns?a=1&b=2.",
    language="en",
    source="https://shop.example/help/returns",
)


def bodies(
    outcome: Outcome | Words, language: str = "en", offer: tuple[str, ...] = ()
) -> list[Body]:
    served = Served(outcome=outcome, language=language, probability=0.9, offer_languages=offer)
    return [Body.from_json(text) for text in render(served, TURN)]


def answer(text: str, *citations: Passage) -> Answer:
    return Answer(text=text, citations=citations)


def seen(body: Body) -> tuple[str, list[dict[str, object]]]:
    """What Telegram shows of it: text and entities."""
    return parse_html(body.html)


def test_an_answer_shows_its_source_as_a_link_and_its_buttons() -> None:
    [body] = bodies(answer("Within 30 days.", RETURNS))
    text, entities = seen(body)
    assert text == "Within 30 days.\n\nSource: Returns & <refunds>"
    assert text == body.plain
    assert [entity.get("url") for entity in entities] == ["https://shop.example/help/returns"]
    acts = [[press.act for b in row if (press := decode(b.data))] for row in body.buttons]
    assert acts == [[Act.FEEDBACK, Act.FEEDBACK], [Act.PERSON]]


def test_a_source_without_an_address_is_named_only() -> None:
    local = Passage(id="p", document="d", title="", text="x", language="en", source="notes/a.md")
    [body] = bodies(answer("x", local, local))
    assert seen(body) == ("x\n\nSource: d", [])


def test_a_handoff_has_no_buttons_and_a_thank_you_no_feedback() -> None:
    [handoff] = bodies(Handoff(reason=Reason.ASKED, text="A person will answer."))
    assert handoff.buttons == ()
    [thanks] = bodies(answer("You're welcome."))
    assert [[decode(b.data).act for b in row] for row in thanks.buttons] == [[Act.PERSON]]  # type: ignore[union-attr]


def test_choices_and_languages_are_buttons() -> None:
    [body] = bodies(Clarify(text="Which one?", choices=("Returns", "Refunds")), "de", ("de", "ar"))
    labels = [[button.label for button in row] for row in body.buttons]
    assert labels[:3] == [["Returns"], ["Refunds"], ["Deutsch", "العربية"]]


@pytest.mark.parametrize(
    "hostile",
    [
        "<b>bold</b> & <script>alert(1)</script>",
        "</a></code><a href='https://evil.example'>x</a>",
        "&lt;b&gt; &amp;amp; &#60;i>",
        "<tg-emoji emoji-id='1'>x</tg-emoji>",
        '"><pre>',
        "a < b > c <<< <",
    ],
)
def test_markup_in_a_reply_is_shown_as_it_is_written(hostile: str) -> None:
    local = Passage(id="p", document="d", title=hostile, text="x", language="en")
    [body] = bodies(answer(hostile, local))
    text, entities = seen(body)
    assert text == f"{hostile}\n\nSource: {hostile}" == body.plain
    assert {entity["type"] for entity in entities} <= {"code"}


@pytest.mark.parametrize(
    ("text", "dead"),
    [
        ("See https://shop.example/returns?a=1&b=2.", []),
        ("See shop.example, or https://shop.example/help/returns!", []),
        ("Go to https://evil.example/?q=secret now", ["https://evil.example/?q=secret"]),
        ("Go to evil.example/x", ["evil.example/x"]),
        ("Go to hop.example", ["hop.example"]),
        (
            "https://shop.example/returns?a=1&b=2&token=9",
            ["https://shop.example/returns?a=1&b=2&token=9"],
        ),
        ("请打开https://shop.example/help/returns。打印标签，寄回商品。", []),
        ("https://shop.example。evil.example/x", ["https://shop.example。evil.example/x"]),
        ("Ask @somebody or /start", ["@somebody", "/start"]),
        ("tg://resolve?domain=x and javascript://x", ["tg://resolve?domain=x", "javascript://x"]),
        ("пример.рф", ["пример.рф"]),
        ("(evil.example)", ["evil.example"]),
        ("3.5 kg, 24/7, z.B. and/or, 9,99 €", []),
    ],
)
def test_only_what_the_passages_link_stays_a_link(text: str, dead: list[str]) -> None:
    [body] = bodies(answer(text, RETURNS))
    shown, entities = seen(body)
    assert shown.startswith(text)
    encoded = shown.encode("utf-16-le")
    codes = [
        encoded[2 * e["offset"] : 2 * (e["offset"] + e["length"])].decode("utf-16-le")  # type: ignore[operator]
        for e in entities
        if e["type"] == "code"
    ]
    assert codes == dead


def test_a_long_reply_is_cut_and_its_buttons_stand_under_the_last_part() -> None:
    text = "\n\n".join(f"Paragraph {n}. " + "Ein Satz < mit & Zeichen. " * 20 for n in range(30))
    parts = bodies(answer(text, RETURNS))
    assert len(parts) > 3
    assert all(units(seen(part)[0]) <= 4096 for part in parts)
    assert [bool(part.buttons) for part in parts] == [False] * (len(parts) - 1) + [True]
    assert parts[-1].plain.endswith("Source: Returns & <refunds>")


def test_a_source_that_no_longer_fits_goes_into_a_message_of_its_own() -> None:
    parts = bodies(answer("x" * 4096, RETURNS))
    assert [units(seen(part)[0].strip()) for part in parts] == [4096, 27]


@given(
    st.text(alphabet=st.characters() | st.sampled_from("<>&\n .@/\"'"), min_size=1, max_size=9_000)
)
def test_nothing_is_lost_and_telegram_takes_every_part(text: str) -> None:
    parts = bodies(answer(text))
    shown = "".join(seen(part)[0] for part in parts)
    assert "".join(shown.split()) == "".join(readable(text).split())
    assert all(0 < units(seen(part)[0].strip()) <= 4096 for part in parts)
    assert [seen(part)[0] for part in parts] == [part.plain for part in parts]


@pytest.mark.parametrize("text", ["", " \n ", "\u200b"])
def test_a_reply_without_a_word_is_no_message(text: str) -> None:
    assert bodies(answer(text)) == []


def test_an_override_of_the_reading_direction_does_not_reach_the_customer() -> None:
    [body] = bodies(answer("\u202egnp.exe\u202c مرحبا"))
    assert "\u202e" not in body.html + body.plain


presses = st.builds(
    Press,
    act=st.sampled_from(Act),
    turn=st.integers(min_value=0, max_value=10**18 - 1).map(TurnId),
    value=st.sampled_from(["", "0", "1", "pt-BR", "zh-Hant-TW", "12"]),
    language=st.sampled_from(["en", "zh-Hant", "sr-Latn-RS", "de-1996-x-whatever-long"]),
)


@given(presses)
def test_an_id_fits_and_comes_back_as_it_was(press: Press) -> None:
    data = encode(press)
    assert len(data.encode()) <= MAX_DATA_BYTES
    back = decode(data)
    assert back is not None
    assert (back.act, back.turn, back.value) == (press.act, press.turn, press.value)


@given(st.text())
def test_a_foreign_id_is_never_an_error(data: str) -> None:
    press = decode(data)
    assert press is None or encode(press) == data


def test_an_agents_words_stand_under_their_name_without_the_bots_buttons() -> None:
    [body] = bodies(Words(text="See https://shop.example <now>", sender="Anna <b>"))
    text, entities = seen(body)
    assert text == body.plain == "Anna <b>\nSee https://shop.example <now>"
    assert [entity["type"] for entity in entities] == ["bold"]
    assert body.buttons == ()
    assert bodies(Words(text="", sender="Anna")) == []


def test_the_question_how_it_was_has_five_buttons() -> None:
    [body] = bodies(Words(text="How was it?", asks_rating=True))
    [row] = body.buttons
    pressed = [decode(button.data) for button in row]
    assert [(press.act, press.value) for press in pressed if press] == [
        (Act.RATING, str(number)) for number in range(1, 6)
    ]


@pytest.mark.parametrize(
    ("place", "ref", "reply_to"),
    [
        ("-500", "77", 77),
        ("-1001000000001/9", "77", 77),
        ("-500", "77/press/7654321/3", 77),
        ("-500", None, None),
        ("42", "77", None),
    ],
)
@pytest.mark.parametrize("outcome", [Clarify(text="a" * 5_000), Words(text="a" * 5_000)])
def test_in_a_group_each_part_answers_the_customers_message(
    outcome: Outcome | Words, place: str, ref: str | None, reply_to: int | None
) -> None:
    turn = replace(TURN, address=address(WORKSPACE, place), message_ref=ref)
    served = Served(outcome=outcome, language="en", probability=0.9)
    parts = [Body.from_json(text) for text in render(served, turn)]
    assert [part.reply_to for part in parts] == [reply_to] * 2


def test_a_body_that_an_older_version_left_in_the_outbox_answers_nothing() -> None:
    older = '{"html": "x", "plain": "x", "buttons": [], "file": null}'
    assert Body.from_json(older) == Body(html="x", plain="x")
