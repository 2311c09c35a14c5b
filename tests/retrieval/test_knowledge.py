import asyncio
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import pytest

from core.adapters.database import Database, open_database
from core.adapters.documents import Document
from core.errors import Unavailable
from core.turn import Found, WorkspaceId
from retrieval.encoder import Vectors
from retrieval.opening import Retrieval, open_retriever
from tests.fakes.encoder import FakeEncoder
from tests.patience import PATIENCE_S

SHOP = WorkspaceId("shop")
OTHER = WorkspaceId("other")
# Of a sentence each: what is encoded is that, below the title, and the title alone.
OF_THREE_ARTICLES = 6


class OneLanguage:
    """A detector that knows a single answer."""

    async def detect(self, text: str) -> Sequence[tuple[str, float]]:
        return (("nl", 0.9),)


def article(folder: Path, name: str, text: str, language: str = "en") -> str:
    path = folder / f"{name}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"---\nlanguage: {language}\n---\n# {name}\n\n{text}\n", encoding="utf-8")
    return str(path)


def faq(folder: Path, rows: Mapping[str, str], name: str = "faq.csv") -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{question},{answer}" for question, answer in rows.items()]
    if path.suffix == ".jsonl":
        lines = [json.dumps({"question": q, "answer": a}) for q, a in rows.items()]
    else:
        lines.insert(0, "question,answer")
    path.write_text("\n".join(lines), encoding="utf-8")
    return str(path)


def cited(found: Found) -> list[str]:
    return [passage.document for passage in found.passages]


async def ask(retrieval: Retrieval, question: str, workspace: WorkspaceId = SHOP) -> list[str]:
    return cited(await retrieval.retriever.search(workspace, question, language="en"))


async def exchanges() -> None:
    """Wait for what a search has set going in the background."""
    await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    article(folder, "returns", "You may send a parcel back within thirty days.")
    article(folder, "shipping", "Express delivery takes two working days.")
    article(folder, "de/kosten", "Die Rücksendung ist kostenlos.", "de")
    return folder


async def test_what_was_added_is_found_with_its_place(retrieval: Retrieval, docs: Path) -> None:
    added = await retrieval.knowledge.add(SHOP, [str(docs)])
    assert added.added == ("de/kosten", "returns", "shipping")
    assert added.faults == ()
    found = await retrieval.knowledge.search(SHOP, "send a parcel back", language="en")
    first = found.passages[0]
    assert (first.document, first.id, first.heading) == ("returns", "returns#1", "returns")
    assert first.text == "You may send a parcel back within thirty days."
    assert found.index == added.index
    assert 0 < found.probability < 1


async def test_a_workspace_without_knowledge_finds_nothing(retrieval: Retrieval) -> None:
    found = await retrieval.retriever.search(SHOP, "anything", language="en")
    assert found == Found(passages=(), probability=0.0, index="")


async def test_one_bad_file_is_reported_and_the_rest_go_in(
    retrieval: Retrieval, docs: Path
) -> None:
    (docs / "bad.md").write_bytes(b"caf\xe9")
    (docs / "empty.txt").touch()
    (docs / os.fsdecode(b"na\xefve.md")).write_text("A name from another system.")
    article(docs, "same", "one")
    (docs / "same.txt").write_text("two")
    added = await retrieval.knowledge.add(SHOP, [str(docs), str(docs / "nowhere"), "https://a.b/"])
    assert added.added == ("de/kosten", "returns", "same", "shipping")
    reasons = [fault.reason for fault in added.faults]
    expected = ["not UTF-8 (", "empty", "name is not", "rename one", "no such file", "not allowed"]
    assert [said in reason for said, reason in zip(expected, reasons, strict=True)] == [True] * 6
    assert reasons[2].encode()


async def test_unchanged_documents_are_not_encoded_again(
    retrieval: Retrieval, docs: Path, encoder: FakeEncoder
) -> None:
    first = await retrieval.knowledge.add(SHOP, [str(docs)])
    encoder.encoded.clear()
    again = await retrieval.knowledge.add(SHOP, [str(docs)])
    assert (again.unchanged, again.index) == (("de/kosten", "returns", "shipping"), first.index)
    article(docs, "returns", "You may send a parcel back within sixty days.")
    changed = await retrieval.knowledge.add(SHOP, [str(docs)])
    assert changed.updated == ("returns",)
    assert len(encoder.encoded) == 1
    found = await retrieval.retriever.search(SHOP, "send a parcel back", language="en")
    assert "sixty" in found.passages[0].text
    assert len([p for p in found.passages if p.document == "returns"]) == 1


async def test_rows_that_got_other_numbers_are_not_encoded_again(
    retrieval: Retrieval, tmp_path: Path, encoder: FakeEncoder
) -> None:
    await retrieval.knowledge.add(SHOP, [faq(tmp_path, BAKERY)])
    encoder.encoded.clear()
    await retrieval.knowledge.add(SHOP, [faq(tmp_path, {"Parking?": "Behind the house."} | BAKERY)])
    assert {text.partition("\n")[0] for text in encoder.encoded} == {"Parking?"}
    found = await retrieval.knowledge.search(SHOP, "do you deliver cakes", language="en")
    assert (found.passages[0].id, found.passages[0].title) == ("faq#3#1", "Do you deliver cakes?")


async def test_reindexing_encodes_everything(
    retrieval: Retrieval, docs: Path, encoder: FakeEncoder
) -> None:
    await retrieval.knowledge.add(SHOP, [str(docs)])
    encoder.encoded.clear()
    await retrieval.knowledge.reindex(SHOP)
    assert len(encoder.encoded) == OF_THREE_ARTICLES


async def test_another_encoder_builds_anew_instead_of_mixing_vectors(
    sqlite: Database, tmp_path: Path, docs: Path
) -> None:
    async with open_retriever(sqlite, tmp_path / "data", encoder=FakeEncoder("a@1")) as first:
        await first.knowledge.add(SHOP, [str(docs)])
    second_encoder = FakeEncoder("b@1")
    async with open_retriever(sqlite, tmp_path / "data", encoder=second_encoder) as second:
        with pytest.raises(Unavailable, match="run `dragoman knowledge reindex`"):
            await ask(second, "parcel")
        await second.knowledge.reindex(SHOP)
        assert await ask(second, "send a parcel back")
        assert len(second_encoder.encoded) == OF_THREE_ARTICLES


async def test_a_removed_document_is_never_cited_again_by_any_process(
    sqlite: Database, tmp_path: Path, docs: Path
) -> None:
    data = tmp_path / "data"
    async with (
        open_retriever(sqlite, data, encoder=FakeEncoder()) as here,
        open_retriever(sqlite, data, encoder=FakeEncoder()) as there,
    ):
        await here.knowledge.add(SHOP, [str(docs)])
        assert (await ask(there, "send a parcel back"))[0] == "returns"
        removed = await here.knowledge.remove(SHOP, ["returns", "missing"])
        assert (removed.removed, removed.missing) == (("returns",), ("missing",))
        for _ in range(3):
            assert "returns" not in await ask(there, "send a parcel back")
        assert [d.id for d in await there.knowledge.list(SHOP)] == ["de/kosten", "shipping"]


async def test_the_first_question_after_another_process_changed_something_finds_it(
    sqlite: Database, tmp_path: Path, docs: Path
) -> None:
    data = tmp_path / "data"
    rows = faq(tmp_path, BAKERY)
    async with (
        open_retriever(sqlite, data, encoder=FakeEncoder()) as here,
        open_retriever(sqlite, data, encoder=FakeEncoder()) as there,
    ):
        await here.knowledge.add(SHOP, [str(docs), rows])
        assert (await ask(there, "send a parcel back"))[0] == "returns"
        article(docs, "returns", "You may send a parcel back within sixty days.")
        article(docs, "new", "A new subject.")
        faq(tmp_path, {"Parking?": "Behind the house."} | BAKERY)
        index = (await here.knowledge.add(SHOP, [str(docs), rows])).index
        questions = ("send a parcel back", "a new subject", "do you deliver cakes")
        found = await asyncio.gather(
            *(there.retriever.search(SHOP, question, language="en") for question in questions)
        )
        assert [cited(each)[0] for each in found] == ["returns", "new", "faq#3"]
        assert "sixty" in found[0].passages[0].text
        assert {each.index for each in found} == {index}


class Meanwhile(FakeEncoder):
    """Another search begins and ends while this one encodes its question."""

    search: Callable[[], Awaitable[Found]] | None = None

    async def questions(self, texts: Sequence[str]) -> Vectors:
        if self.search is not None:
            search, self.search = self.search, None
            await search()
        return await super().questions(texts)


async def test_a_question_that_another_was_faster_than_finds_what_is_new(
    sqlite: Database, tmp_path: Path, docs: Path
) -> None:
    data, encoder = tmp_path / "data", Meanwhile()
    async with (
        open_retriever(sqlite, data, encoder=FakeEncoder()) as here,
        open_retriever(sqlite, data, encoder=encoder) as there,
    ):
        await here.knowledge.add(SHOP, [str(docs)])
        assert (await ask(there, "send a parcel back"))[0] == "returns"
        article(docs, "new", "A new subject.")
        await here.knowledge.add(SHOP, [str(docs)])
        encoder.search = lambda: there.retriever.search(SHOP, "shipping", language="en")
        assert (await ask(there, "a new subject"))[0] == "new"
        assert encoder.search is None


async def test_a_removal_holds_even_if_the_index_cannot_be_rebuilt(
    retrieval: Retrieval, docs: Path, tmp_path: Path
) -> None:
    await retrieval.knowledge.add(SHOP, [str(docs)])
    folder = tmp_path / "data" / "indexes" / "shop"
    folder.rename(folder.with_name("moved"))
    folder.write_text("a file in the way")
    assert (await retrieval.knowledge.remove(SHOP, ["returns"])).removed == ("returns",)
    assert "returns" not in await ask(retrieval, "send a parcel back")


async def test_everything_may_be_removed(retrieval: Retrieval, docs: Path) -> None:
    await retrieval.knowledge.add(SHOP, [str(docs)])
    await retrieval.knowledge.remove(SHOP, ["returns", "shipping", "de/kosten"])
    assert await ask(retrieval, "send a parcel back") == []
    assert (await retrieval.knowledge.add(SHOP, [str(docs)])).added


BAKERY = {
    "Open on Sundays?": "From seven to eleven.",
    "Do you deliver cakes?": "Express costs eight euros.",
    "Gift cards?": "From ten euros.",
}


@pytest.mark.parametrize("name", ["faq.csv", "faq.jsonl"])
async def test_a_row_that_left_its_file_is_answered_no_more(
    retrieval: Retrieval, tmp_path: Path, name: str
) -> None:
    first = await retrieval.knowledge.add(SHOP, [faq(tmp_path, BAKERY, name)])
    assert first.removed == ()
    left = {question: BAKERY[question] for question in list(BAKERY)[::2]}
    again = await retrieval.knowledge.add(SHOP, [faq(tmp_path, left, name)])
    assert (again.updated, again.removed) == (("faq#2",), ("faq#3",))
    titles = [document.title for document in await retrieval.knowledge.list(SHOP)]
    assert titles == list(left)
    found = await retrieval.knowledge.search(SHOP, "do you deliver cakes express", language="en")
    assert found.index == again.index
    assert all("Express" not in passage.text for passage in found.passages)


async def test_only_rows_of_a_file_that_was_read_to_its_end_are_taken_to_be_gone(
    retrieval: Retrieval, tmp_path: Path
) -> None:
    folder = tmp_path / "docs"
    for name in ("faq2.csv", "de/faq.csv"):
        faq(folder, BAKERY, name)
    article(folder, "faq", "An article of the same name.")
    await retrieval.knowledge.add(SHOP, [str(folder)])
    before = await retrieval.knowledge.list(SHOP)
    path = faq(tmp_path, BAKERY)
    await retrieval.knowledge.add(SHOP, [path])
    faq(tmp_path, {"Open on Sundays?": "Yes.", "One field": "too, many"})
    refused = await retrieval.knowledge.add(SHOP, [path])
    assert (refused.removed, len(refused.faults)) == ((), 1)
    faq(tmp_path, {"Open?": "Yes."})
    again = await retrieval.knowledge.add(SHOP, [path])
    assert again.removed == ("faq#2", "faq#3")
    left = {document.id for document in await retrieval.knowledge.list(SHOP)}
    assert left == {document.id for document in before} | {"faq#1"}


async def test_a_second_faq_of_one_name_is_refused_as_a_whole(
    retrieval: Retrieval, tmp_path: Path
) -> None:
    paths = [
        faq(tmp_path / "a", {"Open?": "At nine."}, "faq.csv"),
        faq(tmp_path / "b", BAKERY, "faq.csv"),
    ]
    added = await retrieval.knowledge.add(SHOP, paths)
    assert added.added == ("faq#1",)
    assert [fault.path for fault in added.faults] == [paths[1]]
    assert "rename one" in added.faults[0].reason


async def test_a_faq_is_removed_by_the_name_of_its_file_if_that_is_what_is_meant(
    retrieval: Retrieval, tmp_path: Path
) -> None:
    paths = [faq(tmp_path, BAKERY), faq(tmp_path, BAKERY, "faq2.csv")]
    await retrieval.knowledge.add(SHOP, paths)
    assert (await retrieval.knowledge.remove(SHOP, ["faq"])).missing == ("faq",)
    removed = await retrieval.knowledge.remove(SHOP, ["faq", "faq2#1", "fa", ""], tables_too=True)
    assert removed.removed == ("faq#1", "faq#2", "faq#3", "faq2#1")
    assert removed.missing == ("", "fa")
    await retrieval.knowledge.add(SHOP, [article(tmp_path, "faq2", "An article of this name.")])
    removed = await retrieval.knowledge.remove(SHOP, ["faq2"], tables_too=True)
    assert removed.removed == ("faq2",)


async def test_two_who_add_at_once_lose_nothing(sqlite: Database, tmp_path: Path) -> None:
    data = tmp_path / "data"
    paths = [article(tmp_path, f"a{n}", f"subject number {n}") for n in range(6)]
    async with (
        open_retriever(sqlite, data, encoder=FakeEncoder()) as here,
        open_retriever(sqlite, data, encoder=FakeEncoder()) as there,
    ):
        await asyncio.gather(
            *(here.knowledge.add(SHOP, [path]) for path in paths[:3]),
            *(there.knowledge.add(SHOP, [path]) for path in paths[3:]),
        )
        assert len(await here.knowledge.list(SHOP)) == 6
        await here.knowledge.reindex(SHOP)
        for number in range(6):
            assert (await ask(here, f"subject number {number}"))[0] == f"a{number}"


async def test_a_document_removed_while_another_is_added_stays_removed(
    sqlite: Database, tmp_path: Path, docs: Path
) -> None:
    slow = FakeEncoder()
    data = tmp_path / "data"
    async with (
        open_retriever(sqlite, data, encoder=slow) as here,
        open_retriever(sqlite, data, encoder=FakeEncoder()) as there,
    ):
        await here.knowledge.add(SHOP, [str(docs)])
        slow.gate.clear()
        path = article(tmp_path, "new", "a new subject")
        adding = asyncio.create_task(here.knowledge.add(SHOP, [path]))
        await slow.waiting.wait()
        await there.knowledge.remove(SHOP, ["returns"])
        slow.gate.set()
        await adding
        assert "returns" not in await ask(here, "send a parcel back")
        assert (await ask(here, "a new subject"))[0] == "new"
        assert "returns" not in {d.id for d in await here.knowledge.list(SHOP)}


async def test_the_old_snapshot_serves_while_a_new_one_is_built(
    retrieval: Retrieval, docs: Path, encoder: FakeEncoder, tmp_path: Path
) -> None:
    await retrieval.knowledge.add(SHOP, [str(docs)])
    encoder.gate.clear()
    path = article(tmp_path, "new", "a new subject")
    adding = asyncio.create_task(retrieval.knowledge.add(SHOP, [path]))
    await encoder.waiting.wait()
    assert (await ask(retrieval, "send a parcel back"))[0] == "returns"
    encoder.gate.set()
    await adding
    assert (await ask(retrieval, "a new subject"))[0] == "new"


async def test_a_corrupt_snapshot_is_refused_and_the_old_one_serves_on(
    sqlite: Database, tmp_path: Path, docs: Path
) -> None:
    data = tmp_path / "data"
    async with (
        open_retriever(sqlite, data, encoder=FakeEncoder()) as here,
        open_retriever(sqlite, data, encoder=FakeEncoder()) as there,
    ):
        old = (await here.knowledge.add(SHOP, [str(docs)])).index
        assert (await ask(there, "send a parcel back"))[0] == "returns"
        path = article(tmp_path, "new", "a new subject")
        new = (await here.knowledge.add(SHOP, [path])).index
        corrupt = data / "indexes" / "shop" / new / "01-en" / "index.faiss"
        corrupt.write_bytes(corrupt.read_bytes()[:-1] + b"\x00\x01")
        for _ in range(3):
            found = await there.retriever.search(SHOP, "send a parcel back", language="en")
            assert (found.index, cited(found)[0]) == (old, "returns")
            await exchanges()
    async with open_retriever(sqlite, data, encoder=FakeEncoder()) as restarted:
        found = await restarted.retriever.search(SHOP, "send a parcel back", language="en")
        assert found.index == old
        # The next change must not build upon the corrupt one.
        await restarted.knowledge.reindex(SHOP)
        assert (await ask(restarted, "a new subject"))[0] == "new"


async def test_what_could_not_be_read_for_a_moment_is_tried_again_after_a_minute(
    sqlite: Database, tmp_path: Path, docs: Path
) -> None:
    data, now_s = tmp_path / "data", [0.0]
    async with (
        open_retriever(sqlite, data, encoder=FakeEncoder()) as here,
        open_retriever(sqlite, data, encoder=FakeEncoder(), clock_s=lambda: now_s[0]) as there,
    ):
        old = (await here.knowledge.add(SHOP, [str(docs)])).index
        assert (await ask(there, "send a parcel back"))[0] == "returns"
        path = article(tmp_path, "new", "a new subject")
        new = (await here.knowledge.add(SHOP, [path])).index
        folder = data / "indexes" / "shop" / new
        folder.rename(data / "elsewhere")
        in_service = list[str]()
        for later_s in (0.0, 1.0, 58.0, 2.0):
            now_s[0] += later_s
            await ask(there, "a new subject")
            await exchanges()
            in_service.append((await there.knowledge.search(SHOP, "parcel", language="en")).index)
            if later_s == 0.0:
                (data / "elsewhere").rename(folder)
        assert in_service == [old, old, old, new]


async def test_workspaces_are_walls(retrieval: Retrieval, docs: Path, tmp_path: Path) -> None:
    await retrieval.knowledge.add(SHOP, [str(docs)])
    secret = article(tmp_path, "secret", "the secret parcel code is zebra")
    await retrieval.knowledge.add(OTHER, [secret])
    assert "secret" not in await ask(retrieval, "secret parcel code zebra")
    assert await ask(retrieval, "secret parcel code zebra", OTHER) == ["secret"]


async def test_a_language_that_no_file_tells_is_detected(sqlite: Database, tmp_path: Path) -> None:
    path = tmp_path / "retour.txt"
    path.write_text("U kunt binnen dertig dagen retourneren.")
    async with open_retriever(
        sqlite, tmp_path / "data", encoder=FakeEncoder(), detector=OneLanguage()
    ) as retrieval:
        await retrieval.knowledge.add(SHOP, [str(path)])
        assert [d.language for d in await retrieval.knowledge.list(SHOP)] == ["nl"]


@pytest.mark.parametrize("given", ["nb", "NO"])
async def test_an_article_is_its_customers_own_under_any_tag_of_their_language(
    retrieval: Retrieval, given: str
) -> None:
    """As the rows have it that were added before tags were made alike."""
    texts = {given: "Du kan returnere varen.", "en": "You can return it, kan varen.", "de": "Nein."}
    await retrieval.knowledge.put(
        SHOP,
        [
            Document(id=f"{tag}/returns", title="Retur", text=text, language=tag)
            for tag, text in texts.items()
        ],
    )
    found = await retrieval.retriever.search(SHOP, "Kan jeg returnere varen?", language="no")
    assert found.passages[0].document == f"{given}/returns"
    assert not await retrieval.knowledge.catch_up(SHOP)


class Undecided:
    """A detector that knows Dutch by a word, and is at a loss where nothing helps."""

    async def detect(self, text: str) -> Sequence[tuple[str, float]]:
        if "dagen" in text:
            return (("nl", 0.95),)
        return (("zh", 0.7), ("zh-Hant", 0.3)) if "退款" in text else (("es", 0.3), ("en", 0.1))


async def test_a_row_too_short_to_tell_its_language_has_that_of_its_file(
    sqlite: Database, tmp_path: Path
) -> None:
    rows = {"Hoe lang?": "Dertig dagen.", "IBAN?": "NL91 0417", "退款?": "三天。"}
    rows["¿Puedo devolver los zapatos?"] = "Sí."
    path = faq(tmp_path, rows)
    (tmp_path / "iban.txt").write_text("IBAN NL91 0417")
    async with open_retriever(
        sqlite, tmp_path / "data", encoder=FakeEncoder(), detector=Undecided()
    ) as retrieval:
        await retrieval.knowledge.add(SHOP, [path, str(tmp_path / "iban.txt")])
        spoken = {d.id: d.language for d in await retrieval.knowledge.list(SHOP)}
    told = {"faq#1": "nl", "faq#2": "nl", "faq#3": "zh", "faq#4": "es"}
    assert spoken == {**told, "iban": "es"}


async def test_progress_is_told_by_stage(retrieval: Retrieval, docs: Path) -> None:
    told: dict[str, tuple[int, int]] = {}

    def progress(stage: str, done: int, total: int) -> None:
        told[stage] = (done, total)

    await retrieval.knowledge.add(SHOP, [str(docs)], progress)
    assert told["reading"] == (3, 3)
    assert told["encoding"] == (OF_THREE_ARTICLES, OF_THREE_ARTICLES)
    assert told["indexing"] == (2, 2)


KILLED = """
import asyncio, sys
from pathlib import Path
from core.adapters.database import open_database
from core.turn import WorkspaceId
from retrieval.opening import open_retriever
from tests.fakes.encoder import FakeEncoder

def progress(stage, done, total):
    if stage == sys.argv[3] and done == total:
        print("here", file=sys.stderr, flush=True)
        sys.stdin.read()

async def main():
    async with open_database(sys.argv[1]) as database:
        async with open_retriever(database, Path(sys.argv[2]), encoder=FakeEncoder()) as retrieval:
            await retrieval.knowledge.add(WorkspaceId("shop"), [sys.argv[4]], progress)

with asyncio.Runner() as runner:
    runner.run(main())
"""


@pytest.mark.long
@pytest.mark.parametrize("stage", ["encoding", "indexing"])
async def test_a_build_that_is_killed_leaves_the_old_index_in_service(
    tmp_path: Path, docs: Path, stage: str
) -> None:
    url = f"sqlite:///{tmp_path / 'dragoman.db'}"
    data = tmp_path / "data"
    async with (
        open_database(url) as database,
        open_retriever(database, data, encoder=FakeEncoder()) as here,
    ):
        before = (await here.knowledge.add(SHOP, [str(docs)])).index
        path = article(tmp_path, "new", "a new subject")
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            KILLED,
            url,
            str(data),
            stage,
            path,
            stdin=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        )
        assert process.stderr is not None
        async with asyncio.timeout(PATIENCE_S):
            assert await process.stderr.readline() == b"here\n"
        process.send_signal(signal.SIGKILL)
        await process.wait()
        found = await here.retriever.search(SHOP, "send a parcel back", language="en")
        assert (found.index, cited(found)[0]) == (before, "returns")
        assert len(await here.knowledge.list(SHOP)) == 3
        await here.knowledge.add(SHOP, [path])
        assert (await ask(here, "a new subject"))[0] == "new"
