"""Files of customers reach agents, and agents' reach customers."""

import json

import pytest

from bots.slack import files
from core.adapters.tables import messages
from core.phrases import Phrase, say
from tests.bots.slack.desk.world import ANNA, DESK, KENJI, PERSON, World, words_of
from tests.fakes.slack.team import FakeMessage


def files_in(shown: list[FakeMessage]) -> list[tuple[str, str]]:
    """Where which file can still be had."""
    return [
        (m.thread_ts or "", file["title"])
        for m in shown
        for file in m.files
        if file.get("mode") != "tombstone"
    ]


async def test_a_customers_file_is_copied_into_the_thread_once(world: World) -> None:
    card = await world.handed_over()
    await world.claimed()
    world.slack.faults.refuse_429 = 0.3
    world.telegram.user_sends(KENJI, "document", file_name="rechnung.pdf", caption="hier")
    await world.until(lambda: bool(files_in(world.slack.messages(DESK))))
    world.slack.faults.refuse_429 = 0.0
    await world.settled()
    assert files_in(world.slack.messages(DESK)) == [(card.ts, "rechnung.pdf")]
    [file] = world.slack.team.files.values()
    assert file.content
    assert "📎 rechnung.pdf" in world.read()


async def test_a_file_that_cannot_be_had_is_told_and_holds_nothing_up(world: World) -> None:
    await world.handed_over()
    await world.claimed()
    world.telegram.fail_next("getFile", "refuse", times=9)
    world.telegram.user_sends(KENJI, "document", file_name="weg.pdf")
    await world.shown(say(Phrase.DESK_FILE_NOT_HERE, "de", name="weg.pdf"))
    world.customer_says("weiter")
    await world.shown("weiter")


async def test_a_place_and_a_contact_are_shown_in_words(world: World) -> None:
    await world.handed_over()
    world.telegram.user_says(KENJI, "", location={"latitude": 52.5201, "longitude": 13.4049})
    contact = {"phone_number": "+4930123", "first_name": "Ada <!here>" + "a" * 53}
    world.telegram.user_says(KENJI, "", contact=contact)
    url = "https://www.openstreetmap.org/?mlat=52.5201&amp;mlon=13.4049"
    await world.shown(f"📎 <{url}|52.5201, 13.4049>", f"📎 {contact['first_name']} +4930123")
    await world.settled()
    assert say(Phrase.DESK_FILE_NOT_HERE, "de", name="location") not in world.read()
    assert "⚠️" not in world.read()


async def test_an_agents_file_reaches_a_customer_in_telegram(world: World) -> None:
    await world.handed_over()
    await world.claimed()
    file = world.slack.user_uploads("anleitung.txt", b"Schritt 1")
    ts = world.agent_says("bitte sehr", files=[file])
    await world.until(lambda: any(m.file for m in world.telegram.messages(KENJI)))
    await world.until(lambda: "white_check_mark" in world.reactions(ts))
    assert not files_in(world.slack.messages(DESK))


async def test_an_agents_file_reaches_a_customer_in_slack(world: World) -> None:
    world.slack.user_says("D0CUSTOMER", PERSON, user="U0CUSTOMER")
    await world.shown(say(Phrase.DESK_WAITING, "de"))
    await world.settled()
    await world.claimed()
    file = world.slack.user_uploads("anleitung.txt", b"Schritt 1")
    world.agent_says("bitte sehr", files=[file])
    await world.until(lambda: bool(files_in(world.slack.messages("D0CUSTOMER"))))
    await world.settled()
    assert [name for _, name in files_in(world.slack.messages("D0CUSTOMER"))] == ["anleitung.txt"]
    [copy] = [f for f in world.slack.team.files.values() if f.id != file["id"]]
    assert copy.content == b"Schritt 1"


@pytest.mark.long
async def test_a_typo_beside_files_is_corrected_and_the_files_stay(world: World) -> None:
    await world.handed_over()
    await world.claimed()
    uploaded = [world.slack.user_uploads(f"{n}.txt", b"Schritt") for n in range(2)]
    ts = world.agent_says("bitte sher", files=uploaded)
    await world.told("sher")
    await world.settled()
    sent = [m.file for m in world.telegram.messages(KENJI) if m.file]
    assert len(sent) == 2
    world.slack.user_edits(DESK, ts, "bitte sehr")
    await world.told("bitte sehr")
    await world.settled()
    assert [m.file for m in world.telegram.messages(KENJI) if m.file] == sent
    assert "sher" not in "\n".join(world.customer_reads())
    [line] = [row for row in await world.rows(messages) if row.author == "agent"]
    names = [file["name"] for file in json.loads(line.details)["attachments"]]
    assert names == ["0.txt", "1.txt"]
    assert say(Phrase.DESK_UNDELIVERED, "de") not in world.read()


@pytest.mark.long
async def test_words_that_are_taken_from_beside_a_file_leave_the_file(world: World) -> None:
    await world.handed_over()
    await world.claimed()
    file = world.slack.user_uploads("anleitung.txt", b"Schritt 1")
    ts = world.agent_says("falsche Worte", files=[file])
    await world.told("falsche Worte")
    await world.settled()
    world.slack.user_edits(DESK, ts, "")
    await world.until(lambda: "falsche" not in "\n".join(world.customer_reads()))
    await world.settled()
    assert [m.file is not None for m in world.telegram.messages(KENJI)][-1:] == [True]
    world.slack.user_deletes(DESK, ts)
    await world.until(lambda: not any(m.file for m in world.telegram.messages(KENJI)))


async def test_an_edit_beside_a_file_uploads_nothing_again(world: World) -> None:
    world.slack.user_says("D0CUSTOMER", PERSON, user="U0CUSTOMER")
    await world.shown(say(Phrase.DESK_WAITING, "de"))
    await world.settled()
    await world.claimed()
    file = world.slack.user_uploads("anleitung.txt", b"Schritt 1")
    ts = world.agent_says("bitte sher", files=[file])
    await world.until(lambda: bool(files_in(world.slack.messages("D0CUSTOMER"))))
    await world.settled()
    world.slack.user_edits(DESK, ts, "bitte sehr")
    await world.until(lambda: "bitte sehr" in read_by_customer(world))
    await world.settled()
    assert "sher" not in read_by_customer(world)
    assert "📎 anleitung.txt" in read_by_customer(world)
    assert [name for _, name in files_in(world.slack.messages("D0CUSTOMER"))] == ["anleitung.txt"]
    assert say(Phrase.DESK_UNDELIVERED, "de") not in world.read()


def read_by_customer(world: World) -> str:
    return "\n".join(words_of(message) for message in world.slack.messages("D0CUSTOMER"))


async def sent_with_files(world: World, text: str, *names: str) -> str:
    """What an agent has sent to a customer in Slack, with files that have arrived."""
    world.slack.user_says("D0CUSTOMER", PERSON, user="U0CUSTOMER")
    await world.shown(say(Phrase.DESK_WAITING, "de"))
    await world.settled()
    await world.claimed()
    ts = world.agent_says(text, files=[world.slack.user_uploads(n, b"Schritt") for n in names])
    await world.until(lambda: len(files_in(world.slack.messages("D0CUSTOMER"))) == len(names))
    await world.settled()
    return ts


async def test_a_reply_that_is_taken_back_takes_its_files_with_it(world: World) -> None:
    ts = await sent_with_files(world, "das falsche", "1.txt", "2.txt")
    world.slack.user_deletes(DESK, ts)
    await world.until(lambda: not files_in(world.slack.messages("D0CUSTOMER")))
    await world.settled()
    assert "falsche" not in read_by_customer(world)
    # What the agent uploaded is theirs.
    kept = [file.user for file in world.slack.team.files.values() if not file.deleted]
    assert kept == ["", ""]
    assert say(Phrase.DESK_UNDELIVERED, "de") not in world.read()


@pytest.mark.long
async def test_a_file_is_taken_back_once_slack_is_there_again(world: World) -> None:
    ts = await sent_with_files(world, "das falsche", "1.txt")
    world.slack.api.refuse["files.delete"] = "service_unavailable"
    world.slack.user_deletes(DESK, ts)
    await world.until(lambda: deletions(world) > 0)
    # Whether it was carried out is not known.
    world.slack.api.refuse["files.delete"] = "internal_error"
    before = deletions(world)
    await world.until(lambda: deletions(world) > before)
    assert files_in(world.slack.messages("D0CUSTOMER"))
    del world.slack.api.refuse["files.delete"]
    await world.until(lambda: not files_in(world.slack.messages("D0CUSTOMER")))
    await world.settled()
    assert say(Phrase.DESK_UNDELIVERED, "de") not in world.read()


async def test_a_file_that_slack_does_not_let_go_is_told_and_its_words_can_come_back(
    world: World,
) -> None:
    ts = await sent_with_files(world, "bitte sher", "1.txt")
    world.slack.api.refuse["files.delete"] = "file_deleting_disabled"
    world.slack.user_edits(DESK, ts, "! bitte sher")
    await world.shown(say(Phrase.DESK_UNDELIVERED, "de"))
    await world.settled()
    assert "sher" not in read_by_customer(world)
    world.slack.user_edits(DESK, ts, "bitte sehr")
    await world.until(lambda: "bitte sehr" in read_by_customer(world))
    await world.settled()
    assert [name for _, name in files_in(world.slack.messages("D0CUSTOMER"))] == ["1.txt"]


def deletions(world: World) -> int:
    """How often Slack was asked to delete a file."""
    return sum(method == "files.delete" for method, _ in world.slack.api.requests)


async def test_a_file_that_is_deleted_from_beside_words_stays_and_its_author_is_told(
    world: World,
) -> None:
    await world.handed_over()
    await world.claimed()
    file = world.slack.user_uploads("falsch.txt", b"Schritt 1")
    ts = world.agent_says("bitte sehr", files=[file])
    await world.until(lambda: any(m.file for m in world.telegram.messages(KENJI)))
    await world.settled()
    world.slack.user_edits(DESK, ts, "bitte schön")
    await world.told("bitte schön")
    world.slack.user_deletes_file(DESK, ts, file["id"])
    [whisper] = await world.whispered()
    assert (whisper["user"], whisper["text"]) == (ANNA, say(Phrase.DESK_FILE_STAYS, "de"))
    await world.settled()
    assert any(m.file for m in world.telegram.messages(KENJI))
    world.slack.user_deletes(DESK, ts)
    await world.until(lambda: not any(m.file for m in world.telegram.messages(KENJI)))
    await world.settled()
    assert "bitte schön" not in "\n".join(world.customer_reads())


async def test_a_message_of_which_only_a_deleted_file_is_left_is_taken_back(world: World) -> None:
    await world.handed_over()
    await world.claimed()
    file = world.slack.user_uploads("falsch.txt", b"Schritt 1")
    ts = world.agent_says("", files=[file])
    await world.until(lambda: any(m.file for m in world.telegram.messages(KENJI)))
    await world.settled()
    world.slack.user_deletes_file(DESK, ts, file["id"])
    await world.until(lambda: not any(m.file for m in world.telegram.messages(KENJI)))
    await world.shown(say(Phrase.DESK_DELETED, "de"))


async def test_a_file_that_was_refused_is_deleted_without_a_word(world: World) -> None:
    await world.handed_over()
    await world.claimed()
    file = {**world.slack.user_uploads("film.mp4", b"x"), "size": files.MAX_BYTES + 1}
    ts = world.agent_says("der Film", files=[file])
    await world.whispered()
    world.slack.user_deletes_file(DESK, ts, file["id"])
    world.agent_says("danach")
    await world.told("danach")
    await world.settled()
    assert len(world.slack.api.ephemeral) == 1
    assert "der Film" not in "\n".join(world.customer_reads())


async def test_a_customer_takes_back_a_file(world: World) -> None:
    world.slack.user_says("D0CUSTOMER", PERSON, user="U0CUSTOMER")
    await world.shown(say(Phrase.DESK_WAITING, "de"))
    await world.settled()
    shared = [world.slack.user_uploads(f"{n}.txt", b"x") for n in range(3)]
    both = world.slack.user_says("D0CUSTOMER", "zwei", files=shared[:2])
    alone = world.slack.user_says("D0CUSTOMER", "", files=shared[2:])
    await world.shown("📎 0.txt", "📎 1.txt", "📎 2.txt")
    await world.settled()
    world.slack.user_deletes_file("D0CUSTOMER", both, shared[0]["id"])
    world.slack.user_deletes_file("D0CUSTOMER", alone, shared[2]["id"])
    await world.shown(say(Phrase.DESK_DELETED, "de"))
    await world.settled()
    told = [text for who, text, *_ in await world.lines() if who == "customer"]
    assert told == [PERSON, "zwei", ""]
    assert world.read().count(say(Phrase.DESK_DELETED, "de")) == 1


async def test_a_file_beside_an_internal_word_stays_here(world: World) -> None:
    await world.handed_over()
    await world.claimed()
    file = world.slack.user_uploads("intern.txt", b"geheim")
    ts = world.agent_says("! nur für uns", files=[file])
    await world.until(lambda: "lock" in world.reactions(ts))
    await world.settled()
    assert not any(m.file for m in world.telegram.messages(KENJI))


async def test_a_file_that_is_too_large_is_refused_with_words(world: World) -> None:
    await world.handed_over()
    await world.claimed()
    file = {**world.slack.user_uploads("film.mp4", b"x"), "size": files.MAX_BYTES + 1}
    world.agent_says("der Film", files=[file])
    [whisper] = await world.whispered()
    assert whisper["user"] == ANNA
    said = say(Phrase.DESK_FILE_TOO_LARGE, "de", name="film.mp4", limit=files.MAX_BYTES // 1024**2)
    assert whisper["text"] == said
    await world.settled()
    assert "der Film" not in "\n".join(world.customer_reads())


@pytest.mark.parametrize(
    "url", ["https://evil.example/f", "http://files.slack.com/f", "", "file:/"]
)
async def test_our_token_is_shown_to_nobody_but_slack(world: World, url: str) -> None:
    await world.handed_over()
    await world.claimed()
    file = world.slack.user_uploads("da.txt", b"x")
    world.slack.team.files[file["id"]].url = url
    world.agent_says("da", files=[file])
    await world.shown(say(Phrase.DESK_UNDELIVERED, "de"))
    assert not any(m.file for m in world.telegram.messages(KENJI))
