"""The desk port over a forum keeps what every desk promises."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from bots.telegram.api import TelegramApi
from bots.telegram.desk.desk import DeskGroup
from bots.telegram.desk.port import TelegramDesk
from bots.telegram.limits import Limits
from core.adapters.database import Database
from core.adapters.desk import Desk
from core.briefing import Article, Briefing, Entity, EntityKind
from core.cases import EventKind
from core.errors import Misconfigured
from core.tones import Tone
from core.turn import Attachment, Owner
from tests.bots.telegram.desk.world import GROUP, PLENTY, desk_group
from tests.contracts import desk_port
from tests.contracts.desk_port import case, event, line
from tests.fakes.telegram import FakeTelegram


@dataclass(slots=True, kw_only=True)
class Rig:
    telegram: FakeTelegram
    desk: DeskGroup
    port: TelegramDesk

    async def texts(self, place: str) -> str:
        thread = int(place.partition("/")[2])
        return "\n".join(message.text for message in self.telegram.in_topic(GROUP, thread))

    async def delete(self, place: str) -> None:
        self.telegram.topic_is_deleted(GROUP, int(place.partition("/")[2]))


@pytest.fixture
async def rig(database: Database) -> AsyncIterator[Rig]:
    async with FakeTelegram() as telegram:
        telegram.open_forum(GROUP)
        limits = Limits(per_chat=PLENTY, per_group=PLENTY, overall=PLENTY)
        async with TelegramApi(telegram.token, telegram.url, limits=limits) as api:
            desk = desk_group(api, database, Desk(database), {})
            yield Rig(telegram=telegram, desk=desk, port=desk.port)


async def test_it_keeps_what_every_desk_promises(rig: Rig) -> None:
    await desk_port.each_conversation_has_a_place_of_its_own(rig.port)
    await desk_port.what_was_said_before_is_there_and_the_original_beside_its_translation(
        rig.port, rig.texts
    )
    await desk_port.everything_that_can_happen_can_be_shown_and_shown_again(rig.port)
    await desk_port.a_place_that_was_deleted_is_told_apart(rig.port, rig.delete)
    await desk_port.nobody_is_called_by_what_a_customer_writes(rig.port, rig.texts)


async def test_what_a_customer_writes_is_no_link_mention_or_command(rig: Rig) -> None:
    place = await rig.port.open(case(), (line("see https://evil.example @everybody /start"),))
    thread = int(place.partition("/")[2])
    [message] = rig.telegram.in_topic(GROUP, thread)[1:]
    dead = [entity for entity in message.entities if entity["type"] == "code"]
    assert len(dead) == 3
    assert not message.preview


async def test_the_translation_stands_first_and_the_original_is_quoted(rig: Rig) -> None:
    place = await rig.port.open(case(), ())
    said = line("二番", translation="zweitens", translation_language="de")
    ref = await rig.port.show(place, event(line=said))
    message = rig.telegram.messages(GROUP)[-1]
    assert message.text == "👤 zweitens\n二番"
    assert [entity["type"] for entity in message.entities] == ["blockquote"]
    assert ref == f"{GROUP}/{message.message_id}"


@pytest.mark.parametrize("length", [4_096, 9_000, 40_000])
async def test_a_text_of_any_length_is_shown_whole_and_once(rig: Rig, length: int) -> None:
    words = [f"wort{number}" for number in range(length // 9)]
    place = await rig.port.open(case(), ())
    said = line(" ".join(words), translation="ご" * 3_000, translation_language="de")
    await rig.port.show(place, event(line=said))
    read = await rig.texts(place)
    assert [word for word in read.split() if word.startswith("wort")] == words


async def test_a_long_history_is_cut_to_its_newest_part(rig: Rig) -> None:
    lines = [line(f"{number}: " + "ä" * 1_000) for number in range(30)]
    read = await rig.texts(await rig.port.open(case(), lines))
    assert "29: " in read
    assert "⋯" in read
    assert "👤 0: " not in read


async def test_a_file_that_cannot_be_brought_over_leaves_a_line(rig: Rig) -> None:
    place = await rig.port.open(case(), ())
    file = Attachment(kind="document", ref="F1", name="invoice.pdf", channel="slack")
    await rig.port.show(place, event(line=line("see this", attachments=(file,))))
    read = await rig.texts(place)
    assert "see this" in read
    assert "invoice.pdf" in read


async def test_a_briefing_is_shown_with_the_reply_it_suggests(rig: Rig) -> None:
    brief = Briefing(
        summary="Der Kunde vermisst eine Bestellung.",
        language="ja",
        tone=Tone.CALM,
        tried=("Der Bot hatte keine Antwort.",),
        entities=(Entity(kind=EntityKind.ORDER, text="SD-48213"),),
        articles=(Article(document="shipping", title="Versand"),),
        reply="Wir fragen beim Versender nach.",
    )
    briefed = case(owner=Owner.WAITING, briefing=brief.as_json())
    place = await rig.port.open(briefed, ())
    await rig.port.show(place, event(EventKind.BRIEFED, case=briefed, line=None))
    *_, message = rig.telegram.messages(GROUP)
    read = await rig.texts(place)
    for text in ("vermisst", "keine Antwort", "SD-48213", "Versand"):
        assert text in read
    assert "Wir fragen beim Versender nach." in message.text
    assert [label[0] for label, _ in message.buttons] == ["📨", "✏", "🗑"]


@pytest.mark.parametrize(
    ("forum", "rights", "says"),
    [
        (True, {}, "may manage topics"),
        (False, {"can_manage_topics": True}, "switch on Topics"),
        (None, None, "add the bot to the group"),
    ],
)
async def test_a_group_that_cannot_be_a_desk_says_what_to_do(
    rig: Rig, forum: bool | None, rights: dict[str, object] | None, says: str
) -> None:
    rig.telegram.open_forum(GROUP, rights=rights)
    rig.telegram.world.chats[GROUP].is_forum = bool(forum)
    if forum is None:
        del rig.telegram.world.chats[GROUP]
    with pytest.raises(Misconfigured, match=says):
        await rig.desk.check()


async def test_a_group_that_can_be_a_desk_is_named(rig: Rig) -> None:
    assert await rig.desk.check() == f"desk in Group {GROUP}"
