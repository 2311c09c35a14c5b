import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from bots.telegram.api import TelegramApi
from bots.telegram.intake import Intake
from bots.telegram.polling import Pauses, Poller
from core.adapters.holds import Holds
from core.errors import Misconfigured
from core.turn import Inbound, Kind
from tests.bots.telegram.conftest import WORKSPACE, Desk
from tests.fakes.telegram import FakeTelegram, Faults
from tests.patience import until

QUICK = Pauses(held_s=0.6, first_s=0.01, longest_s=0.05, refused_s=0.05)


@asynccontextmanager
async def polling(api: TelegramApi, intake: Intake, holds: Holds) -> AsyncIterator[Poller]:
    poller = Poller(api, intake, holds, pauses=QUICK)
    task = asyncio.create_task(poller.run())
    try:
        yield poller
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_message_is_kept_then_confirmed(
    telegram: FakeTelegram, api: TelegramApi, intake: Intake, holds: Holds, desk: Desk
) -> None:
    async with polling(api, intake, holds):
        telegram.user_says(7, "Wo ist mein Paket?", language_code="de")
        await until(lambda: desk.inbounds)
        [inbound] = desk.inbounds
        assert (inbound.text, inbound.address.place) == ("Wo ist mein Paket?", "7")
        assert (inbound.kind, inbound.language_hint) == (Kind.MESSAGE, "de")
        await until(lambda: not telegram.updates.pending)


async def test_what_could_not_be_committed_is_fetched_again(
    telegram: FakeTelegram, api: TelegramApi, intake: Intake, holds: Holds, desk: Desk
) -> None:
    telegram.user_says(7, "first")
    telegram.user_says(7, "second")
    desk.broken = 3
    async with polling(api, intake, holds):
        await until(lambda: desk.tries == 3)
        # Neither is confirmed: a process that dies here loses nothing.
        assert len(telegram.updates.pending) == 2
        await until(lambda: not telegram.updates.pending)
    assert desk.texts == ["first", "second"]
    assert desk.tries == 5


async def test_a_poller_killed_before_its_commit_leaves_the_update_to_the_next(
    telegram: FakeTelegram, api: TelegramApi, holds: Holds, desk: Desk
) -> None:
    reached = asyncio.Event()

    async def hang(*_: object) -> bool:
        reached.set()
        return await asyncio.Event().wait()

    hanging = Intake(api, WORKSPACE, accept=hang, rate=desk.rate, move=desk.move)
    telegram.user_says(7, "hello")
    async with polling(api, hanging, holds):
        await reached.wait()
    assert len(telegram.updates.pending) == 1
    working = Intake(api, WORKSPACE, accept=desk.accept, rate=desk.rate, move=desk.move)
    async with polling(api, working, holds):
        await until(lambda: desk.texts == ["hello"])


async def test_two_replicas_never_poll_at_once_and_the_second_takes_over(
    telegram: FakeTelegram, api: TelegramApi, intake: Intake, holds: Holds, desk: Desk
) -> None:
    async with TelegramApi(telegram.token, telegram.url) as other_api:
        other_intake = Intake(
            other_api, WORKSPACE, accept=desk.accept, rate=desk.rate, move=desk.move
        )
        with capture_logs() as logs:
            async with polling(other_api, other_intake, holds):
                async with polling(api, intake, holds):
                    telegram.user_says(7, "one")
                    await until(lambda: desk.texts == ["one"])
                # Whichever of the two polled, one is left.
                telegram.user_says(7, "two")
                await until(lambda: desk.texts == ["one", "two"])
    assert "telegram_other_poller" not in [line["event"] for line in logs]


async def test_duplicates_and_disorder_of_a_batch_do_not_lose_or_repeat_anything(
    desk: Desk, holds: Holds
) -> None:
    faults = Faults(seed=3, duplicate=0.3, reorder=0.7, drop=0.2)
    async with (
        FakeTelegram(faults=faults) as telegram,
        TelegramApi(telegram.token, telegram.url) as api,
    ):
        intake = Intake(api, WORKSPACE, accept=desk.accept, rate=desk.rate, move=desk.move)
        async with polling(api, intake, holds):
            for number in range(200):
                telegram.user_says(number % 9 + 1, str(number))
                if number % 40 == 0:
                    await asyncio.sleep(0)
            await until(lambda: len(desk.inbounds) == 200 and not telegram.updates.pending)
    assert desk.texts == [str(number) for number in range(200)]


async def test_a_refused_token_is_said_once_with_what_to_do(
    telegram: FakeTelegram, holds: Holds, desk: Desk
) -> None:
    async with TelegramApi("7654321:" + "x" * 35, telegram.url) as api:
        intake = Intake(api, WORKSPACE, accept=desk.accept, rate=desk.rate, move=desk.move)
        with capture_logs() as logs:
            async with polling(api, intake, holds) as poller:
                await asyncio.sleep(0.4)
                assert poller.silent_for_s > 0.2
    refused = [line for line in logs if line["event"] == "telegram_token_refused"]
    assert len(refused) == 1
    assert "TELEGRAM_BOT_TOKEN" in refused[0]["advice"]
    assert "xxxx" not in str(logs)


async def test_a_foreign_poller_is_named_and_survived(
    telegram: FakeTelegram, api: TelegramApi, intake: Intake, holds: Holds, desk: Desk
) -> None:
    async with TelegramApi(telegram.token, telegram.url) as foreign:
        with capture_logs() as logs:
            async with polling(api, intake, holds) as poller:
                await until(lambda: poller.silent_for_s > 0)
                for _ in range(4):
                    await foreign.updates(None, wait_s=0)
                    await asyncio.sleep(0.1)
                telegram.user_says(7, "hello")
                await until(lambda: desk.texts == ["hello"])
    events = [line["event"] for line in logs]
    assert events.count("telegram_other_poller") == 1


async def test_a_foreign_webhook_is_left_alone_and_the_way_out_is_said(
    telegram: FakeTelegram, api: TelegramApi, intake: Intake, holds: Holds
) -> None:
    await api.bot.set_webhook("https://elsewhere.example/hook")
    with capture_logs() as logs:
        async with polling(api, intake, holds):
            await until(lambda: any(x["event"] == "telegram_webhook_active" for x in logs))
            await asyncio.sleep(0.2)
    advice = [x["advice"] for x in logs if x["event"] == "telegram_webhook_active"]
    assert len(advice) == 1
    assert "deleteWebhook" in advice[0]
    assert telegram.updates.hook is not None


async def test_our_own_webhook_of_an_earlier_start_is_removed_and_nothing_is_dropped(
    telegram: FakeTelegram, api: TelegramApi, intake: Intake, holds: Holds, desk: Desk
) -> None:
    await api.bot.set_webhook(f"http://127.0.0.1:9{api.webhook_path}")
    telegram.user_says(7, "still here?")
    async with polling(api, intake, holds):
        await until(lambda: desk.texts == ["still here?"])


async def test_a_lasting_outage_is_said_once_and_so_is_its_end(
    telegram: FakeTelegram, api: TelegramApi, intake: Intake, holds: Holds, desk: Desk
) -> None:
    telegram.fail_next("getUpdates", "500", times=5)
    telegram.fail_next("getUpdates", "garbage", times=2)
    with capture_logs() as logs:
        async with polling(api, intake, holds):
            telegram.user_says(7, "hello")
            await until(lambda: desk.texts == ["hello"])
    events = [line["event"] for line in logs]
    assert events.count("telegram_unreachable") == 1
    assert events.count("telegram_recovered") == 1


async def test_an_update_that_nobody_can_read_is_skipped_alone(
    telegram: FakeTelegram, api: TelegramApi, intake: Intake, holds: Holds, desk: Desk
) -> None:
    telegram.updates.add_raw({"message": {"message_id": "no", "chat": 5}})
    telegram.updates.add_raw({"stopped_message_generation": {"draft_id": 1}})
    telegram.user_says(7, "after")
    async with polling(api, intake, holds):
        await until(lambda: desk.texts == ["after"])
        await until(lambda: not telegram.updates.pending)


async def test_an_update_that_trips_us_is_skipped_and_what_follows_is_kept(
    telegram: FakeTelegram, api: TelegramApi, holds: Holds, desk: Desk
) -> None:
    async def trip(inbound: Inbound) -> bool:
        if inbound.text == "trips":
            raise OverflowError("more than the database can hold")
        return await desk.accept(inbound)

    tripping = Intake(api, WORKSPACE, accept=trip, rate=desk.rate, move=desk.move)
    telegram.user_says(7, "trips")
    telegram.user_says(8, "after")
    with capture_logs() as logs:
        async with polling(api, tripping, holds):
            await until(lambda: desk.texts == ["after"])
            await until(lambda: not telegram.updates.pending)
    assert [line["log_level"] for line in logs if line["event"] == "telegram_update_failed"] == [
        "error"
    ]


async def test_pending_messages_of_a_night_without_us_are_never_dropped(
    telegram: FakeTelegram, api: TelegramApi, intake: Intake, holds: Holds, desk: Desk
) -> None:
    for number in range(250):
        telegram.user_says(number + 1, str(number))
    async with polling(api, intake, holds):
        await until(lambda: len(desk.inbounds) == 250)


@pytest.mark.parametrize(
    "token", ["", "secret", "123:short", "bot123:" + "x" * 35, "1:" + "é" * 35]
)
def test_what_cannot_be_a_token_is_refused_at_once_and_not_repeated(token: str) -> None:
    with pytest.raises(Misconfigured, match="TELEGRAM_BOT_TOKEN") as caught:
        TelegramApi(token)
    assert not token or token not in str(caught.value)
