import pytest

from bots.telegram.api import TelegramApi
from bots.telegram.intake import Intake
from bots.telegram.places import address
from bots.telegram.sending import TelegramPort
from core.errors import Unavailable
from core.turn import (
    Answer,
    Clarify,
    ConversationId,
    Kind,
    Outcome,
    Parcel,
    Passage,
    Served,
    Turn,
    TurnId,
    Words,
)
from tests.bots.telegram.conftest import WORKSPACE, Desk
from tests.fakes.telegram import FakeTelegram
from tests.patience import until

PASSAGE = Passage(id="p", document="d", title="Returns", text="x", language="en")


async def reply(
    telegram: FakeTelegram,
    api: TelegramApi,
    outcome: Outcome | Words,
    *,
    language: str = "en",
    offer: tuple[str, ...] = (),
) -> None:
    """Let the bot say something to chat 42, as delivery would."""
    telegram.user_says(42, "hi")
    telegram.updates.pending.clear()
    port = TelegramPort(api)
    turn = Turn(
        id=TurnId(12), conversation=ConversationId(1), address=address(WORKSPACE, "42"), text="?"
    )
    served = Served(outcome=outcome, language=language, probability=1.0, offer_languages=offer)
    for body in port.render(served, turn):
        await port.send(Parcel(id=1, address=turn.address, body=body))


async def bring(telegram: FakeTelegram, intake: Intake) -> None:
    """Bring every pending update to the intake."""
    for number in sorted(telegram.updates.pending):
        await intake.take(telegram.updates.pending[number])
    telegram.updates.pending.clear()
    await intake.drain()


def labels(telegram: FakeTelegram) -> list[str]:
    return [label for shown in telegram.messages(42) for label, _ in shown.buttons]


async def test_feedback_is_kept_thanked_for_in_the_language_and_not_asked_again(
    telegram: FakeTelegram, api: TelegramApi, intake: Intake, desk: Desk
) -> None:
    await reply(telegram, api, Answer(text="x", citations=(PASSAGE,)))
    query = telegram.user_presses(42, "👎")
    await bring(telegram, intake)
    assert desk.ratings == [("42", 12, False)]
    assert telegram.methods.notices[query] == "Thank you for your feedback."
    assert labels(telegram) == ["Talk to a person"]


async def test_stars_say_which_turn_asked_for_them(
    telegram: FakeTelegram, api: TelegramApi, intake: Intake, desk: Desk
) -> None:
    await reply(telegram, api, Words(text="How was it?", asks_rating=True))
    telegram.user_presses(42, "4")
    await bring(telegram, intake)
    assert [(i.kind, i.text, i.target) for i in desk.inbounds] == [(Kind.RATES, "4", 12)]


async def test_the_wish_for_a_person_reaches_the_desk(
    telegram: FakeTelegram, api: TelegramApi, intake: Intake, desk: Desk
) -> None:
    await reply(telegram, api, Answer(text="x", citations=(PASSAGE,)))
    query = telegram.user_presses(42, "Talk to a person")
    await bring(telegram, intake)
    [inbound] = desk.inbounds
    assert (inbound.kind, inbound.address.place) == (Kind.WANTS_PERSON, "42")
    assert telegram.methods.notices[query] == ""
    assert len(labels(telegram)) == 2


async def test_a_language_is_chosen_by_its_tag(
    telegram: FakeTelegram, api: TelegramApi, intake: Intake, desk: Desk
) -> None:
    await reply(telegram, api, Clarify(text="Choose"), offer=("de", "zh-Hant"))
    telegram.user_presses(42, "中文")
    await bring(telegram, intake)
    [inbound] = desk.inbounds
    assert (inbound.kind, inbound.text) == (Kind.CHOOSES_LANGUAGE, "zh-Hant")
    assert labels(telegram) == ["Talk to a person"]


async def test_a_choice_is_sent_as_its_words_and_answered_once(
    telegram: FakeTelegram, api: TelegramApi, intake: Intake, desk: Desk
) -> None:
    await reply(telegram, api, Clarify(text="Which?", choices=("Wie lange?", "Wie teuer?")))
    telegram.user_presses(42, "Wie teuer?")
    telegram.user_presses(42, "Wie teuer?")
    await bring(telegram, intake)
    first, second = desk.inbounds
    assert (first.kind, first.text) == (Kind.MESSAGE, "Wie teuer?")
    # The inbox keeps one message of a reference.
    assert first.message_ref == second.message_ref is not None


async def test_a_choice_of_a_message_that_telegram_forgot_is_asked_for_in_words(
    telegram: FakeTelegram, api: TelegramApi, intake: Intake, desk: Desk
) -> None:
    telegram.user_says(42, "hi")
    telegram.world.messages[42, 99] = {
        "message_id": 99,
        "date": 0,
        "chat": {"id": 42, "type": "private"},
    }
    telegram.updates.pending.clear()
    query = telegram.press(42, 99, "c:12:0:en")
    await bring(telegram, intake)
    assert desk.inbounds == []
    assert telegram.methods.notices[query].startswith("Please describe")


@pytest.mark.parametrize("data", ["x", "f:1", "f:9999999999999999999:1:en", "🤷", "p:-1::en"])
async def test_a_button_that_is_not_ours_ends_its_waiting_sign_and_does_nothing(
    telegram: FakeTelegram, api: TelegramApi, intake: Intake, desk: Desk, data: str
) -> None:
    await reply(telegram, api, Answer(text="x", citations=(PASSAGE,)))
    query = telegram.press(42, telegram.messages(42)[0].message_id, data)
    await bring(telegram, intake)
    assert (desk.inbounds, desk.ratings) == ([], [])
    assert query in telegram.methods.notices


async def test_a_press_that_could_not_be_kept_is_not_acknowledged(
    telegram: FakeTelegram, api: TelegramApi, intake: Intake, desk: Desk
) -> None:
    await reply(telegram, api, Answer(text="x", citations=(PASSAGE,)))
    query = telegram.user_presses(42, "Talk to a person")
    desk.broken = 1
    with pytest.raises(Unavailable):
        await bring(telegram, intake)
    assert query not in telegram.methods.notices
    await bring(telegram, intake)
    await until(lambda: query in telegram.methods.notices)
    assert len(desk.inbounds) == 1


async def test_a_press_whose_acknowledgement_fails_is_kept_all_the_same(
    telegram: FakeTelegram, api: TelegramApi, intake: Intake, desk: Desk
) -> None:
    await reply(telegram, api, Answer(text="x", citations=(PASSAGE,)))
    telegram.user_presses(42, "👍")
    telegram.fail_next("answerCallbackQuery", "500")
    await bring(telegram, intake)
    assert desk.ratings == [("42", 12, True)]


async def test_a_press_that_is_too_old_to_be_acknowledged_takes_its_button_away(
    telegram: FakeTelegram, api: TelegramApi, intake: Intake, desk: Desk
) -> None:
    await reply(telegram, api, Answer(text="x", citations=(PASSAGE,)))
    query = telegram.user_presses(42, "👍")
    telegram.methods.open_queries.discard(query)
    await bring(telegram, intake)
    assert desk.ratings == [("42", 12, True)]
    assert labels(telegram) == ["Talk to a person"]


async def test_what_a_press_says_is_answered_below_its_button_and_kept_each_time(
    telegram: FakeTelegram, api: TelegramApi, intake: Intake, desk: Desk
) -> None:
    await reply(telegram, api, Clarify(text="Choose"), offer=("de", "zh-Hant"))
    [shown] = telegram.messages(42)
    for _ in range(2):
        telegram.user_presses(42, "中文")
    await bring(telegram, intake)
    refs = {inbound.message_ref or "" for inbound in desk.inbounds}
    assert len(refs) == 2
    assert {ref.partition("/")[0] for ref in refs} == {str(shown.message_id)}
