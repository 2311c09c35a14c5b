import pytest
from telegram import Update

from bots.telegram.api import Me
from bots.telegram.updates import Meaning, Moved, read
from core.turn import Inbound, Kind
from tests.bots.telegram.conftest import WORKSPACE
from tests.fakes.telegram import FakeTelegram
from tests.fakes.telegram.markup import units
from tests.fakes.telegram.world import Json, customer, entities_of

ME = Me(id=7654321, username="desk_bot")
GROUP = -500
FORUM = -1_001_000_000_001
OTHER_BOT: Json = {"id": 5, "is_bot": True, "first_name": "Other", "username": "other_bot"}
PERSON: Json = {"id": 6, "is_bot": False, "first_name": "Ada"}


def meanings(telegram: FakeTelegram) -> list[Meaning | None]:
    """What each update that the customers caused means, in order."""
    return [
        read(Update.de_json(update, None), ME, WORKSPACE)
        for _, update in sorted(telegram.updates.pending.items())
    ]


def inbounds(telegram: FakeTelegram) -> list[Inbound]:
    return [meaning for meaning in meanings(telegram) if isinstance(meaning, Inbound)]


@pytest.fixture
def quiet() -> FakeTelegram:
    """The customers' side alone: nothing is served."""
    return FakeTelegram()


def test_a_private_message_names_customer_place_and_weak_language(quiet: FakeTelegram) -> None:
    number = quiet.user_says(42, "  hello  ", language_code="pt-br")
    [inbound] = inbounds(quiet)
    assert inbound.address.place == "42"
    assert inbound.customer == "42"
    assert inbound.message_ref == str(number)
    assert (inbound.text, inbound.language_hint) == ("hello", "pt-br")
    assert inbound.event_id.startswith("7654321/")


@pytest.mark.parametrize(
    ("text", "kind", "kept"),
    [
        ("/start", Kind.OPENED, ""),
        ("/start deep-link-42", Kind.OPENED, ""),
        ("/help", Kind.OPENED, ""),
        ("/human", Kind.WANTS_PERSON, ""),
        ("/human my parcel is gone", Kind.WANTS_PERSON, "my parcel is gone"),
        ("/language", Kind.CHOOSES_LANGUAGE, ""),
        ("/language pt-BR", Kind.CHOOSES_LANGUAGE, "pt-BR"),
        ("/language something odd", Kind.CHOOSES_LANGUAGE, ""),
        ("/language xx", Kind.CHOOSES_LANGUAGE, ""),
        ("/language jp", Kind.CHOOSES_LANGUAGE, "ja"),
        ("/ask where is it?", Kind.MESSAGE, "where is it?"),
        ("/ask", Kind.OPENED, ""),
        ("/HELP", Kind.OPENED, ""),
        ("/unknown thing", Kind.MESSAGE, "/unknown thing"),
        ("and/or", Kind.MESSAGE, "and/or"),
    ],
)
def test_commands_in_a_private_chat(quiet: FakeTelegram, text: str, kind: Kind, kept: str) -> None:
    quiet.user_says(42, text)
    [inbound] = inbounds(quiet)
    assert (inbound.kind, inbound.text) == (kind, kept)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("@desk_bot where is it?", "where is it?"),
        ("😀 hey @Desk_Bot where?", "😀 hey   where?"),
        ("/ask where?", "where?"),
        ("/ask@desk_bot where?", "where?"),
    ],
)
def test_in_a_group_it_answers_to_its_name(quiet: FakeTelegram, text: str, kept: str) -> None:
    quiet.user_says(GROUP, text, user=42)
    [inbound] = inbounds(quiet)
    assert (inbound.text, inbound.address.place, inbound.customer) == (kept, "-500", "42")


@pytest.mark.parametrize(
    "text",
    [
        "where is it?",
        "@another_bot where is it?",
        "/ask@another_bot where?",
        "/weather",
        "mail me at x@desk_bot",
    ],
)
def test_in_a_group_it_keeps_out_of_what_others_say(quiet: FakeTelegram, text: str) -> None:
    quiet.user_says(GROUP, text, user=42)
    assert inbounds(quiet) == []
    assert (meanings(quiet) == [None]) == text.startswith("/"), "only a command is surely not ours"


def test_a_reply_to_one_of_our_messages_is_meant_for_us(quiet: FakeTelegram) -> None:
    chat = quiet.world.chat(GROUP)
    ours = quiet.world.write(chat, quiet.world.bot, None, text="Which one?")["message_id"]
    theirs = quiet.user_says(GROUP, "I think so", user=1)
    quiet.user_says(GROUP, "the red one", user=42, reply_to=ours)
    quiet.user_says(GROUP, "no", user=43, reply_to=theirs)
    assert [inbound.text for inbound in inbounds(quiet)] == ["the red one"]


CALLS = pytest.mark.parametrize("call", ["@desk_bot", "@Desk_Bot ", "/ask", "/ask@desk_bot"])


@CALLS
@pytest.mark.parametrize(
    ("asked", "question"),
    [
        ({"text": "How long do refunds take?"}, "How long do refunds take?"),
        ({"caption": "Is it broken?"}, "Is it broken?"),
        ({"text": "/ask how long?"}, "how long?"),
        ({"text": "@desk_bot how long?", "entities": entities_of("@desk_bot")}, "how long?"),
    ],
)
def test_our_name_alone_below_a_persons_question_asks_it(
    quiet: FakeTelegram, call: str, asked: Json, question: str
) -> None:
    theirs = quiet.world.write(quiet.world.chat(GROUP), customer(1, "en"), None, **asked)
    number = quiet.user_says(GROUP, call, user=42, reply_to=theirs["message_id"])
    [inbound] = inbounds(quiet)
    assert (inbound.kind, inbound.text) == (Kind.MESSAGE, question)
    assert (inbound.customer, inbound.message_ref) == ("42", str(number))


@CALLS
@pytest.mark.parametrize("chat", [42, GROUP])
def test_our_name_alone_is_answered_with_what_we_can_do(
    quiet: FakeTelegram, call: str, chat: int
) -> None:
    place = quiet.world.chat(chat)
    unanswerable: list[Json] = [
        quiet.world.write(place, OTHER_BOT, None, text="Rain all day"),
        quiet.world.write(place, quiet.world.bot, None, text="Which one?"),
        quiet.world.write(place, PERSON, None, photo=[]),
        quiet.world.write(place, PERSON, None, text="news", is_automatic_forward=True),
        quiet.world.write(place, PERSON, None, text="@desk_bot", entities=entities_of("@desk_bot")),
    ]
    quiet.user_says(chat, call, user=42)
    for message in unanswerable:
        quiet.user_says(chat, call, user=42, reply_to=message["message_id"])
    told = [(inbound.kind, inbound.text) for inbound in inbounds(quiet)]
    assert told == [(Kind.OPENED, "")] * 6


def test_what_comes_with_our_name_is_asked_about_and_not_what_it_replies_to(
    quiet: FakeTelegram,
) -> None:
    theirs = quiet.user_says(GROUP, "How long do refunds take?", user=1)
    quiet.user_says(GROUP, "@desk_bot and today?", user=42, reply_to=theirs)
    photo = [{"file_id": "1", "file_unique_id": "1", "width": 90, "height": 60}]
    quiet.user_says(GROUP, "", user=42, reply_to=theirs, photo=photo, caption="/ask")
    words, shown = inbounds(quiet)
    assert (words.kind, words.text) == (Kind.MESSAGE, "and today?")
    assert (shown.kind, shown.text, shown.attachments[0].kind) == (Kind.MESSAGE, "", "photo")


def test_an_edit_to_our_name_alone_changes_no_question(quiet: FakeTelegram) -> None:
    theirs = quiet.user_says(GROUP, "How long do refunds take?", user=1)
    number = quiet.user_says(GROUP, "@desk_bot", user=42, reply_to=theirs)
    quiet.user_edits(GROUP, number, "@desk_bot ")
    assert [inbound.kind for inbound in inbounds(quiet)] == [Kind.MESSAGE]


def test_a_topic_is_a_place_of_its_own_and_general_is_the_chat(quiet: FakeTelegram) -> None:
    quiet.user_says(FORUM, "@desk_bot one", user=42, thread=77)
    quiet.user_says(FORUM, "@desk_bot two", user=42, message_thread_id=5)
    one, two = inbounds(quiet)
    assert one.address.place == f"{FORUM}/77"
    assert two.address.place == str(FORUM)


def test_the_opening_of_a_topic_that_we_made_is_not_a_reply_to_us(quiet: FakeTelegram) -> None:
    chat = quiet.world.chat(FORUM)
    opening = quiet.world.write(
        chat, quiet.world.bot, None, forum_topic_created={"name": "x", "icon_color": 1}
    )
    quiet.user_says(FORUM, "among us", user=42, thread=9, reply_to=opening["message_id"])
    assert inbounds(quiet) == []


def test_an_edit_is_the_same_message_in_a_newer_version(quiet: FakeTelegram) -> None:
    number = quiet.user_says(42, "wher is it")
    quiet.user_edits(42, number, "where is it")
    quiet.user_edits(42, number, "where is my parcel")
    original, first, second = inbounds(quiet)
    assert [edit.kind for edit in (first, second)] == [Kind.EDIT, Kind.EDIT]
    assert original.message_ref == first.message_ref == second.message_ref
    # Both edits carry the same second, and still are in order.
    assert original.version < first.version < second.version
    assert int(first.version) == int(second.version)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("voice", "voice"),
        ("document", "document"),
        ("photo", "photo"),
        ("video", "video"),
        ("audio", "audio"),
    ],
)
def test_a_file_is_kept_by_its_reference_with_its_caption(
    quiet: FakeTelegram, kind: str, expected: str
) -> None:
    file_id = quiet.user_sends(42, kind, caption="broken, see here")
    [inbound] = inbounds(quiet)
    [attachment] = inbound.attachments
    assert (attachment.kind, attachment.ref) == (expected, file_id)
    assert attachment.size_bytes == 20
    assert inbound.text == "broken, see here"


def test_a_sticker_says_its_emoji_and_is_no_file_for_a_person(quiet: FakeTelegram) -> None:
    quiet.user_sends(42, "sticker")
    [inbound] = inbounds(quiet)
    assert (inbound.text, inbound.attachments) == ("👍", ())


def test_a_location_a_contact_and_a_poll_are_kept_for_a_person(quiet: FakeTelegram) -> None:
    quiet.user_says(42, "", location={"latitude": 52.5, "longitude": 13.4})
    quiet.user_says(42, "", contact={"phone_number": "+4930123", "first_name": "Ada"})
    quiet.user_says(42, "", dice={"emoji": "🎲", "value": 3})
    location, contact, dice = (inbound.attachments[0] for inbound in inbounds(quiet))
    assert (location.kind, location.ref) == ("location", "52.5,13.4")
    assert (contact.kind, contact.ref, contact.name) == ("contact", "+4930123", "Ada")
    assert dice.kind == "other"
    assert dice.ref.startswith("message:42/")


def link(text: str, label: str, url: str) -> Json:
    """What Telegram says of words that lead somewhere."""
    offset = units(text[: text.index(label)])
    return {"type": "text_link", "offset": offset, "length": units(label), "url": url}


LABEL = "https://shop.example/label/77"


@pytest.mark.parametrize(
    ("text", "links", "read_as"),
    [
        ("😀 see here, please", {"here": LABEL}, f"😀 see here ({LABEL}), please"),
        (
            "this or that",
            {"this": "https://a.example/1", "that": "https://a.example/2"},
            "this (https://a.example/1) or that (https://a.example/2)",
        ),
        (f"see {LABEL} there", {LABEL: LABEL}, f"see {LABEL} there"),
        ("see shop.example", {"shop.example": "https://shop.example/"}, "see shop.example"),
        ("order 77", {"77": LABEL}, f"order 77 ({LABEL})"),
        (
            "https://a.example",
            {"https://a.example": "https://b.example/"},
            "https://a.example (https://b.example/)",
        ),
        ("/ask is it here?", {"here": LABEL}, f"is it here ({LABEL})?"),
        (
            "😀 is @desk_bot here @desk_bot in",
            {"is": "https://t.me/@desk_bot", "here": LABEL},
            f"😀 is (https://t.me/@desk_bot)   here ({LABEL})   in",
        ),
    ],
)
@pytest.mark.parametrize("field", ["text", "caption"])
def test_the_address_behind_linked_words_is_read_with_them(
    quiet: FakeTelegram, field: str, text: str, links: dict[str, str], read_as: str
) -> None:
    entities = entities_of(text) + [link(text, label, url) for label, url in links.items()]
    if field == "text":
        quiet.user_says(42, text, entities=entities)
    else:
        photo = [{"file_id": "1", "file_unique_id": "1", "width": 90, "height": 60}]
        quiet.user_says(42, "", photo=photo, caption=text, caption_entities=entities)
    [inbound] = inbounds(quiet)
    assert inbound.text == read_as


def test_an_edit_reads_like_the_message_unless_its_words_lead_elsewhere(
    quiet: FakeTelegram,
) -> None:
    number = quiet.user_says(42, "see here", entities=[link("see here", "here", LABEL)])
    message = quiet.world.messages[42, number]
    quiet.updates.add("edited_message", message)
    elsewhere = link("see here", "here", "https://shop.example/label/78")
    quiet.updates.add("edited_message", {**message, "entities": [elsewhere]})
    original, same, other = inbounds(quiet)
    assert original.text == same.text == f"see here ({LABEL})"
    assert other.text == "see here (https://shop.example/label/78)"


def test_a_group_that_becomes_a_supergroup_moves(quiet: FakeTelegram) -> None:
    quiet.group_moves(GROUP, FORUM)
    [moved] = meanings(quiet)
    assert isinstance(moved, Moved)
    assert (moved.address.place, moved.place) == (str(GROUP), str(FORUM))


@pytest.mark.parametrize(
    "update",
    [
        {"message": {"from": OTHER_BOT, "chat": {"id": 42, "type": "private"}, "text": "hi"}},
        {"message": {"from": PERSON, "chat": {"id": -1, "type": "channel"}, "text": "@desk_bot"}},
        {"channel_post": {"chat": {"id": -1, "type": "channel"}, "text": "news"}},
        {"message": {"chat": {"id": 42, "type": "private"}, "text": "nobody"}},
        {"message": {"from": PERSON, "chat": {"id": 6, "type": "private"}}},
        {
            "message": {
                "from": PERSON,
                "chat": {"id": -5, "type": "supergroup"},
                "text": "@desk_bot",
                "is_automatic_forward": True,
            }
        },
        {"edited_message": {"from": PERSON, "chat": {"id": 6, "type": "private"}, "text": "/help"}},
    ],
)
def test_what_is_no_customer_writing_to_us_means_nothing(update: Json) -> None:
    [(kind, content)] = update.items()
    content = {"message_id": 1, "date": 1, **content}
    assert read(Update.de_json({"update_id": 1, kind: content}, None), ME, WORKSPACE) is None
