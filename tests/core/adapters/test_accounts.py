"""Who may sign in, how often they may try, and what a link is good for."""

import asyncio

import asyncpg
import pytest
from argon2 import PasswordHasher
from sqlalchemy import select, update

from core.adapters.accounts import Accounts, LastAdmin, LoginTaken, NewAccount
from core.adapters.database import Database, Now, open_database
from core.adapters.invitations import Invitations, LinkSpent
from core.adapters.passwords import Passwords
from core.adapters.sessions import LONGEST_S, Sessions
from core.adapters.tables import sessions
from core.staff import Account, AccountId, Role, may_be_password, tidy_login, tidy_name
from core.turn import WorkspaceId
from tests.databases import is_blocked
from tests.patience import until

HERE, ELSEWHERE = WorkspaceId("here"), WorkspaceId("elsewhere")
QUICK = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)


def person(login: str = "ana", role: Role = Role.ADMIN) -> NewAccount:
    return NewAccount(name="Ana", role=role, language="es", login=login, password="a hash")


async def added(database: Database, login: str = "ana", role: Role = Role.ADMIN) -> Account:
    accounts = Accounts(database)
    account = await accounts.get(HERE, await accounts.create(HERE, person(login, role)))
    assert account is not None
    return account


async def age(database: Database, column: str, seconds: float) -> None:
    moved = update(sessions).values({column: sessions.c[column] - seconds})
    await database.write(lambda connection: connection.execute(moved).rowcount)


async def test_a_session_is_found_by_its_token_in_its_workspace_only(database: Database) -> None:
    ana = await added(database)
    there = Sessions(database)
    token = await there.begin(ana)
    assert await there.find(HERE, token) == ana
    assert await there.find(ELSEWHERE, token) is None
    assert await there.find(HERE, token + "x") is None
    assert await there.find(HERE, "") is None
    await there.end(token)
    assert await there.find(HERE, token) is None


async def test_the_database_does_not_hold_what_signs_in(database: Database) -> None:
    token = await Sessions(database).begin(await added(database))
    link = await Invitations(database).make(HERE, Role.AGENT)
    kept = await database.read(
        lambda connection: connection.scalars(select(sessions.c.token)).all()
    )
    assert len(kept) == 2
    assert not {token, link} & set(kept)


async def test_signing_in_voids_the_token_that_the_browser_came_with(database: Database) -> None:
    ana, there = await added(database), Sessions(database)
    planted = await there.begin(ana)
    token = await there.begin(ana, instead_of=planted)
    assert token != planted
    assert await there.find(HERE, planted) is None
    assert await there.find(HERE, token) == ana


async def test_who_does_nothing_is_signed_out_and_so_is_everybody_in_the_end(
    database: Database,
) -> None:
    ana, there = await added(database), Sessions(database, idle_s=600)
    token = await there.begin(ana)
    await age(database, "seen_at", 500)
    assert await there.find(HERE, token, touch=False) == ana
    await age(database, "seen_at", 90)
    assert await there.find(HERE, token) == ana
    await age(database, "seen_at", 590)
    assert await there.find(HERE, token) == ana
    await age(database, "seen_at", 601)
    assert await there.find(HERE, token) is None
    other = await there.begin(ana)
    await age(database, "expires_at", LONGEST_S + 1)
    assert await there.find(HERE, other) is None


async def test_disabling_and_a_new_password_sign_out_everywhere(database: Database) -> None:
    await added(database, "boss")
    ana, accounts, there = await added(database), Accounts(database), Sessions(database)
    token = await there.begin(ana)
    await accounts.change(HERE, ana.id, password="another hash")
    assert await there.find(HERE, token) is None
    token = await there.begin(ana)
    await accounts.change(HERE, ana.id, disabled=True)
    assert await there.find(HERE, token) is None
    assert await accounts.for_login(HERE, "ana") == (None, None)


async def test_the_last_admin_stays_one(database: Database) -> None:
    ana, accounts = await added(database), Accounts(database)
    for change in ({"role": Role.AGENT}, {"disabled": True}):
        with pytest.raises(LastAdmin):
            await accounts.change(HERE, ana.id, **change)
    bo = await added(database, "bo")
    both = (accounts.change(HERE, each.id, role=Role.VIEWER) for each in (ana, bo))
    outcomes = await asyncio.gather(*both, return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["LastAdmin", "NoneType"]


async def test_an_account_is_changed_from_its_own_workspace_only(database: Database) -> None:
    ana, accounts = await added(database), Accounts(database)
    await accounts.change(ELSEWHERE, ana.id, name="Mallory")
    assert await accounts.get(ELSEWHERE, ana.id) is None
    assert await accounts.get(HERE, ana.id) == ana


async def test_a_login_is_of_one_person_in_a_workspace(database: Database) -> None:
    await added(database)
    with pytest.raises(LoginTaken):
        await added(database)
    await Accounts(database).create(ELSEWHERE, person())


async def test_an_identity_stands_for_one_person(database: Database) -> None:
    accounts = Accounts(database)
    nameless = NewAccount(name="Bo", role=Role.AGENT, language="ko")
    first = await accounts.identify(HERE, "slack", "U1", nameless)
    assert await accounts.identify(HERE, "slack", "U1", nameless) == first
    assert await accounts.for_identity(HERE, "slack", "U1") == first
    assert await accounts.for_identity(HERE, "telegram", "U1") is None
    assert await accounts.for_identity(ELSEWHERE, "slack", "U1") is None
    assert len(await accounts.list(HERE)) == 1


async def test_two_first_sights_at_once_make_one_account(
    postgres_database_url: str,
) -> None:
    other = await asyncpg.connect(postgres_database_url)
    async with open_database(postgres_database_url) as database:
        accounts = Accounts(database)
        async with other.transaction():
            first = await other.fetchval(
                "insert into accounts (workspace, name, role, language, created_at)"
                " values ($1, 'Bo', 'agent', 'ko', 1.0) returning id",
                HERE,
            )
            await other.execute(
                "insert into identities values ($1, 'slack', 'U1', $2)", HERE, first
            )
            nameless = NewAccount(name="Bo", role=Role.AGENT, language="ko")
            second = asyncio.create_task(accounts.identify(HERE, "slack", "U1", nameless))
            # It has looked, found nobody, and waits for the commit.
            await until(lambda: is_blocked(other))
        assert (await second).id == first
        [account] = await accounts.list(HERE)
        assert account.id == first
    await other.close()


async def test_who_signs_in_twice_at_once_is_one_account(database: Database) -> None:
    accounts = Accounts(database)
    both = (accounts.identify(HERE, "oidc", "subject", person()) for _ in range(4))
    assert len(set(await asyncio.gather(*both))) == 1
    assert len(await accounts.list(HERE)) == 1
    with pytest.raises(LoginTaken):
        await accounts.identify(HERE, "oidc", "another", person())


async def test_a_link_makes_one_account_of_the_role_it_was_made_for(database: Database) -> None:
    invitations, accounts = Invitations(database), Accounts(database)
    link = await invitations.make(HERE, Role.AGENT)
    looked = await invitations.look(HERE, link)
    assert looked is not None
    assert looked.role is Role.AGENT
    assert await invitations.look(ELSEWHERE, link) is None
    made = [invitations.accept(HERE, link, person(name)) for name in ("ana", "bo")]
    outcomes = await asyncio.gather(*made, return_exceptions=True)
    assert sum(isinstance(outcome, LinkSpent) for outcome in outcomes) == 1
    (account,) = await accounts.list(HERE)
    assert account.role is Role.AGENT


async def test_a_taken_login_leaves_the_link_good(database: Database) -> None:
    await added(database)
    invitations = Invitations(database)
    link = await invitations.make(HERE, Role.VIEWER)
    with pytest.raises(LoginTaken):
        await invitations.accept(HERE, link, person("ana"))
    assert await invitations.accept(HERE, link, person("bo"))


async def test_a_link_for_another_password_is_spent_and_signs_out(database: Database) -> None:
    ana, invitations, there = await added(database), Invitations(database), Sessions(database)
    token = await there.begin(ana)
    earlier = await invitations.make(HERE, ana.role, ana.id)
    link = await invitations.make(HERE, ana.role, ana.id)
    assert await invitations.look(HERE, earlier) is None
    renewed = NewAccount(name="x", role=Role.ADMIN, language="x", password="new hash")
    assert await invitations.accept(HERE, link, renewed) == ana.id
    assert await there.find(HERE, token) is None
    assert await Accounts(database).for_login(HERE, "ana") == (ana, "new hash")
    with pytest.raises(LinkSpent):
        await invitations.accept(HERE, link, renewed)


async def test_a_link_expires(database: Database) -> None:
    invitations = Invitations(database)
    link = await invitations.make(HERE, Role.AGENT)
    late = update(sessions).values(expires_at=Now() - 1)
    await database.write(lambda connection: connection.execute(late).rowcount)
    assert await invitations.look(HERE, link) is None
    with pytest.raises(LinkSpent):
        await invitations.accept(HERE, link, person())


async def test_the_first_admin_has_one_good_link_until_there_is_an_admin(
    database: Database,
) -> None:
    invitations = Invitations(database)
    earlier = await invitations.first(HERE)
    link = await invitations.first(HERE)
    assert earlier
    assert link
    assert await invitations.look(HERE, earlier) is None
    # Who only works from a platform cannot administer anything.
    desk = NewAccount(name="Bo", role=Role.ADMIN, language="ko")
    await Accounts(database).create(HERE, desk)
    again = await invitations.first(HERE)
    assert again
    await invitations.accept(HERE, again, person())
    assert await invitations.first(HERE) is None


@pytest.mark.parametrize("change", [{"disabled": True}, {"role": Role.AGENT}], ids=str)
async def test_links_made_by_who_is_no_admin_any_longer_are_void(
    database: Database, change: dict[str, str | bool]
) -> None:
    boss, ana = await added(database, "boss"), await added(database)
    invitations, accounts = Invitations(database), Accounts(database)
    theirs = await invitations.make(HERE, Role.ADMIN, maker=ana.id)
    for_boss = await invitations.make(HERE, boss.role, boss.id, maker=ana.id)
    kept = await invitations.make(HERE, Role.AGENT, maker=boss.id)
    await accounts.change(HERE, ana.id, name="Ana Lucia")
    assert await invitations.look(HERE, theirs)
    await accounts.change(HERE, ana.id, **change)
    assert [await invitations.look(HERE, link) for link in (theirs, for_boss)] == [None, None]
    with pytest.raises(LinkSpent):
        await invitations.accept(HERE, theirs, person("back"))
    assert await invitations.look(HERE, kept)


async def test_an_open_link_is_listed_and_can_be_withdrawn(database: Database) -> None:
    ana, invitations = await added(database), Invitations(database)
    link = await invitations.make(HERE, Role.AGENT, maker=ana.id)
    await invitations.make(HERE, ana.role, ana.id)
    await invitations.make(ELSEWHERE, Role.ADMIN)
    first, second = await invitations.open(HERE)
    assert (first.maker, first.whose, first.role) == ("Ana", "", Role.AGENT)
    assert (second.maker, second.whose) == ("", "Ana")
    assert link not in first.ref
    assert not await invitations.withdraw(ELSEWHERE, first.ref)
    assert await invitations.withdraw(HERE, first.ref)
    assert not await invitations.withdraw(HERE, first.ref)
    assert await invitations.look(HERE, link) is None
    assert len(await invitations.open(HERE)) == 1


async def test_a_password_is_verified_and_its_hash_renewed() -> None:
    passwords = Passwords(QUICK)
    kept = await passwords.hash("correct horse")
    assert kept.startswith("$argon2id$")
    assert (await passwords.verify("correct horse", kept)).right
    assert not (await passwords.verify("wrong horse", kept)).right
    assert not (await passwords.verify("nobody's password", None)).right
    assert not (await passwords.verify("correct horse", "no hash")).right
    stronger = Passwords(PasswordHasher(time_cost=2, memory_cost=64, parallelism=1))
    renewed = (await stronger.verify("correct horse", kept)).renewed
    assert renewed is not None
    assert (await stronger.verify("correct horse", renewed)).right


def test_each_role_may_what_those_below_it_may() -> None:
    assert [role for role in Role if role.covers(Role.AGENT)] == [Role.ADMIN, Role.AGENT]
    assert all(Role.ADMIN.covers(role) for role in Role)
    assert not Role.VIEWER.covers(Role.AGENT)


@pytest.mark.parametrize(
    ("text", "login"),
    [(" Ana@Shop.Example ", "ana@shop.example"), ("a b", ""), ("", ""), ("a\u202eb", "")],
)
def test_a_login_has_one_spelling(text: str, login: str) -> None:
    assert tidy_login(text) == login


def test_names_and_passwords_have_bounds() -> None:
    assert tidy_name("  Ana\u202e\n Pérez ") == "Ana Pérez"
    assert not may_be_password("short")
    assert may_be_password("twelve chars")
    assert AccountId(1) == 1
