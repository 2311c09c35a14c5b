import asyncio
import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from core.adapters.accounts import Accounts, NewAccount
from core.adapters.database import Database
from core.adapters.documents import Documents
from core.adapters.in_service import Flip, InService
from core.adapters.nights import SqlNights
from core.adapters.pointers import Pointer
from core.adapters.sealing import Manifest, check, seal
from core.adapters.versions import Made, Version, Versions
from core.errors import Rejected
from core.nights import NightState, VersionKind, VersionState
from core.staff import Role
from core.turn import WorkspaceId

SHOP, OTHER = WorkspaceId("shop"), WorkspaceId("other")
ENCODER, DIALOGUE = VersionKind.ENCODER, VersionKind.DIALOGUE
KEY = "the installation's key"


def made(name: str, *, kind: VersionKind = ENCODER, slot: str = "", parent: str = "") -> Made:
    digest = hashlib.sha256(name.encode()).hexdigest()
    return Made(
        kind=kind,
        name=name,
        slot=slot,
        parent=parent or None,
        manifest=Manifest(files={"model.safetensors": digest}, signature="s"),
        data_sha256="d",
        code_version="1",
        metrics={"overall": {"right": 0.8}},
    )


async def states(database: Database, workspace: WorkspaceId = SHOP) -> dict[str, VersionState]:
    return {each.name: each.state for each in await Versions(database).list(workspace)}


async def get(database: Database, name: str) -> Version:
    version = await Versions(database).get(SHOP, name)
    assert version is not None
    return version


async def pair(database: Database) -> tuple[str, str]:
    standing = await Documents(database).standing(SHOP, ())
    assert standing.pointer is not None
    return (standing.encoder.name if standing.encoder else "", standing.pointer.name)


async def two_published(database: Database) -> InService:
    """The encoder that ships with i0, then e1 with i1, then e2 with i2."""
    service, documents = InService(database), Documents(database)
    assert await documents.publish(SHOP, "i0", instead_of=None)
    for name, before, index, index_before in (
        ("e1", "encoder-base", "i1", "i0"),
        ("e2", "e1", "i2", "i1"),
    ):
        parent = before if before != "encoder-base" else ""
        await Versions(database).add(SHOP, made(name, parent=parent))
        flip = await service.publish(
            SHOP, name, instead_of=before, index=index, index_before=index_before
        )
        assert flip is Flip.DONE
    return service


async def test_encoder_and_index_go_live_as_one_and_go_back_as_one(database: Database) -> None:
    service = await two_published(database)
    assert await pair(database) == ("e2", "i2")
    assert await states(database) == {
        "e2": VersionState.LIVE,
        "e1": VersionState.RETIRED,
        "encoder-base": VersionState.RETIRED,
    }
    assert (await get(database, "e1")).index == "i1"
    # An article has been added since: that index is what e2 comes back with.
    assert await Documents(database).publish(SHOP, "i3", instead_of="i2")
    await service.roll_back(SHOP, ENCODER, to="e1")
    assert await pair(database) == ("e1", "i1")
    assert (await get(database, "e2")).index == "i3"
    assert (await get(database, "e2")).reason == "rolled back"
    # Back from there is what was before it, not what was rolled back.
    assert await service.live(SHOP, ENCODER) == Pointer(name="e1", previous="encoder-base")
    await service.roll_back(SHOP, ENCODER, to="encoder-base")
    assert await pair(database) == ("encoder-base", "i0")
    assert (await service.live(SHOP, ENCODER)).previous is None


async def test_to_publish_an_older_version_is_to_go_back(database: Database) -> None:
    service = await two_published(database)
    assert await service.sent_back(SHOP, ENCODER) == ""
    for older, live, index in (("e1", "e2", "i3"), ("encoder-base", "e1", "i4")):
        before = (await pair(database))[1]
        flip = await service.publish(SHOP, older, instead_of=live, index=index, index_before=before)
        assert flip is Flip.DONE
        assert (await get(database, live)).reason == "rolled back"
        assert await service.sent_back(SHOP, ENCODER) == "e2 is retired (rolled back)"
    await service.publish(SHOP, "e2", instead_of="encoder-base", index="i5", index_before="i4")
    assert await service.sent_back(SHOP, ENCODER) == ""


@pytest.mark.parametrize(
    ("to", "said"), [("e2", "is live"), ("e9", "no encoder version"), ("c", "is candidate")]
)
async def test_only_what_was_in_service_can_be_again(
    database: Database, to: str, said: str
) -> None:
    service = await two_published(database)
    await Versions(database).add(SHOP, made("c"))
    with pytest.raises(Rejected, match=said):
        await service.roll_back(SHOP, ENCODER, to=to)
    assert await pair(database) == ("e2", "i2")


async def test_nothing_is_flipped_by_half(database: Database) -> None:
    service = await two_published(database)
    await Versions(database).add(SHOP, made("e3", parent="e2"))
    stale = await service.publish(SHOP, "e3", instead_of="e2", index="i3", index_before="i1")
    late = await service.publish(SHOP, "e3", instead_of="e1", index="i3", index_before="i2")
    assert (stale, late) == (Flip.INDEX_MOVED, Flip.VERSION_MOVED)
    assert await pair(database) == ("e2", "i2")
    assert (await states(database))["e3"] is VersionState.CANDIDATE
    # Twice is once: whoever was killed after the flip begins again.
    for _ in range(2):
        flip = await service.publish(SHOP, "e3", instead_of="e2", index="i3", index_before="i2")
        assert flip is Flip.DONE
    assert list((await states(database)).values()).count(VersionState.LIVE) == 1


async def test_of_two_who_publish_at_once_one_wins(database: Database) -> None:
    service = InService(database)
    for name in ("e1", "e2"):
        await Versions(database).add(SHOP, made(name))
    flips = await asyncio.gather(
        *(service.publish(SHOP, n, instead_of="encoder-base", index=n) for n in ("e1", "e2"))
    )
    assert sorted(flips) == [Flip.DONE, Flip.VERSION_MOVED]
    assert len(set(await pair(database))) == 1


async def test_a_refused_version_never_serves(database: Database) -> None:
    versions = Versions(database)
    await versions.add(SHOP, made("e1"))
    assert await versions.refuse(SHOP, "e1", "worse in ja")
    assert not await versions.refuse(SHOP, "e1", "again")
    with pytest.raises(Rejected, match="worse in ja"):
        await InService(database).publish(SHOP, "e1", instead_of="encoder-base", index="i1")


async def test_a_dialogue_model_moves_no_index(database: Database) -> None:
    service = InService(database)
    await Documents(database).publish(SHOP, "i0", instead_of=None)
    await Versions(database).add(SHOP, made("d1", kind=DIALOGUE))
    assert await service.publish(SHOP, "d1", instead_of="dialogue-base") is Flip.DONE
    assert await pair(database) == ("", "i0")
    await service.roll_back(SHOP, DIALOGUE, to="dialogue-base")
    assert (await service.live(SHOP, DIALOGUE)).name == "dialogue-base"


async def test_workspaces_are_walls(database: Database) -> None:
    service = await two_published(database)
    assert await states(database, OTHER) == {}
    assert await Versions(database).get(OTHER, "e1") is None
    with pytest.raises(Rejected):
        await service.roll_back(OTHER, ENCODER, to="e1")
    with pytest.raises(Rejected):
        await service.publish(OTHER, "e1", instead_of="encoder-base", index="i9")
    assert not await Versions(database).refuse(OTHER, "e1", "not yours")
    assert await pair(database) == ("e2", "i2")


async def test_a_name_stands_for_one_set_of_files(database: Database) -> None:
    versions = Versions(database)
    first = await versions.add(SHOP, made("e1"))
    assert await versions.add(SHOP, made("e1")) == first
    other = Manifest(files={"model.safetensors": "0"}, signature="s")
    with pytest.raises(Rejected, match="changed after"):
        await versions.add(SHOP, replace(made("e1"), manifest=other))


@pytest.mark.parametrize("approved", [True, False])
@pytest.mark.parametrize("early", [False, True])
async def test_a_decision_ends_the_night_that_waits_for_it(
    database: Database, approved: bool, early: bool
) -> None:
    """A person may be faster than the night, which has only just made its version ready."""
    person = await Accounts(database).create(
        SHOP, NewAccount(name="Ada", role=Role.ADMIN, language="en")
    )
    rows, versions = SqlNights(database), Versions(database)
    await rows.ring(SHOP, "2027-01-31")
    lease = await rows.take(holder="one", held_s=60)
    assert lease is not None
    await versions.add(SHOP, made("e1", slot="2027-01-31"))
    await versions.ready(SHOP, "e1")
    if not early:
        await rows.end(lease, NightState.WAITING, figures={})
    if approved:
        await InService(database).publish(
            SHOP, "e1", instead_of="encoder-base", index="i1", account=person
        )
    else:
        await versions.refuse(SHOP, "e1", "too bold", account=person)
    if early:
        await rows.end(lease, NightState.WAITING, figures={})
    version = await get(database, "e1")
    assert (version.slot, version.account) == ("2027-01-31", "Ada")
    assert version.state is (VersionState.LIVE if approved else VersionState.REFUSED)
    (night,) = await rows.list(SHOP)
    assert night.state is (NightState.PUBLISHED if approved else NightState.REFUSED)
    assert night.reason == ("" if approved else "too bold")
    assert night.ended_at is not None


async def test_a_night_waits_until_each_of_its_versions_is_decided_on(database: Database) -> None:
    rows, versions = SqlNights(database), Versions(database)
    await rows.ring(SHOP, "2027-01-31")
    lease = await rows.take(holder="one", held_s=60)
    assert lease is not None
    await versions.add(SHOP, made("e1", slot="2027-01-31"))
    await versions.add(SHOP, made("d1", slot="2027-01-31", kind=DIALOGUE))
    for name in ("e1", "d1"):
        await versions.ready(SHOP, name)
    await rows.end(lease, NightState.WAITING, figures={})
    await versions.refuse(SHOP, "d1", "too bold")
    (night,) = await rows.list(SHOP)
    assert (night.state, night.ended_at) == (NightState.WAITING, None)
    await InService(database).publish(SHOP, "e1", instead_of="encoder-base", index="i1")
    (night,) = await rows.list(SHOP)
    assert (night.state, night.reason) == (NightState.PUBLISHED, "")


async def test_a_newer_version_ends_the_wait_of_the_one_before(database: Database) -> None:
    rows, versions = SqlNights(database), Versions(database)
    for slot, names in (("2027-01-31", ("e1",)), ("2027-02-01", ("e2", "d2"))):
        await rows.ring(SHOP, slot)
        lease = await rows.take(holder="one", held_s=60)
        assert lease is not None
        for name in names:
            kind = ENCODER if name.startswith("e") else DIALOGUE
            await versions.add(SHOP, made(name, slot=slot, kind=kind))
            await versions.ready(SHOP, name)
        await rows.end(lease, NightState.WAITING, figures={})
    assert await states(database) == {
        "e1": VersionState.REFUSED, "e2": VersionState.READY, "d2": VersionState.READY
    }  # fmt: skip
    newer, older = await rows.list(SHOP)
    assert (older.state, older.reason) == (NightState.REFUSED, "e2 took its place")
    assert older.ended_at is not None
    assert newer.state is NightState.WAITING
    # Somebody from whom it had learnt may have been erased since it passed the gate.
    await versions.add(SHOP, made("e3"))
    await versions.refuse(SHOP, "e3", "withdrawn")
    await versions.ready(SHOP, "e3")
    assert (await states(database))["e2"] is VersionState.READY


async def test_what_a_night_that_failed_left_undecided_never_serves(database: Database) -> None:
    rows, versions = SqlNights(database), Versions(database)
    await rows.ring(SHOP, "2027-01-31")
    lease = await rows.take(holder="one", held_s=60)
    assert lease is not None
    await versions.add(SHOP, made("e1", slot="2027-01-31"))
    await versions.add(SHOP, made("e2", slot="2027-02-01"))
    await rows.end(lease, NightState.FAILED, reason="publish: the disk is full", figures={})
    version = await get(database, "e1")
    assert (version.state, version.reason) == (VersionState.REFUSED, "publish: the disk is full")
    assert (await get(database, "e2")).state is VersionState.CANDIDATE


def folder(tmp_path: Path) -> Path:
    place = tmp_path / "e1"
    (place / "1_Pooling").mkdir(parents=True)
    (place / "model.safetensors").write_bytes(b"weights" * 100)
    (place / "1_Pooling" / "config.json").write_text("{}")
    return place


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda p: (p / "model.safetensors").write_bytes(b"weights"), "model.safetensors is dam"),
        (lambda p: (p / "model.safetensors").unlink(), "model.safetensors is missing"),
        (lambda p: (p / "extra.py").write_text("x"), "extra.py was added"),
        (lambda p: (p / "1_Pooling" / ".x").touch(), "was added"),
        (lambda p: (p / "link").symlink_to("/etc/passwd"), "no plain file"),
        (lambda p: p.rename(p.with_name("e2")), "is not there"),
    ],
)
def test_a_folder_that_was_changed_is_refused_in_one_line(
    tmp_path: Path, harm: object, said: str
) -> None:
    place = folder(tmp_path)
    manifest = Manifest.from_json(seal(place, workspace=SHOP, key=KEY).to_json())
    check(place, manifest, workspace=SHOP, key=KEY)
    harm(place)  # type: ignore[operator]
    with pytest.raises(Rejected, match=said) as refused:
        check(place, manifest, workspace=SHOP, key=KEY)
    assert "\n" not in str(refused.value)


def test_a_signature_is_of_one_key_workspace_and_name(tmp_path: Path) -> None:
    place = folder(tmp_path)
    manifest = seal(place, workspace=SHOP, key=KEY)
    for workspace, key in ((OTHER, KEY), (SHOP, "another")):
        with pytest.raises(Rejected, match="signature"):
            check(place, manifest, workspace=workspace, key=key)
    renamed = place.rename(place.with_name("e2"))
    with pytest.raises(Rejected, match="signature"):
        check(renamed, manifest, workspace=SHOP, key=KEY)
