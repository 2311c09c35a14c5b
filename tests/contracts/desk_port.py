"""What every desk's port must do, whichever platform it is on."""

import json
from collections.abc import Awaitable, Callable

import pytest

from core.cases import Case, CaseId, DeskEvent, DeskLine, EventId, EventKind
from core.ports import DeskPort
from core.turn import Author, Channel, ConversationId, Owner, WorkspaceId

Delete = Callable[[str], Awaitable[None]]
"""Removes a place behind the desk's back."""
Texts = Callable[[str], Awaitable[str]]
"""Everything that agents can read at a place."""

HOSTILE = "<script>alert(1)</script> *_`[x](http://evil.example) <!channel> @everyone &amp;"


def case(conversation: int = 1, owner: Owner = Owner.WAITING, **fields: object) -> Case:
    given: dict[str, object] = {
        "id": CaseId(conversation),
        "conversation": ConversationId(conversation),
        "workspace": WorkspaceId("default"),
        "channel": Channel.WEB,
        "customer": "customer-1",
        "owner": owner,
        "reason": "asked",
        "language": "ja",
        "opened_at": 1_700_000_000.0,
    }
    return Case(**{**given, **fields})  # type: ignore[arg-type]  # test shorthand


def line(text: str = "hello", author: Author = Author.CUSTOMER, **fields: object) -> DeskLine:
    given: dict[str, object] = {
        "id": 1,
        "author": author,
        "text": text,
        "language": "ja",
        "created_at": 1_700_000_000.0,
    }
    return DeskLine(**{**given, **fields})  # type: ignore[arg-type]  # test shorthand


def event(kind: EventKind = EventKind.MESSAGE, number: int = 1, **fields: object) -> DeskEvent:
    given: dict[str, object] = {
        "id": EventId(number),
        "kind": kind,
        "conversation": ConversationId(1),
        "created_at": 1_700_000_000.0,
        "case": case(),
        "line": line() if kind in _WITH_LINE else None,
        "actor": "Anna" if kind is not EventKind.MESSAGE else "",
    }
    return DeskEvent(**{**given, **fields})  # type: ignore[arg-type]  # test shorthand


_WITH_LINE = {
    EventKind.MESSAGE,
    EventKind.NOTE,
    EventKind.EDITED,
    EventKind.DELETED,
    EventKind.DELIVERED,
    EventKind.UNDELIVERED,
    EventKind.TRANSLATED,
}


async def each_conversation_has_a_place_of_its_own(desk: DeskPort) -> None:
    places = [await desk.open(case(number), ()) for number in (1, 2)]
    assert len(set(places)) == 2
    assert all(0 < len(place) <= 255 for place in places)


async def what_was_said_before_is_there_and_the_original_beside_its_translation(
    desk: DeskPort, texts: Texts
) -> None:
    said = line("日本語", translation="auf Deutsch", translation_language="de")
    place = await desk.open(case(), (said,))
    await desk.show(place, event(line=line("二番", translation="zweitens")))
    read = await texts(place)
    for text in ("auf Deutsch", "日本語", "zweitens", "二番"):
        assert text in read


async def everything_that_can_happen_can_be_shown_and_shown_again(desk: DeskPort) -> None:
    place = await desk.open(case(), ())
    for number, kind in enumerate(EventKind, 1):
        details = json.dumps({"until": 1_700_000_600.0, "rating": 4, "fate": "refused"})
        shown = event(kind, number, details=details)
        await desk.show(place, shown)
        await desk.show(place, shown)


async def a_place_that_was_deleted_is_told_apart(desk: DeskPort, delete: Delete) -> None:
    place = await desk.open(case(), ())
    await delete(place)
    with pytest.raises(LookupError):
        await desk.show(place, event())


async def nobody_is_called_by_what_a_customer_writes(desk: DeskPort, texts: Texts) -> None:
    place = await desk.open(case(customer=HOSTILE), (line(HOSTILE),))
    await desk.show(place, event(line=line(HOSTILE, name=HOSTILE), actor=HOSTILE))
    assert "alert(1)" in await texts(place)
