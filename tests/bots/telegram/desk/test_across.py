"""Customers and agents who have neither a language nor a channel in common."""

from core.adapters.database import Database
from core.phrases import Phrase, say
from tests.bots.telegram.desk.world import (
    ANNA,
    CUSTOMER,
    GERMAN,
    GROUP,
    IN_JAPANESE,
    JAPANESE,
    WORKSPACE,
    open_world,
)
from tests.fakes.telegram.server import NEW_FILE_BYTES
from tests.patience import until


async def test_a_customer_in_slack_and_an_agent_in_a_topic_read_their_own_language(
    database: Database,
) -> None:
    async with open_world(database, with_slack=True) as world:
        slack = world.slack
        assert slack is not None
        slack.team.open("D00000001", "im")
        slack.user_says("D00000001", JAPANESE, user="U00000001")
        thread = await world.topic()
        # The translation first, the original below.
        await world.reads(thread, JAPANESE)
        await world.claimed(thread)
        world.writes(thread, GERMAN)
        await until(lambda: IN_JAPANESE in str([m.shown() for m in slack.messages("D00000001")]))
        slack.user_says("D00000001", "ありがとうございます！", user="U00000001")
        await world.reads(thread, "👤 Vielen Dank!\nありがとうございます！")
        [case] = await world.all_cases()
        lines = await world.cases.lines(WORKSPACE, case.conversation)
        said = [(line.text, line.translation) for line in lines if line.author != "bot"]
    assert said == [
        (JAPANESE, None),
        (GERMAN, IN_JAPANESE),
        ("ありがとうございます！", "Vielen Dank!"),
    ]


async def test_a_customer_in_telegram_and_an_agent_in_a_topic_of_the_same_bot(
    database: Database,
) -> None:
    async with open_world(database) as world:
        world.telegram.user_says(CUSTOMER, JAPANESE, language_code="ja")
        thread = await world.topic()
        await world.claimed(thread)
        world.writes(thread, GERMAN)
        await world.customer_reads(IN_JAPANESE)
        assert GERMAN not in world.customer_read()
        world.telegram.user_says(CUSTOMER, "ありがとうございます！", language_code="ja")
        await world.reads(thread, "👤 Vielen Dank!\nありがとうございます！")


async def test_files_go_from_slack_to_a_topic_and_back(database: Database) -> None:
    async with open_world(database, with_slack=True) as world:
        slack, telegram = world.slack, world.telegram
        assert slack is not None
        slack.team.open("D00000001", "im")
        slack.user_says("D00000001", JAPANESE, user="U00000001")
        thread = await world.topic()
        await world.claimed(thread)
        file = slack.user_uploads("rechnung.txt", b"what was paid")
        slack.user_says("D00000001", "", user="U00000001", files=[file])
        await until(lambda: any(message.file for message in world.shown(thread)))
        [brought] = [message.file for message in world.shown(thread) if message.file]
        assert telegram.methods.files[brought[1]] == b"what was paid"
        telegram.user_sends(GROUP, "document", user=ANNA, thread=thread, caption=GERMAN)
        await until(lambda: IN_JAPANESE in str([m.shown() for m in slack.messages("D00000001")]))
        await until(lambda: NEW_FILE_BYTES in [f.content for f in slack.team.files.values()])


async def test_a_place_and_a_contact_go_from_a_topic_to_slack_as_words(database: Database) -> None:
    async with open_world(database, with_slack=True) as world:
        slack = world.slack
        assert slack is not None
        slack.team.open("D00000001", "im")
        slack.user_says("D00000001", JAPANESE, user="U00000001")
        thread = await world.topic()
        await world.claimed(thread)
        world.writes(thread, "", contact={"phone_number": "+4930123", "first_name": "Kurier"})
        world.writes(thread, "", location={"latitude": 52.5, "longitude": 13.4})
        await until(lambda: "52.5, 13.4" in str([m.shown() for m in slack.messages("D00000001")]))
        assert "Kurier +4930123" in str([m.shown() for m in slack.messages("D00000001")])
        await world.idle()
        assert not any(say(Phrase.DESK_UNDELIVERED, "de") in said for said in world.said(thread))
