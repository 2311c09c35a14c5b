"""The history of nights and versions, and what an admin decides about them."""

import json
import shutil
from pathlib import Path

import httpx
import pytest
from sqlalchemy import update

from bots.web.console.pages.models import CURVES
from core.adapters.decisions import Decisions
from core.adapters.in_service import InService
from core.adapters.nights import SqlNights
from core.adapters.sealing import seal
from core.adapters.tables import model_versions, nights
from core.adapters.versions import Made, Version, Versions, base_name
from core.nights import NightState, VersionKind, VersionState, report_name, version_folder
from core.staff import Role
from core.turn import Channel
from retrieval.knowledge import silent
from tests.bots.web.console.world import HERE, Client, Console, browser_of
from tests.patience import until
from tests.versions import KEY, add_version

pytestmark = pytest.mark.asyncio(loop_scope="module")

BETTER = "a turn is worth 0.580, in service 0.470 (+0.110, p = 0.004)"
GATE = {
    "turns": 120,
    "before": {"right": 0.61, "wrong": 0.14, "handed_over": 0.25},
    "after": {"right": 0.7, "wrong": 0.12, "handed_over": 0.18},
    "languages": {
        "en": {
            "turns": 80,
            "before": {"right": 0.66, "wrong": 0.12, "handed_over": 0.22},
            "after": {"right": 0.74, "wrong": 0.1, "handed_over": 0.16},
        },
        "de": {
            "turns": 40,
            "before": {"right": 0.5, "wrong": 0.18, "handed_over": 0.32},
            "after": {"right": 0.62, "wrong": 0.16, "handed_over": 0.22},
        },
    },
    "checks": [
        {"name": "better", "passed": True, "told": BETTER},
        {"name": "languages", "passed": True, "told": "en +0.100, de +0.140"},
        {"name": "speed", "passed": True, "told": "31 ms a turn, in service 30 ms"},
    ],
}
WORSE = {"name": "languages", "passed": False, "told": "de -0.110"}
REFUSED = f"encoder: languages: {WORSE['told']}"
SILENT = "its model server did not start: ValueError"
REPORT = report_name(VersionKind.ENCODER)
PAGE = "<!doctype html><style>p { color: red }</style><script>alert(1)</script><p>Told</p>"


async def night(console: Console, slot: str, state: NightState, reason: str = "") -> Path:
    """A night that has ended; its folder."""
    await SqlNights(console.database).ring(HERE, slot)
    encoder = {**GATE, "checks": [WORSE]} if reason else GATE
    gate = {"kinds": [], "encoder": encoder, "dialogue": {"reason": SILENT}}
    ended = {"state": state, "reason": reason, "figures": json.dumps({"evaluate": gate})}
    this = update(nights).where(nights.c.workspace == HERE, nights.c.slot == slot)
    await console.database.write(lambda c: c.execute(this.values(due_at=None, **ended)).rowcount)
    folder = console.needs.nights_dir / HERE / slot
    drawn = folder / "runs" / "encoder" / "trained" / CURVES
    drawn.parent.mkdir(parents=True)
    drawn.write_bytes(b"\x89PNG\r\n\x1a\n")
    (folder / REPORT).write_text(PAGE)
    return folder


async def version(
    console: Console, slot: str, *, seed: int, ready: bool = False, share: float = 0.0
) -> str:
    """What that night made: in service, on trial, or waiting for a decision."""
    name, data = f"encoder-{slot}", console.needs.nights_dir.parent
    await add_version(console.database, data, name, seed=seed, workspace=HERE, slot=slot)
    this = update(model_versions).where(model_versions.c.name == name)
    told = this.values(metrics=json.dumps(GATE))
    await console.database.write(lambda c: c.execute(told).rowcount)
    if ready:
        await console.retrieval.succession.prepare(HERE, name, silent)
        await Versions(console.database).ready(HERE, name)
    else:
        publish = console.retrieval.succession.publish
        assert await publish(HERE, name, progress=silent, share=share)
    return name


async def known(console: Console, name: str) -> Version:
    found = await Versions(console.database).get(HERE, name)
    assert found is not None
    return found


async def serves(console: Console, name: str) -> bool:
    found = await console.retrieval.retriever.search(HERE, "return an item", language="en")
    return found.encoder.partition("@")[0] == name


@pytest.mark.long
async def test_an_admin_approves_goes_back_and_declines(console: Console) -> None:
    await night(console, "2027-01-29", NightState.PUBLISHED)
    first = await version(console, "2027-01-29", seed=1)
    await night(console, "2027-01-30", NightState.REFUSED, REFUSED)
    await night(console, "2027-01-31", NightState.WAITING)
    second = await version(console, "2027-01-31", seed=2, ready=True)
    await SqlNights(console.database).ring(HERE, "2027-01-28")
    ada = await console.person(Role.ADMIN, "ada@shop.example")
    async with browser_of(console, ada) as admin:
        page = (await admin.get("/desk/models")).text
        assert REFUSED in page
        assert SILENT in page
        assert "<h3>Search model</h3>" in page
        assert "<h3>Reply model</h3>" in page
        assert '61% → <b class="good">70%</b>' in page
        assert BETTER in page
        approved = await admin.post("/desk/models/promote", name=second)
        assert approved.headers["location"] == "/desk/models?told=in_service"
        assert await serves(console, second)
        now = await known(console, second)
        assert (now.state, now.account) == (VersionState.LIVE, "Ada")
        states = {n.slot: n.state for n in await SqlNights(console.database).list(HERE)}
        assert states["2027-01-31"] is NightState.PUBLISHED
        # Twice is told, and changes nothing.
        assert (await admin.post("/desk/models/promote", name=second)).status_code == 422
        back = await admin.post("/desk/models/rollback", name=first)
        assert back.headers["location"] == "/desk/models?told=rolled_back"
        await until(lambda: serves(console, first))
        assert (await known(console, second)).reason == "rolled back"
        await night(console, "2027-02-01", NightState.WAITING)
        third = await version(console, "2027-02-01", seed=3, ready=True)
        await admin.post("/desk/models/refuse", name=third)
        assert (await known(console, third)).state is VersionState.REFUSED
        refused = await admin.post("/desk/models/promote", name=third)
        assert (refused.status_code, "refused" in refused.text) == (422, True)
        for path in ("promote", "refuse", "rollback"):
            unknown = await admin.post(f"/desk/models/{path}", name="encoder-of-nobody")
            assert unknown.status_code == 422
    viewer = await console.person(Role.VIEWER)
    async with browser_of(console, viewer) as reader:
        page = (await reader.get("/desk/models")).text
        assert "In service" in page
        assert "/desk/models/rollback" not in page


async def test_an_admin_ends_a_canary_for_better_or_worse(console: Console) -> None:
    for slot in ("2027-02-11", "2027-02-12"):
        await night(console, slot, NightState.PUBLISHED)
    first = await version(console, "2027-02-11", seed=11, share=0.15)
    ada = await console.person(Role.ADMIN, "ada-of-canaries@shop.example")
    async with browser_of(console, ada) as admin:
        page = (await admin.get("/desk/models")).text
        assert f'On trial: <bdi class="ltr">{first}</bdi>' in page
        assert 'Share of conversations: <b dir="ltr">15%</b>' in page
        declined = await admin.post("/desk/models/refuse", name=first)
        assert declined.headers["location"] == "/desk/models?told=declined"
        ended = await known(console, first)
        assert (ended.state, ended.reason) == (VersionState.RETIRED, "declined in the console")
        assert ended.account is not None
        # What has ended meanwhile is not ended twice, and nothing else is.
        assert (await admin.post("/desk/models/refuse", name=first)).status_code == 422
        second = await version(console, "2027-02-12", seed=12, share=0.15)
        assert (await admin.post("/desk/models/refuse", name=first)).status_code == 422
        assert (await known(console, second)).state is VersionState.CANARY
        await admin.post("/desk/models/promote", name=second)
        assert (await known(console, second)).state is VersionState.LIVE
        assert "On trial" not in (await admin.get("/desk/models")).text


async def test_the_report_that_a_chat_desk_links_to_is_there(console: Console) -> None:
    await night(console, "2027-02-21", NightState.WAITING)
    name = await version(console, "2027-02-21", seed=21, ready=True)
    public = "https://desk.example"
    decisions = Decisions(console.database, HERE, Channel.SLACK, public_url=public)
    decision = await decisions.get(name)
    assert decision is not None
    async with browser_of(console, await console.person(Role.VIEWER)) as reader:
        page = await reader.get(decision.report.removeprefix(public))
        assert (page.status_code, page.text) == (200, PAGE)
    await Versions(console.database).refuse(HERE, name, "it was a test")


async def reply_model(console: Console, slot: str, instead_of: str) -> str:
    """A reply model that is put into service."""
    name = f"dialogue-{slot}"
    folder = version_folder(console.needs.nights_dir.parent, HERE, name)
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"weights")
    made = Made(
        kind=VersionKind.DIALOGUE,
        name=name,
        slot=slot,
        parent=None,
        manifest=seal(folder, workspace=HERE, key=KEY),
        data_sha256="d" * 64,
        code_version="1",
        metrics={},
    )
    await Versions(console.database).add(HERE, made)
    await InService(console.database).publish(HERE, name, instead_of=instead_of)
    return name


async def test_a_reply_model_that_served_before_can_again_while_its_files_are_there(
    console: Console,
) -> None:
    ships = base_name(VersionKind.DIALOGUE)
    first = await reply_model(console, "2027-03-01", ships)
    second = await reply_model(console, "2027-03-02", first)
    third = await reply_model(console, "2027-03-03", second)
    shutil.rmtree(version_folder(console.needs.nights_dir.parent, HERE, first))
    ada = await console.person(Role.ADMIN, "ada-of-replies@shop.example")
    async with browser_of(console, ada) as admin:
        page = (await admin.get("/desk/models")).text
        offered = {name for name in (first, second, third, ships) if f'value="{name}"' in page}
        assert offered == {second, ships}
        await admin.post("/desk/models/rollback", name=second)
    assert (await known(console, second)).state is VersionState.LIVE


async def served(client: Client, path: str) -> httpx.Response:
    return await client.get(f"/desk/models/{path}")


async def test_a_night_s_files_are_shown_and_no_others(console: Console, tmp_path: Path) -> None:
    folder = await night(console, "2027-03-01", NightState.REFUSED, "worse")
    (console.needs.nights_dir / "elsewhere" / "2027-03-02").mkdir(parents=True)
    secret = console.needs.nights_dir / "elsewhere" / "2027-03-02" / REPORT
    secret.write_text("another company's")
    async with browser_of(console, await console.person(Role.VIEWER)) as client:
        report = await served(client, "2027-03-01/report/encoder")
        assert report.text == PAGE
        policy = report.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "style-src 'sha256-" in policy
        assert "sandbox" in policy
        assert "script" not in policy
        drawn = await served(client, "2027-03-01/curves/encoder")
        assert drawn.headers["content-type"] == "image/png"
        for path in (
            "2027-03-02/report/encoder",
            "..%2Felsewhere%2F2027-03-02/report/encoder",
            "2027-03-01%2F..%2F2027-03-01/report/encoder",
            "2027-03-01/report/dialogue",
            "2027-03-01/report/..",
            "2027-03-01/curves/dialogue",
            "2027-03-01/curves/..",
        ):
            assert (await served(client, path)).status_code == 404
        (folder / REPORT).unlink()
        (folder / REPORT).symlink_to(secret)
        assert (await served(client, "2027-03-01/report/encoder")).status_code == 404
        shutil.rmtree(folder)
        assert (await served(client, "2027-03-01/report/encoder")).status_code == 404
        assert (await client.get("/desk/models")).status_code == 200
