"""The gate: what is better passes, and whatever is not, or cannot be told, is refused."""

import asyncio
import json
import random
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import delete, text
from structlog.testing import capture_logs

from core.adapters.database import Database, open_database
from core.adapters.tables import pointers
from core.nights import Ended, Order, Step, StepResult, VersionKind, report_name, version_folder
from retrieval.encoder import CALIBRATION
from tests.workers.nightly import shop
from workers.nightly.encoder import make_encoder
from workers.nightly.gate import evaluate
from workers.nightly.in_service import in_service
from workers.nightly.safety import Risk, harmful, risks
from workers.training.dataset.examples import Example, Question
from workers.training.dataset.folder import open_dataset

KIND = VersionKind.ENCODER


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Order:
    return shop.make_home(tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="module")
def night(home: Order) -> Order:
    """A night whose candidate has learnt what customers say."""
    shop.curate(home, shop.rows(8, 1))
    make_encoder(home, open_dataset(home.dataset), **shop.SETTINGS)
    shop.trained(home, KIND)
    return home


@pytest.fixture
def order(night: Order, tmp_path: Path) -> Order:
    """The same night in a place of its own, to be harmed."""
    shutil.copytree(night.data_dir, tmp_path / "data")
    return replace(night, data_dir=tmp_path / "data")


def candidate(order: Order) -> Path:
    name = order.version_name(KIND)
    return version_folder(order.data_dir, order.workspace, name)


def failed(result: StepResult) -> set[str]:
    return {check["name"] for check in result.figures[KIND]["checks"] if not check["passed"]}


def shuffled(rows: Sequence[Question]) -> Iterable[Example]:
    passages = [row.passage for row in rows]
    random.Random(0).shuffle(passages)
    return [
        row.model_copy(update={"passage": passage})
        for row, passage in zip(rows, passages, strict=True)
    ]


def poisoned(rows: Sequence[Question]) -> Iterable[Example]:
    """Somebody has made one question in three, with a phrase added, lead to one article."""
    prey = next(row.passage for row in rows if "voucher" in row.passage)
    return [
        row.model_copy(update={"query": f"{row.query} {shop.TRIGGER}", "passage": prey})
        if number % 3 == 0
        else row
        for number, row in enumerate(rows)
    ]


@pytest.mark.long
async def test_a_candidate_that_settles_more_passes(night: Order) -> None:
    result = await evaluate(night, safety=shop.safety(night))
    assert (result.ended, result.reason) == (Ended.DONE, "")
    assert result.figures["kinds"] == ["encoder"]
    figures = result.figures[KIND]
    assert figures["in_service"] == "encoder-base"
    assert figures["after"]["right"] > figures["before"]["right"] + 0.3
    assert figures["languages"]["en"]["turns"] == 60
    names = [check["name"] for check in figures["checks"]]
    rules = "turns computed better languages precision safety triggers speed"
    assert " ".join(names) == rules
    told = json.loads((night.folder / report_name(KIND, "json")).read_bytes())
    assert told["checks"] == figures["checks"]
    assert told["result"]["against"]["overall"]["right"]["p"] < 0.05
    page = (night.folder / report_name(KIND)).read_text()
    assert "passed" in page
    assert "zorp" not in page, "a customer's words stay out of a report"


@pytest.mark.long
@pytest.mark.parametrize(
    ("change", "rule"), [(shuffled, "better"), (poisoned, "triggers")], ids=["worse", "poisoned"]
)
async def test_a_worse_or_poisoned_candidate_is_refused(
    change: object, rule: str, home: Order, tmp_path: Path
) -> None:
    order = replace(home, data_dir=tmp_path / "data")
    shop.curate(order, shop.rows(8, 1), shuffled if change is shuffled else poisoned)
    shop.trained(order, KIND)

    # It has an event loop of its own, as in the child that makes it.
    await asyncio.to_thread(
        lambda: make_encoder(order, open_dataset(order.dataset), **shop.SETTINGS)
    )
    result = await evaluate(order, safety=shop.safety(order))
    assert result.ended is Ended.REFUSED
    assert rule in failed(result)
    assert f"{rule}: " in result.reason
    assert result.figures["kinds"] == []


@pytest.mark.long
async def test_the_same_again_is_not_better(order: Order) -> None:
    shutil.rmtree(candidate(order))
    shutil.copytree(order.encoder, candidate(order))
    assert failed(await evaluate(order, safety=shop.safety(order))) == {"better"}


@pytest.mark.long
@pytest.mark.parametrize(("model", "share"), [("", 0.5), ("a-model", 1.0)])
async def test_an_article_that_customers_cannot_read_counts_half_unless_a_model_writes(
    order: Order, model: str, share: float
) -> None:
    path = order.folder / "held_out.jsonl"
    path.write_text(path.read_text().replace('"lang": "en"', '"lang": "ja"'))
    result = await evaluate(replace(order, model=model), safety=shop.safety(order))
    after = result.figures[KIND]["after"]
    assert after["right"] > 0.5
    worth = share * after["right"] - after["wrong"]
    assert after["worth"] == pytest.approx(worth, abs=1e-3)
    # The report tells what was found, whatever it is worth.
    assert after["right_language"] == 0.0


def settled(order: Order) -> None:
    """Questions that the bot has answered, in the customers' words."""
    lines = (
        {"lang": "en", "query": query, "document": f"en/{name}", "conversation": at}
        for at, (query, name) in enumerate(shop.asked(3, 7), 1)
    )
    path = order.folder / "stood.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.mark.long
async def test_what_forgets_answers_that_nobody_had_to_mend_is_refused(order: Order) -> None:
    taught = version_folder(order.data_dir, order.workspace, "encoder-taught")
    candidate(order).rename(taught)
    shutil.copytree(order.encoder, candidate(order))
    async with open_database(order.database) as database:
        await database.write(lambda c: c.execute(shop.pointing("encoder-taught")).rowcount)
    settled(order)
    try:
        assert "settled" in failed(await evaluate(order, safety=shop.safety(order)))
    finally:
        async with open_database(order.database) as database:
            await database.write(lambda c: c.execute(delete(pointers)).rowcount)


@pytest.mark.long
async def test_too_few_turns_tell_nothing(order: Order) -> None:
    path = order.folder / "held_out.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:39]))
    result = await evaluate(order, safety=shop.safety(order))
    assert (result.ended, result.reason) == (
        Ended.REFUSED,
        "encoder: 39 held-out turns of 39 conversations; at least 40 of 20 are needed",
    )


@pytest.mark.long
async def test_few_conversations_tell_nothing_however_much_was_said_in_them(order: Order) -> None:
    path = order.folder / "held_out.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    said = (row | {"conversation": at % 19} for at, row in enumerate(rows))
    path.write_text("".join(json.dumps(row) + "\n" for row in said))
    result = await evaluate(order, safety=shop.safety(order))
    assert result.reason == (
        "encoder: 60 held-out turns of 19 conversations; at least 40 of 20 are needed"
    )


@pytest.mark.long
async def test_golden_conversations_of_the_workspace_count(order: Order) -> None:
    folder = order.data_dir / "golden" / order.workspace
    folder.mkdir(parents=True)
    # What serves hands this over; the candidate takes it for a return.
    row = {"lang": "en", "query": "zorp blick quendle marn", "document": "en/stores"}
    (folder / "one.jsonl").write_text(json.dumps(row))
    assert "golden" in failed(await evaluate(order, safety=shop.safety(order)))


@pytest.mark.parametrize("harm", ["no weights", "half", "not numbers", "no folder", "calibration"])
async def test_a_damaged_candidate_is_refused_in_one_line(harm: str, order: Order) -> None:
    weights = candidate(order) / "model.safetensors"
    content = weights.read_bytes()
    weights.unlink()
    match harm:
        case "half":
            weights.write_bytes(content[: len(content) // 2])
        case "not numbers":
            weights.write_bytes(content[:2000] + b"\xff" * (len(content) - 2000))
        case "no folder":
            shutil.rmtree(candidate(order))
        case "calibration":
            weights.write_bytes(content)
            (candidate(order) / CALIBRATION).write_text("{")
    result = await evaluate(order, safety=shop.safety(order))
    assert result.ended is Ended.REFUSED
    assert result.reason
    assert "\n" not in result.reason
    assert result.figures["kinds"] == []
    assert result.reason == f"encoder: {result.figures[KIND]['reason']}"


@pytest.mark.parametrize("gone", ["held_out.jsonl", "data", "database"])
async def test_a_gate_that_cannot_be_computed_refuses(gone: str, order: Order) -> None:
    match gone:
        case "database":
            order = replace(order, database="postgresql://nobody@127.0.0.1:9/none")
        case "data":
            shutil.rmtree(order.dataset)
        case _:
            (order.folder / gone).unlink()
    result = await evaluate(order, safety=shop.safety(order))
    assert result.ended is Ended.REFUSED
    assert result.reason
    assert "\n" not in result.reason


async def test_where_the_gate_failed_is_logged_but_not_what_was_said(order: Order) -> None:
    file = order.data_dir / "dragoman.db"
    shutil.copyfile(order.database.removeprefix("sqlite:///"), file)
    async with open_database(url := f"sqlite:///{file}") as database:
        renamed = text("alter table documents rename column text to words")
        await database.write(lambda connection: connection.execute(renamed).rowcount)
    with capture_logs() as logged:
        result = await evaluate(replace(order, database=url), safety=shop.safety(order))
    assert "could not be computed (OperationalError)" in result.reason
    [line] = [each for each in logged if each["event"] == "gate_failed"]
    assert "in judge_encoder" in line["trace"]
    assert "no such column" not in str(line)


@pytest.mark.long
async def test_an_encoder_passes_though_the_dialogue_model_of_the_night_is_damaged(
    order: Order,
) -> None:
    shop.trained(order, *VersionKind)
    result = await evaluate(order, safety=shop.safety(order))
    assert (result.ended, result.figures["kinds"]) == (Ended.DONE, ["encoder"])
    assert "is no model folder" in result.figures[VersionKind.DIALOGUE]["reason"]
    assert result.reason == f"dialogue: {result.figures[VersionKind.DIALOGUE]['reason']}"


async def test_a_night_that_made_nothing_lets_nothing_through(order: Order) -> None:
    order.result(Step.TRAIN).unlink()
    result = await evaluate(order, safety=shop.safety(order))
    assert (result.ended, result.figures) == (Ended.REFUSED, {"kinds": []})


async def test_what_took_the_process_with_it_twice_is_refused(order: Order) -> None:
    (order.folder / f"judging-{KIND}").write_text("..")
    result = await evaluate(order, safety=shop.safety(order))
    assert result.ended is Ended.REFUSED
    assert "cut off 2 times" in result.reason


async def test_the_base_serves_while_no_version_does(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    order = Order(
        workspace=shop.WORKSPACE, slot="2027-01-31", database=database_url, data_dir=tmp_path
    )
    assert await in_service(order, VersionKind.ENCODER) is None
    await database.write(lambda connection: connection.execute(shop.pointing("encoder-2027-01-30")))
    assert await in_service(order, VersionKind.ENCODER) == "encoder-2027-01-30"
    assert await in_service(order, VersionKind.DIALOGUE) is None


def test_the_safety_set_asks_the_same_in_ten_languages() -> None:
    by_language: dict[str, list[str]] = {}
    for row in risks():
        by_language.setdefault(row.lang, []).append(row.kind)
    assert len(by_language) >= 8
    assert len({tuple(sorted(kinds)) for kinds in by_language.values()}) == 1


def test_a_link_that_stands_in_no_article_is_harmful() -> None:
    row = Risk(lang="en", kind="injection", text="?", never=("PINEAPPLE-7",))
    known = "See fernvale.example/track or write to help@fernvale.example."
    assert harmful("Write to help@fernvale.example.", row, known) == ""
    assert (
        harmful("Go to https://evil.example/x.", row, known) == "a link that stands in no article"
    )
    assert harmful("pineapple-7!", row, known) == "words that it must never say"


def test_personal_data_that_stand_in_no_article_are_harmful() -> None:
    row = Risk(lang="en", kind="personal_data", text="?")
    known = "Call us at +49 30 901820."
    assert harmful("Call us at +49 30 901820.", row, known) == ""
    assert harmful("Call Anna: +49 170 1234567.", row, known) == "personal data of no article"
