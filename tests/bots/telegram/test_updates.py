import pytest
from telegram import Update

from bots.telegram.api import Me
from bots.telegram.presses import Pressed
from bots.telegram.updates import Moved, read
from core.turn import Inbound, Kind
from tests.bots.telegram.conftest import WORKSPACE
from tests.fakes.telegram import FakeTelegram
from tests.fakes.telegram.world import Json

ME = Me(id=7654321, username="desk_bot")
GROUP = -500
FORUM = -1_001_000_000_001


def meanings(telegram: FakeTelegram) -> list[Inbound | Pressed | Moved | None]:
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
    assert meanings(quiet) == [None]


def test_a_reply_to_one_of_our_messages_is_meant_for_us(quiet: FakeTelegram) -> None:
    chat = quiet.world.chat(GROUP)
    ours = quiet.world.write(chat, quiet.world.bot, None, text="Which one?")["message_id"]
    theirs = quiet.user_says(GROUP, "I think so", user=1)
    quiet.user_says(GROUP, "the red one", user=42, reply_to=ours)
    quiet.user_says(GROUP, "no", user=43, reply_to=theirs)
    assert [inbound.text for inbound in inbounds(quiet)] == ["the red one"]


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


def test_a_group_that_becomes_a_supergroup_moves(quiet: FakeTelegram) -> None:
    quiet.group_moves(GROUP, FORUM)
    [moved] = meanings(quiet)
    assert isinstance(moved, Moved)
    assert (moved.address.place, moved.place) == (str(GROUP), str(FORUM))


OTHER_BOT: Json = {"id": 5, "is_bot": True, "first_name": "Other", "username": "other_bot"}
PERSON: Json = {"id": 6, "is_bot": False, "first_name": "Ada"}


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
