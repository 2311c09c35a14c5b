"""What reaches slack-bolt, and what it makes of it."""

import logging
import secrets
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bots.slack.channel import SlackChannel
from tests.bots.slack.conftest import Rig

DM = "D0CUSTOMER"
TYPES = ("event_callback", "block_actions", "url_verification", "app_uninstalled", "message", "")
KEYS = ("type", "team", "team_id", "event", "authorizations", "user", "channel", "actions", "view")
MORE = ("id", "action_id", "tokens", "container", "message", "enterprise", "response_urls")
leaves = st.one_of(st.none(), st.integers(), st.sampled_from((*TYPES, "T0HOME")))
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=2), st.dictionaries(st.sampled_from(KEYS + MORE), inner)
    ),
    max_leaves=12,
)
payloads = st.dictionaries(st.sampled_from(KEYS), values).flatmap(
    lambda given: st.sampled_from(TYPES).map(lambda kind: given | {"type": kind})
)


@pytest.fixture
async def channel(rig: Rig) -> AsyncIterator[SlackChannel]:
    async with rig.channel() as channel:
        yield channel


@pytest.mark.long
@settings(
    max_examples=500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(payload=payloads)
async def test_no_form_of_payload_trips_the_dispatch(
    channel: SlackChannel, payload: dict[str, Any]
) -> None:
    response = await channel.dispatch.take(payload)
    assert response.status == 200


async def test_deep_nesting_is_acknowledged(channel: SlackChannel) -> None:
    payload: dict[str, Any] = {"type": "event_callback"}
    for _ in range(5_000):
        payload = {"type": "event_callback", "event": payload}
    assert (await channel.dispatch.take(payload)).status == 200


async def test_a_team_unknown_to_us_is_not_written_to(rig: Rig, channel: SlackChannel) -> None:
    press = {
        "type": "block_actions",
        "team": {"id": "TSTRANGER"},
        "user": {"id": "U1"},
        "response_url": f"{rig.slack.api_url}chat.postMessage",
        "actions": [{"action_id": "dragoman_person", "type": "button"}],
    }
    assert (await channel.dispatch.take(press)).status == 200
    assert [method for method, _ in rig.slack.api.requests] == ["auth.test"]


async def test_variables_that_bolt_reads_itself_change_nothing(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("BOT_TOKEN", "SIGNING_SECRET", "CLIENT_ID", "CLIENT_SECRET", "SCOPES"):
        monkeypatch.setenv(f"SLACK_{name}", "from the environment")
    async with rig.over_http():
        rig.slack.user_says(DM, "hello?")
        await rig.slack.push.idle()
    assert rig.desk.texts == ["hello?"]
    assert not caplog.records


async def test_bolt_logs_nothing_that_was_said(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    marker = secrets.token_hex(8)
    rig.slack.push.retries_s = ()
    async with rig.over_http():
        rig.slack.user_says(DM, marker)
        rig.slack.tell({"type": "pretzel_baked", "text": marker})
        rig.slack.tell({"type": "message", "channel": 7, "text": marker})
        rig.slack.push.send("interactive", {"type": marker, "team": {"id": rig.slack.team.id}})
        await rig.slack.push.idle()
        rig.desk.fault = ZeroDivisionError("a bug")
        rig.slack.user_says(DM, marker)
        await rig.slack.push.idle()
    assert rig.slack.push.statuses.count(500) == 1
    assert marker not in caplog.text
