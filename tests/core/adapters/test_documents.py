import asyncio
from dataclasses import replace

from core.adapters.database import Database
from core.adapters.documents import Document, Documents
from core.adapters.pointers import Pointer
from core.turn import WorkspaceId

SHOP = WorkspaceId("shop")
OTHER = WorkspaceId("other")
RETURNS = Document(id="en/returns", title="Returns", text="30 days.", language="en", source="s")
COSTS = Document(id="de/kosten", title="Kosten", text="Kostenlos.", language="de")


async def test_documents_and_pointer_change_as_one(database: Database) -> None:
    documents = Documents(database)
    assert await documents.publish(SHOP, "v1", instead_of=None, put=[RETURNS, COSTS])
    assert await documents.all(SHOP) == (COSTS, RETURNS)
    standing = await documents.standing(SHOP, ["en/returns", "missing"])
    assert standing.pointer == Pointer(name="v1", previous=None)
    assert standing.wordings == {"en/returns": RETURNS.sha256}


async def test_whoever_comes_second_changes_nothing(database: Database) -> None:
    documents = Documents(database)
    first, second = await asyncio.gather(
        documents.publish(SHOP, "v1", instead_of=None, put=[RETURNS]),
        documents.publish(SHOP, "v2", instead_of=None, put=[COSTS]),
    )
    assert [first, second].count(True) == 1
    assert len(await documents.all(SHOP)) == 1
    assert not await documents.publish(SHOP, "v3", instead_of="v0", put=[COSTS, RETURNS])
    assert len(await documents.all(SHOP)) == 1


async def test_a_new_wording_replaces_the_old_one(database: Database) -> None:
    documents = Documents(database)
    await documents.publish(SHOP, "v1", instead_of=None, put=[RETURNS])
    reworded = replace(RETURNS, text="60 days.")
    assert await documents.publish(SHOP, "v2", instead_of="v1", put=[reworded])
    assert await documents.all(SHOP) == (reworded,)
    standing = await documents.standing(SHOP, ["en/returns"])
    assert standing.pointer == Pointer(name="v2", previous="v1")
    assert standing.wordings["en/returns"] != RETURNS.sha256


async def test_removing_names_what_was_there(database: Database) -> None:
    documents = Documents(database)
    await documents.publish(SHOP, "v1", instead_of=None, put=[RETURNS, COSTS])
    assert await documents.remove(SHOP, ["en/returns", "missing"]) == ("en/returns",)
    assert (await documents.standing(SHOP, ["en/returns"])).wordings == {}


async def test_workspaces_do_not_see_each_other(database: Database) -> None:
    documents = Documents(database)
    await documents.publish(SHOP, "v1", instead_of=None, put=[RETURNS])
    await documents.publish(OTHER, "w1", instead_of=None, put=[COSTS])
    assert await documents.remove(OTHER, ["en/returns"]) == ()
    assert [d.id for d in await documents.list(SHOP)] == ["en/returns"]
    assert (await documents.standing(OTHER, ["en/returns", "de/kosten"])).wordings == {
        "de/kosten": COSTS.sha256
    }


async def test_titles_come_in_order_of_id_and_documents_are_counted(database: Database) -> None:
    documents = Documents(database)
    assert (await documents.titles(SHOP), await documents.count(SHOP)) == ((), 0)
    await documents.publish(SHOP, "v1", instead_of=None, put=[RETURNS, COSTS])
    await documents.publish(OTHER, "w1", instead_of=None, put=[COSTS])
    assert await documents.titles(SHOP) == ("Kosten", "Returns")
    assert await documents.count(SHOP) == 2


async def test_a_list_has_lengths_instead_of_texts(database: Database) -> None:
    documents = Documents(database)
    await documents.publish(SHOP, "v1", instead_of=None, put=[RETURNS])
    (listed,) = await documents.list(SHOP)
    assert (listed.title, listed.characters, listed.language) == ("Returns", 8, "en")
    assert listed.added_at > 1_700_000_000


async def test_documents_are_found_by_title_id_text_and_language(database: Database) -> None:
    documents = Documents(database)
    tents = Document(id="cs/stany", title="Čekání na Řeku", text="100 % bavlna", language="cs")
    await documents.publish(SHOP, "v1", instead_of=None, put=[RETURNS, COSTS, tents])
    await documents.publish(OTHER, "w1", instead_of=None, put=[COSTS])

    async def found(words: str = "", language: str = "", limit: int = 9) -> list[str]:
        listed = await documents.find(SHOP, words=words, language=language, limit=limit)
        return [each.id for each in listed]

    assert await found() == ["cs/stany", "de/kosten", "en/returns"]
    assert await found(limit=2) == ["cs/stany", "de/kosten"]
    assert await found("KOSTENLOS") == await found(language="de") == ["de/kosten"]
    assert await found("čekání") == await found("STANY") == await found("0 %") == ["cs/stany"]
    assert await found("ČEKÁNÍ NA ŘEKU") == await found("čekání na řeku") == ["cs/stany"]
    assert await found("returns", "de") == await found("%s") == []
    assert await documents.languages(SHOP) == {"cs": 1, "de": 1, "en": 1}
