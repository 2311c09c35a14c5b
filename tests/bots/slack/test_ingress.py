"""Things that Slack reports, over a real websocket and over real HTTP."""

from collections.abc import AsyncIterator

import pytest

from bots.slack import ingress
from core.errors import Rejected, Unavailable
from core.phrases import Phrase, say
from core.turn import Kind
from tests.bots.slack.conftest import Rig
from tests.patience import PATIENCE_S

DM, ROOM = "D0CUSTOMER", "C0GENERAL"


@pytest.fixture(params=["socket", "http"])
async def talking(request: pytest.FixtureRequest, rig: Rig) -> AsyncIterator[Rig]:
    """The same cases on both transports."""
    if request.param == "socket":
        async with rig.running():
            yield rig
    else:
        async with rig.over_http():
            yield rig


async def test_direct_messages_without_a_thread_are_one_conversation(talking: Rig) -> None:
    slack, desk = talking.slack, talking.desk
    slack.user_says(DM, "Hallo")
    first = slack.user_says(DM, "Wo ist mein Paket?")
    slack.user_says(DM, "Noch etwas", thread_ts=first)
    await slack.push.idle()
    assert sorted((i.address.place, i.text) for i in desk.inbounds) == [
        (DM, "Hallo"),
        (DM, "Wo ist mein Paket?"),
        (f"{DM}/{first}", "Noch etwas"),
    ]
    assert {i.address.workspace for i in desk.inbounds} == {"home"}
    assert {i.language_hint for i in desk.inbounds} == {"en-US"}


async def test_a_mention_is_one_event_though_slack_reports_it_twice(talking: Rig) -> None:
    ts = talking.slack.user_says(ROOM, "how do I return &lt;this&gt; &amp; that?", mention=True)
    await talking.slack.push.idle()
    (inbound,) = talking.desk.inbounds
    assert inbound.text == "how do I return <this> & that?"
    assert inbound.event_id == f"{ROOM}:{ts}"
    assert inbound.address.place == f"{ROOM}/{ts}"


async def test_a_thread_is_followed_without_a_mention_once_we_are_in_it(talking: Rig) -> None:
    slack, desk = talking.slack, talking.desk
    ts = slack.user_says(ROOM, "help", mention=True)
    await slack.push.idle()
    slack.user_says(ROOM, "and in blue?", thread_ts=ts)
    stranger = slack.user_says(ROOM, "lunch?")
    slack.user_says(ROOM, "yes", thread_ts=stranger)
    await slack.push.idle()
    assert desk.texts == ["help", "and in blue?"]


async def test_two_bots_do_not_answer_each_other(talking: Rig) -> None:
    slack = talking.slack
    slack.bot_says(DM, "I am a bot as well")
    slack.bot_says(ROOM, f"<@{slack.team.bot_user}> hello?")
    message = slack.team.write(DM, text="me", user=slack.team.bot_user, bot_id=slack.team.bot_id)
    slack.tell(message.shown() | {"channel": DM, "channel_type": "im"})
    slack.tell({"type": "message", "subtype": "channel_join", "channel": DM, "user": "U1"})
    await slack.push.idle()
    assert not talking.desk.inbounds


async def test_unknown_and_odd_events_are_acknowledged(talking: Rig) -> None:
    slack = talking.slack
    for event in (
        {"type": "pretzel_baked"},
        {"type": "message", "channel": 7, "text": ["?"]},
        {"type": None},
        {},
    ):
        slack.tell(event)
    slack.push.send("events_api", {"type": "event_callback", "team_id": "TSTRANGER", "event": {}})
    slack.push.send("events_api", {})
    slack.push.send("interactive", {"type": "view_submission", "team": {"id": slack.team.id}})
    slack.push.send("interactive", {"team": "?"})
    await slack.push.idle()
    assert slack.push.unacknowledged == 0
    assert set(slack.push.statuses) <= {200}


async def test_what_is_not_committed_is_not_acknowledged(talking: Rig) -> None:
    slack, desk = talking.slack, talking.desk
    slack.push.patience_s, slack.push.retries_s = 0.2, (0.0, *[0.3] * 20)
    desk.fault = Unavailable("database", "locked")
    slack.user_says(DM, "first try fails")
    await desk.until(lambda: len(desk.refused) >= 2)
    desk.fault, slack.push.patience_s = None, PATIENCE_S
    await slack.push.idle()
    assert slack.push.unacknowledged == 0
    assert desk.texts == ["first try fails"]
    assert set(slack.push.statuses) <= {200, 503}


async def test_what_can_never_be_stored_is_acknowledged(talking: Rig) -> None:
    talking.desk.fault = Rejected("an id is too long")
    talking.slack.user_says(DM, "x")
    await talking.slack.push.idle()
    assert len(talking.desk.refused) == 1
    assert talking.slack.push.unacknowledged == 0


async def test_duplicated_and_reordered_events_are_taken_once_each(talking: Rig) -> None:
    slack, desk = talking.slack, talking.desk
    slack.faults.duplicate, slack.faults.reorder = 0.3, 0.3
    sent = [f"message {n}" for n in range(100)]
    for text in sent:
        slack.user_says(DM, text)
    await slack.push.idle()
    assert sorted(desk.texts) == sorted(sent)
    assert slack.push.unacknowledged == 0


async def test_edits_and_deletions_carry_a_version(talking: Rig) -> None:
    slack, desk = talking.slack, talking.desk
    ts = slack.user_says(DM, "wher is my parcel")
    await slack.push.idle()
    slack.user_edits(DM, ts, "where is my parcel?")
    await slack.push.idle()
    slack.user_deletes(DM, ts)
    await slack.push.idle()
    said, edit, deletion = desk.inbounds
    assert [said.kind, edit.kind, deletion.kind] == [Kind.MESSAGE, Kind.EDIT, Kind.EDIT]
    assert {i.message_ref for i in desk.inbounds} == {ts}
    assert {i.address.place for i in desk.inbounds} == {DM}
    assert said.version < edit.version < deletion.version
    assert (edit.text, deletion.text) == ("where is my parcel?", "")


async def test_a_question_that_was_answered_can_be_withdrawn(talking: Rig) -> None:
    """Slack leaves a tombstone where replies hang on a message, and calls it a change."""
    slack, desk = talking.slack, talking.desk
    ts = slack.user_says(ROOM, "my card is 4111 1111 1111 1111", mention=True)
    slack.bot_says(ROOM, "So.", thread_ts=ts)
    await slack.push.idle()
    slack.user_deletes(ROOM, ts)
    await slack.push.idle()
    said, deletion = desk.inbounds
    assert (deletion.kind, deletion.message_ref, deletion.text) == (Kind.EDIT, ts, "")
    assert deletion.address == said.address
    assert deletion.version > said.version


async def test_an_edit_that_overtakes_its_message_keeps_the_place(talking: Rig) -> None:
    slack, desk = talking.slack, talking.desk
    ts = slack.user_says(ROOM, "help", mention=True, event=False)
    slack.user_edits(ROOM, ts, f"<@{slack.team.bot_user}> help me")
    await slack.push.idle()
    (edit,) = desk.inbounds
    assert (edit.kind, edit.message_ref, edit.text) == (Kind.EDIT, ts, "help me")
    assert edit.address.place == f"{ROOM}/{ts}"


async def test_an_edit_of_what_a_direct_thread_hangs_on_stays_out_of_the_thread(
    talking: Rig,
) -> None:
    slack, desk = talking.slack, talking.desk
    ts = slack.user_says(DM, "wher is it")
    await slack.push.idle()
    message = {"type": "message", "ts": ts, "user": "U0CUSTOMER", "thread_ts": ts}
    slack.tell(
        {
            "type": "message",
            "subtype": "message_changed",
            "channel": DM,
            "channel_type": "im",
            "ts": slack.team.next_ts(),
            "message": message
            | {"text": "where is it", "edited": {"user": "U0CUSTOMER", "ts": slack.team.next_ts()}},
            "previous_message": message | {"text": "wher is it"},
        }
    )
    await slack.push.idle()
    said, edit = desk.inbounds
    assert (edit.kind, edit.text) == (Kind.EDIT, "where is it")
    assert edit.address == said.address


async def test_what_was_said_before_the_mention_is_no_business_of_ours(talking: Rig) -> None:
    slack, desk = talking.slack, talking.desk
    root = slack.user_says(ROOM, "lunch at one?", user="U0CAROL")
    early = slack.user_says(ROOM, "I am in", user="U0DAVE", thread_ts=root)
    regret = slack.user_says(ROOM, "not me", user="U0EVE", thread_ts=root)
    slack.user_says(ROOM, "help", mention=True, thread_ts=root)
    await slack.push.idle()
    late = slack.user_says(ROOM, "in blue", thread_ts=root)
    await slack.push.idle()
    slack.user_edits(ROOM, root, "lunch at two?")
    slack.user_edits(ROOM, early, "I am in, who else?")
    slack.user_deletes(ROOM, regret)
    slack.user_edits(ROOM, late, "in blue, please")
    await slack.push.idle()
    slack.user_deletes(ROOM, late)
    await slack.push.idle()
    assert {i.message_ref for i in desk.inbounds} == {desk.inbounds[0].message_ref, late}
    assert sorted(desk.texts) == ["", "help", "in blue", "in blue, please"]


async def test_a_forwarded_message_is_quoted_below_what_was_written(talking: Rig) -> None:
    slack, desk = talking.slack, talking.desk
    shared = {
        "is_share": True,
        "is_msg_unfurl": True,
        "author_name": "Bob",
        "text": "Invoice &lt;99&gt; is overdue\nsee <https://a.example|a.example>",
        "fallback": "[today] bob: Invoice 99",
        "ts": "1.0",
    }
    slack.user_says(DM, "", attachments=[shared])
    ts = slack.user_says(DM, "is this rihgt?", attachments=[shared | {"text": ""}])
    slack.user_says(DM, "", attachments=[{"is_msg_unfurl": True, "text": "from a link"}])
    await slack.push.idle()
    slack.user_edits(DM, ts, "is this right?")
    await slack.push.idle()
    assert sorted(desk.texts) == [
        "> Invoice <99> is overdue\n> see https://a.example",
        "> from a link",
        "is this right?\n> [today] bob: Invoice 99",
        "is this rihgt?\n> [today] bob: Invoice 99",
    ]


async def test_previews_and_odd_attachments_add_no_words(talking: Rig) -> None:
    slack, desk = talking.slack, talking.desk
    place = {"channel": DM, "channel_type": "im", "user": "U0CUSTOMER"}
    for number, attachments in enumerate(
        (
            [{"from_url": "https://a.example", "title": "A", "text": "a page", "fallback": "A"}],
            [{"is_msg_unfurl": True, "text": "a message that is linked to"}],
            [{"is_share": "?", "text": "?"}, {"is_share": True, "text": ["?"], "fallback": 7}, 7],
            {"is_share": True, "text": "?"},
            None,
        )
    ):
        event = {"type": "message", "ts": f"{number + 1}.0", "text": f"{number}"}
        slack.tell(place | event | {"attachments": attachments})
    await slack.push.idle()
    assert sorted(desk.texts) == ["0", "1", "2", "3", "4"]


async def test_a_link_preview_is_no_edit(talking: Rig) -> None:
    slack, desk = talking.slack, talking.desk
    ts = slack.user_says(DM, "see <https://a.example>")
    await slack.push.idle()
    slack.user_edits(DM, ts, "see <https://a.example>")
    await slack.push.idle()
    assert desk.texts == ["see https://a.example"]


async def test_files_are_named(talking: Rig) -> None:
    files: list[dict[str, object]] = [
        {"id": "F1", "name": "bill.pdf", "mimetype": "application/pdf", "size": 9},
        {"id": "F2", "mimetype": "audio/mp4"},
    ]
    talking.slack.user_says(DM, "", files=files)
    await talking.slack.push.idle()
    (inbound,) = talking.desk.inbounds
    assert [(a.kind, a.ref, a.name, a.size_bytes) for a in inbound.attachments] == [
        ("file", "F1", "bill.pdf", 9),
        ("voice", "F2", "", 0),
    ]


async def test_files_of_another_company_are_asked_about(talking: Rig) -> None:
    slack, desk = talking.slack, talking.desk
    photo = slack.user_uploads("crack.jpg", b"12345", mimetype="image/jpeg")
    gone = {"id": "FGONE", "mode": "file_access", "file_access": "check_file_info"}
    slack.user_says(DM, "broken", files=[gone, gone | {"id": photo["id"]}])
    await slack.push.idle()
    (inbound,) = desk.inbounds
    assert [(a.kind, a.ref, a.name, a.size_bytes) for a in inbound.attachments] == [
        ("file", "FGONE", "", 0),
        ("image", photo["id"], "crack.jpg", 5),
    ]


async def test_a_call_without_words_asks_what_stands_above_it(talking: Rig) -> None:
    slack, desk = talking.slack, talking.desk
    photo = slack.user_uploads("crack.jpg", b"12345", mimetype="image/jpeg")
    root = slack.user_says(ROOM, "can this be *repaired*?", user="U0CAROL", files=[photo])
    slack.user_says(ROOM, "no idea", user="U0DAVE", thread_ts=root)
    call = slack.user_says(ROOM, "", mention=True, thread_ts=root)
    await slack.push.idle()
    slack.user_says(ROOM, "", mention=True, thread_ts=root)
    await slack.push.idle()
    first, second = desk.inbounds
    assert (first.text, first.customer) == ("can this be repaired?", "U0CUSTOMER")
    assert (first.message_ref, first.address.place) == (call, f"{ROOM}/{root}")
    assert [file.name for file in first.attachments] == ["crack.jpg"]
    assert second.text == "", "once it was asked, a second call is only a call"


async def test_a_call_without_words_below_no_question_is_only_a_call(talking: Rig) -> None:
    slack, desk = talking.slack, talking.desk
    slack.user_says(ROOM, "", mention=True)
    other = slack.bot_says(ROOM, "deployed")
    slack.user_says(ROOM, "", mention=True, thread_ts=other)
    await slack.push.idle()
    slack.api.refuse["conversations.replies"] = "missing_scope"
    root = slack.user_says(ROOM, "can this be repaired?")
    slack.user_says(ROOM, "", mention=True, thread_ts=root)
    await slack.push.idle()
    assert desk.texts == ["", "", ""]
    assert {i.language_hint for i in desk.inbounds} == {"en-US"}


async def test_what_slack_does_not_tell_at_once_is_not_waited_for(
    talking: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingress, "ASK_S", 0.0)
    slack, desk = talking.slack, talking.desk
    root = slack.user_says(ROOM, "can this be repaired?")
    slack.user_says(ROOM, "", mention=True, thread_ts=root)
    await slack.push.idle()
    assert desk.texts == [""]


async def test_opening_the_chat_offers_questions_in_the_users_language(talking: Rig) -> None:
    slack = talking.slack
    slack.team.locales["U0CUSTOMER"] = "de-DE"
    slack.user_opens_chat()
    await slack.called("assistant.threads.setSuggestedPrompts")
    (prompts,) = slack.api.prompts
    assert prompts["channel_id"] == DM
    assert len(prompts["prompts"]) == 3
    assert prompts["prompts"][0]["message"] == say(Phrase.PROMPT_RETURN, "de-DE")
